"""Attempts as X-Ray's documents: what is said of each, and that none gets into another's."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aws_xray_sdk.core import xray_recorder

from api_lambda.routes import Api
from ftq import Context, Registry, Reject, Retry, RetryPolicy
from ftq.lifecycle import State
from ftq.ports import Call, Port
from ftq.task import Task
from ftq.testing import FaultyPort, MemorySyncPort
from ftq.wire import queue, table
from ftq.wire.statements import Statements
from ftq_daemon import events as facts
from ftq_daemon.clock import World
from ftq_daemon.runner import in_thread
from ftq_daemon.tracing.sink import Traces
from ftq_daemon.tracing.xray import XrayBackend
from tests.unit.api.door import Door
from tests.unit.daemon.bench import TABLE, Bench, Worker
from tests.unit.daemon.test_daemon import Number, play
from tests.unit.daemon.test_faults import Cut
from tests.unit.daemon.tracing.listener import (
    Document,
    Listener,
    listening,
    mapping,
    notes,
    parts,
    rows,
)

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"
HEADER = f"Root={ROOT};Parent={PARENT};Sampled=1"
WORLD = World(lambda: 1_700_000_000_000, random.Random(1).random, lambda: "token")


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as made:
        yield made


def backend(listener: Listener) -> XrayBackend:
    return XrayBackend("127.0.0.1", listener.port, TABLE, "1.0")


async def submit(
    bench: Bench, type_: str, payload: Document | None = None, header: str = HEADER
) -> Task:
    """Put, then send without the header: the record alone carries it."""
    planned = bench.plan(type_, payload or {})
    task = replace(planned.task, trace=header)
    await bench.aws.call(table.put(TABLE, task))
    await bench.send(planned.body, queue.mark(queue.STORED, "1"))
    return task


@asynccontextmanager
async def tracing(
    bench: Bench,
    registry: Registry,
    listener: Listener,
    rate: float = 1,
    *,
    concurrency: int = 64,
    port: Port | None = None,
) -> AsyncIterator[Worker]:
    worker = await bench.start(registry, concurrency=concurrency, port=port)
    world = World(bench.now, random.Random(1).random, lambda: "token")
    to = backend(listener)
    traces = Traces(to, rate, world)
    events = worker.daemon.events
    events.sinks = [*events.sinks, traces]
    worker.daemon.work.header = traces.header
    yield worker
    await worker.drain()
    to.close()


def test_an_attempt_is_one_segment_under_the_request_that_submitted_it(listener: Listener) -> None:
    registry = Registry()
    headers: list[str] = []

    @registry.handler("email.send")
    async def send(number: Number, context: Context) -> None:
        headers.append(context.trace)
        await asyncio.sleep(2)

    async def story(bench: Bench) -> None:
        async with tracing(bench, registry, listener):
            task = await submit(bench, "email.send")
            await bench.ended(task.id)
        (document,) = listener.wait(1)
        assert (document["trace_id"], document["parent_id"]) == (ROOT, PARENT)
        assert document["name"] == "ftq"
        assert notes(document) == {
            "type": "email.send",
            "attempt": 1,
            "claim_no": 1,
            "task_id": task.id,
            "correlation_id": task.correlation_id,
            "outcome": "succeeded",
        }
        assert not {"fault", "error", "throttle", "cause"} & document.keys()
        steps = parts(document)
        assert list(steps) == ["claim", "handler", "settle"]
        assert seconds(steps["handler"]) == pytest.approx(2, abs=0.1)
        for step in ("claim", "settle"):
            (call,) = rows(steps[step]["subsegments"])
            assert (call["name"], call["namespace"]) == ("DynamoDB", "aws")
            assert call["aws"] == {"operation": "BatchExecuteStatement", "table_name": TABLE}
        assert headers == [f"Root={ROOT};Parent={steps['handler']['id']};Sampled=1"]

    play(story)


def test_hundreds_of_attempts_at_once_have_each_their_own_segment(listener: Listener) -> None:
    registry = Registry()
    dice = random.Random(7)

    async def part(name: str) -> None:
        with xray_recorder.in_subsegment(name):
            await asyncio.sleep(dice.random())
            with xray_recorder.in_subsegment(f"{name}.below"):
                await asyncio.sleep(dice.random())

    async def work(number: Number) -> None:
        await asyncio.sleep(dice.random())
        # Tasks of one handler at once: each sees its own.
        await asyncio.gather(part(f"a{number.n}"), part(f"b{number.n}"))
        if number.n % 3 == 0:
            raise ValueError(f"no {number.n}")

    for type_ in ("odd", "even"):
        registry.handler(type_, retry=RetryPolicy(attempts=1))(work)

    async def story(bench: Bench) -> None:
        header = "Root=1-5759e988-{:024x};Parent={:016x};Sampled=1"
        async with tracing(bench, registry, listener, concurrency=300):
            tasks = [
                await submit(bench, ("even", "odd")[n % 2], {"n": n}, header.format(n, n))
                for n in range(300)
            ]
            await bench.ended(*(task.id for task in tasks))
        documents = {str(notes(each)["task_id"]): each for each in listener.wait(300)}
        assert len(documents) == len(listener.documents) == 300
        for n, task in enumerate(tasks):
            document = documents[task.id]
            assert document["trace_id"] == f"1-5759e988-{n:024x}"
            assert document["parent_id"] == f"{n:016x}"
            assert notes(document)["type"] == ("even", "odd")[n % 2]
            handler = parts(document)["handler"]
            assert set(parts(handler)) == {f"a{n}", f"b{n}"}
            for name, each in parts(handler).items():
                assert list(parts(each)) == [f"{name}.below"]
            assert ("fault" in document) is (n % 3 == 0)
        ids = [str(part["id"]) for document in documents.values() for part in _all(document)]
        assert len(ids) == len(set(ids))

    play(story)


def _all(document: Document) -> Iterator[Document]:
    yield document
    for below in rows(document.get("subsegments")):
        yield from _all(below)


async def test_handlers_in_threads_have_each_their_own_attempt(listener: Listener) -> None:
    to = backend(listener)
    traces = Traces(to, 1, WORLD)
    barrier = asyncio.Event()

    def work(n: int) -> None:
        with xray_recorder.in_subsegment(f"thread {n}"):
            pass

    async def attempt(n: int) -> None:
        task = Task(f"t{n}", f"type.{n}", "q", State.RUNNING, claim_no=1, created_at=10**12)
        traces(facts.Claimed(task, 0.0, WORLD.now()))
        await barrier.wait()
        await in_thread(lambda: work(n), "x")
        traces(facts.Succeeded(task, 0.5, 1.0))

    running = [asyncio.create_task(attempt(n)) for n in range(40)]
    await asyncio.sleep(0)
    barrier.set()
    await asyncio.gather(*running)
    for document in listener.wait(40):
        n = str(notes(document)["task_id"])[1:]
        assert list(parts(parts(document)["handler"])) == [f"thread {n}"]
    to.close()


@pytest.mark.parametrize(
    ("error", "outcome", "flags", "said"),
    [
        (ValueError("password=hunter2 is wrong"), "retrying", {"fault"}, "ValueError"),
        (Reject("not for us"), "dead", {"error"}, "ftq.errors.Reject"),
        (Retry(after=7), "retrying", {"error", "throttle"}, "ftq.errors.Retry"),
        (TimeoutError(), "retrying", {"fault"}, "TimeoutError"),
    ],
)
def test_a_failure_is_flagged_by_whose_it_is_and_told_without_secrets(
    listener: Listener, error: Exception, outcome: str, flags: set[str], said: str
) -> None:
    registry = Registry()

    @registry.handler("work", timeout=3, retry=RetryPolicy(attempts=2, base=3600, cap=3600))
    async def work(number: Number) -> None:
        if isinstance(error, TimeoutError):
            await asyncio.sleep(60)
        raise error

    async def story(bench: Bench) -> None:
        async with tracing(bench, registry, listener) as worker:
            await submit(bench, "work")
            await worker.tells(f"task.{outcome}")
        (document,) = listener.wait(1)
        handler = parts(document)["handler"]
        for part in (document, handler):
            assert {"fault", "error", "throttle"} & part.keys() == flags
            (exception,) = rows(mapping(part["cause"])["exceptions"])
            assert exception["type"] == said
            assert "hunter2" not in str(exception)
        assert notes(document)["outcome"] == outcome

    play(story)


def test_a_handler_cut_short_by_a_stop_is_released_and_nobodys_fault(listener: Listener) -> None:
    registry = Registry()

    @registry.handler("work", timeout=600)
    async def work(number: Number) -> None:
        with xray_recorder.in_subsegment("long"):
            await asyncio.sleep(500)

    async def story(bench: Bench) -> None:
        async with tracing(bench, registry, listener) as worker:
            await submit(bench, "work")
            await worker.tells("task.claimed")
            await asyncio.sleep(1)
        (document,) = listener.wait(1)
        assert notes(document)["outcome"] == "released"
        assert not {"fault", "error", "throttle"} & document.keys()
        assert list(parts(parts(document)["handler"])) == ["long"]

    play(story)


def test_what_the_queue_lost_is_sent_again_in_its_trace_and_retried_there(
    listener: Listener,
) -> None:
    registry = Registry()

    @registry.handler("work", retry=RetryPolicy(attempts=2, base=1, cap=1))
    async def work(number: Number, context: Context) -> None:
        if context.attempt == 1:
            raise ValueError

    async def story(bench: Bench) -> None:
        task = await submit(bench, "work")
        await bench.aws.call(Call("sqs", "PurgeQueue", {"QueueUrl": bench.url}))
        async with tracing(bench, registry, listener):
            await bench.ended(task.id)
        first, second = listener.wait(2)
        assert [notes(each)["attempt"] for each in (first, second)] == [1, 2]
        assert {each["trace_id"] for each in (first, second)} == {ROOT}
        assert {each["parent_id"] for each in (first, second)} == {PARENT}

    play(story)


def test_an_operators_redrive_has_the_next_life_in_the_trace_of_the_first(
    listener: Listener,
) -> None:
    registry = Registry()

    @registry.handler("work")
    async def work(number: Number, context: Context) -> None:
        if context.claim_no == 1:
            raise Reject("not yet")

    async def story(bench: Bench) -> None:
        async with tracing(bench, registry, listener) as worker:
            task = await submit(bench, "work")
            await worker.tells("task.dead")
            door = Door()
            door.api = Api(
                replace(
                    door.api.service,
                    port=MemorySyncPort(bench.aws),
                    table=TABLE,
                    terms=replace(door.api.service.terms, queue_url=bench.url),
                    now=bench.now,
                )
            )
            # The API's own call is in no trace: the record alone knows it.
            assert door.ask("POST", f"/tasks/{task.id}/redrive").status == 202
            await worker.tells("task.succeeded")
        died, lived = listener.wait(2)
        assert [notes(each)["outcome"] for each in (died, lived)] == ["dead", "succeeded"]
        assert {(each["trace_id"], each["parent_id"]) for each in (died, lived)} == {(ROOT, PARENT)}

    play(story)


def test_a_task_that_is_cancelled_while_it_runs_is_nobodys_fault(listener: Listener) -> None:
    registry = Registry()

    @registry.handler("work", timeout=3600)
    async def work(number: Number) -> None:
        await asyncio.sleep(3000)

    async def story(bench: Bench) -> None:
        async with tracing(bench, registry, listener) as worker:
            task = await submit(bench, "work")
            await worker.tells("task.claimed")
            running = await bench.task(task.id)
            ask = Statements(TABLE).ask_cancel(running, bench.now())
            await bench.aws.call(table.execute([ask]))
            await worker.tells("task.cancelled")
        (document,) = listener.wait(1)
        assert notes(document)["outcome"] == "cancelled"
        assert not {"fault", "error", "throttle", "cause"} & document.keys()
        steps = parts(document)
        assert list(steps) == ["claim", "handler", "settle"]
        # It ran until the beat that brought the word.
        assert 1 < seconds(steps["handler"]) < 60

    play(story)


def test_a_task_that_was_cancelled_before_its_claim_shows_no_handler(listener: Listener) -> None:
    registry = Registry()
    runs: list[int] = []

    @registry.handler("work")
    async def work(number: Number) -> None:
        runs.append(1)

    async def story(bench: Bench) -> None:
        task = await submit(bench, "work")
        ask = Statements(TABLE).ask_cancel(await bench.task(task.id), bench.now())
        await bench.aws.call(table.execute([ask]))
        async with tracing(bench, registry, listener) as worker:
            await worker.tells("task.cancelled")
        (document,) = listener.wait(1)
        assert (notes(document)["outcome"], runs) == ("cancelled", [])
        assert list(parts(document)) == ["claim", "settle"]

    play(story)


def test_an_attempt_whose_claim_was_lost_says_so_and_who_has_it_now_has_a_segment_of_its_own(
    listener: Listener,
) -> None:
    registry = Registry()

    @registry.handler("work", timeout=3600)
    async def work(number: Number, context: Context) -> None:
        if context.claim_no == 1:
            await asyncio.sleep(3000)

    async def story(bench: Bench) -> None:
        cut = Cut()
        async with tracing(bench, registry, listener, port=FaultyPort(bench.aws, cut)) as zombie:
            task = await submit(bench, "work")
            await zombie.tells("task.claimed")
            cut.cut = True
            async with tracing(bench, registry, listener) as other:
                await other.tells("task.succeeded")
                cut.cut = False
                await zombie.tells("task.claim_lost")
        lost, won = sorted(listener.wait(2), key=lambda each: str(notes(each)["claim_no"]))
        assert [notes(each)["task_id"] for each in (lost, won)] == [task.id, task.id]
        assert [notes(each)["outcome"] for each in (lost, won)] == ["claim_lost", "succeeded"]
        assert ("fault" in lost, "fault" in won) == (True, False)
        (exception,) = rows(mapping(lost["cause"])["exceptions"])
        assert exception["type"] == "ClaimLost"
        assert list(parts(lost)) == ["claim", "handler", "settle"]
        # It stopped by itself before its lease was over, not when it heard of it.
        assert seconds(parts(lost)["handler"]) <= 60

    play(story)


def seconds(part: Document) -> float:
    return float(str(part["end_time"])) - float(str(part["start_time"]))


def test_all_attempts_of_a_task_without_a_header_are_in_one_trace(listener: Listener) -> None:
    registry = Registry()

    @registry.handler("work", retry=RetryPolicy(attempts=3, base=1, cap=1))
    async def work(number: Number) -> None:
        raise ValueError

    async def story(bench: Bench) -> None:
        async with tracing(bench, registry, listener):
            tasks = [await submit(bench, "work", header="") for _ in range(2)]
            await bench.ended(*(task.id for task in tasks))
        documents = listener.wait(6)
        assert len({str(each["trace_id"]) for each in documents}) == 2
        assert all("parent_id" not in each for each in documents)

    play(story)


def test_a_direct_producers_header_is_the_tasks(listener: Listener) -> None:
    registry = Registry()

    @registry.handler("work")
    async def work(number: Number) -> None:
        pass

    async def story(bench: Bench) -> None:
        async with tracing(bench, registry, listener) as worker:
            body = '{"id":"direct-1","type":"work","payload":{}}'
            await bench.aws.call(queue.send(bench.url, queue.Outgoing(body, trace=HEADER)))
            await worker.tells("task.succeeded")
        (document,) = listener.wait(1)
        assert (document["trace_id"], document["parent_id"]) == (ROOT, PARENT)
        assert (await bench.task("direct-1")).trace == HEADER

    play(story)


@pytest.mark.parametrize(("header", "rate"), [(HEADER[:-1] + "0", 1), ("", 0)])
def test_what_is_not_sampled_sends_nothing_and_its_handlers_trace_nothing(
    listener: Listener, header: str, rate: float, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry()
    headers: list[str] = []

    @registry.handler("work")
    async def work(number: Number, context: Context) -> None:
        headers.append(context.trace)
        with xray_recorder.in_subsegment("mine") as mine:
            assert mine is not None
            mine.put_annotation("a", 1)

    async def story(bench: Bench) -> None:
        async with tracing(bench, registry, listener, rate):
            task = await submit(bench, "work", header=header)
            await bench.ended(task.id)
            assert headers[0].endswith(";Sampled=0")

    play(story)
    assert listener.documents == []
    # OpenTelemetry's may still tell of a collector that a test before left behind.
    assert [each for each in caplog.records if "opentelemetry" not in each.name] == []


def test_a_document_that_is_too_large_is_taken_apart(listener: Listener) -> None:
    registry = Registry()

    @registry.handler("work")
    async def work(number: Number) -> None:
        for n in range(5):
            with xray_recorder.in_subsegment(f"part {n}") as part:
                assert part is not None
                part.put_metadata("much", "x" * 30_000)
        with xray_recorder.in_subsegment("monstrous") as part:
            assert part is not None
            part.put_metadata("much", "x" * 300_000)
        with xray_recorder.in_subsegment("verbose") as part:
            assert part is not None
            part.sql = {"query": "x" * 100_000}
            part.put_http_meta("url", "https://h/" + "x" * 100_000)

    async def story(bench: Bench) -> None:
        async with tracing(bench, registry, listener):
            task = await submit(bench, "work")
            await bench.ended(task.id)
        whole = next(each for each in listener.wait(11) if "type" not in each)
        assert notes(whole)["outcome"] == "succeeded"
        sent = {str(each["name"]): each for each in listener.documents if each is not whole}
        assert {f"part {n}" for n in range(5)} | {"monstrous", "verbose", "handler"} <= sent.keys()
        assert {sent[f"part {n}"]["parent_id"] for n in range(5)} == {sent["handler"]["id"]}
        assert "metadata" not in sent["monstrous"]
        assert not {"sql", "http"} & sent["verbose"].keys()

    play(story)


def test_what_handlers_trace_is_redacted(listener: Listener) -> None:
    registry = Registry()

    @registry.handler("work")
    async def work(number: Number) -> None:
        with xray_recorder.in_subsegment("mine") as mine:
            assert mine is not None
            mine.put_annotation("api_key", "canary-1")
            mine.put_metadata("headers", {"Authorization": "Bearer canary-2"})
            mine.put_http_meta("url", "https://user:canary-3@example.org/")
            raise ValueError("token=canary-4")

    async def story(bench: Bench) -> None:
        async with tracing(bench, registry, listener) as worker:
            await submit(bench, "work")
            await worker.tells("task.retrying")
        (document,) = listener.wait(1)
        assert list(parts(parts(document)["handler"])) == ["mine"]
        assert "canary" not in str(document)

    play(story)


def test_without_an_x_ray_daemon_everything_else_goes_on() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        nobody = Listener(door.getsockname()[1])
    registry = Registry()

    @registry.handler("work")
    async def work(number: Number) -> None:
        pass

    async def story(bench: Bench) -> None:
        async with tracing(bench, registry, nobody) as worker:
            tasks = [await submit(bench, "work") for _ in range(50)]
            done = await bench.ended(*(task.id for task in tasks))
            assert {task.state for task in done} == {State.SUCCEEDED}
            assert worker.daemon.events.broken == 0

    play(story)
