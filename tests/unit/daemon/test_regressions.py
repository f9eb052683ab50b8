"""What the simulation found, or its mutants showed to be untested, each in its smallest form."""

from __future__ import annotations

import asyncio

from ftq import Context, Registry, RetryPolicy
from ftq.codec import encode
from ftq.lifecycle import State
from ftq.ports import Call, Request
from ftq.testing import Fault, FaultyPort, script
from ftq.text import dump
from ftq.wire import queue
from tests.unit.daemon.bench import Bench
from tests.unit.daemon.test_daemon import Number, echoing, play


def test_a_stop_ends_in_time_though_aws_leaves_a_call_without_an_answer() -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("echo", {"n": 1})
        slow = script({"DeleteMessageBatch": [Fault(before=60)]})
        worker = await bench.start(echoing(), port=FaultyPort(bench.aws, slow))
        await worker.tells("task.succeeded")
        began = asyncio.get_running_loop().time()
        # It was the flush's TimeoutError that came out of here.
        assert await worker.drain() == 1
        assert asyncio.get_running_loop().time() - began < 50
        assert worker.names()[-2:] == ["daemon.failed", "daemon.stopped"]
        assert (await bench.task(submitted.id)).state is State.SUCCEEDED

    play(story)


def test_a_settle_that_is_repeated_after_a_newer_claim_tells_nothing_and_touches_nothing() -> None:
    registry = Registry()

    @registry.handler("fails", retry=RetryPolicy(base=0, cap=0))
    async def fails(_: Number, context: Context) -> None:
        if context.claim_no == 1:
            raise ValueError
        await asyncio.sleep(100)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("fails", {})
        lost = script(
            {
                "BatchExecuteStatement": [None, Fault("lost", after=30)],
                "ReceiveMessage": [None, Fault(before=1000)],
            }
        )
        first = await bench.start(registry, port=FaultyPort(bench.aws, lost), concurrency=10)
        await asyncio.sleep(1)
        assert (await bench.task(submitted.id)).state is State.RETRYING
        # Whoever has another copy goes on with it, before the first knows that it has settled.
        await bench.send(encode(submitted, "{}"), queue.mark(queue.STORED, "1"))
        second = await bench.start(registry)
        await asyncio.sleep(60)
        assert first.names() == ["task.claimed"]
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.claim_no, task.attempts) == (State.SUCCEEDED, 2, 1)
        assert "task.succeeded" in second.names()

    play(story)


def test_a_claim_whose_answer_comes_as_its_lease_ends_is_given_back_and_not_run() -> None:
    registry = Registry()
    runs: list[int] = []

    @registry.handler("work")
    async def work(_: Number, context: Context) -> None:
        runs.append(context.claim_no)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("work", {})
        slow = script({"BatchExecuteStatement": [Fault(after=57)]})
        await bench.start(registry, port=FaultyPort(bench.aws, slow))
        (task,) = await bench.ended(submitted.id)
        assert runs == [2]
        assert (task.state, task.attempts, task.releases) == (State.SUCCEEDED, 0, 1)
        assert task.crashes == 0

    play(story)


def test_a_stop_awaits_the_receive_under_way_and_shows_to_others_what_it_brings() -> None:
    async def story(bench: Bench) -> None:
        worker = await bench.start(echoing())
        await asyncio.sleep(5)
        stopping = asyncio.create_task(worker.drain())
        await asyncio.sleep(3)
        submitted = await bench.submit("echo", {"n": 1})
        assert await stopping == 0
        assert (await bench.task(submitted.id)).claim_no == 0
        assert (
            len(queue.read_receive(await bench.aws.call(queue.receive(bench.url, 10, 0, 30)))) == 1
        )

    play(story)


def test_a_handler_that_starts_during_the_drain_is_told_that_the_daemon_stops() -> None:
    registry = Registry()

    @registry.handler("ask")
    async def ask(_: Number, context: Context) -> bool:
        return context.stopping

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("ask", {})
        slow = script({"BatchExecuteStatement": [Fault(after=10)]})
        worker = await bench.start(registry, port=FaultyPort(bench.aws, slow))
        await asyncio.sleep(5)
        await worker.drain()
        task = await bench.task(submitted.id)
        assert (task.state, task.result) == (State.SUCCEEDED, "true")

    play(story)


def test_a_beat_renews_the_lease_before_it_extends_the_visibility() -> None:
    registry, calls = Registry(), list[str]()

    @registry.handler("long", timeout=600)
    async def long(_: Number) -> None:
        await asyncio.sleep(300)

    async def story(bench: Bench) -> None:
        def watch(call: Call) -> None:
            if call.operation in ("BatchExecuteStatement", "ChangeMessageVisibilityBatch"):
                calls.append(call.operation)

        await bench.submit("long", {})
        await bench.start(registry, port=FaultyPort(bench.aws, watch))
        await asyncio.sleep(10)
        calls.clear()
        await asyncio.sleep(100)
        beats = len(calls) // 2
        assert beats >= 4
        assert calls == ["BatchExecuteStatement", "ChangeMessageVisibilityBatch"] * beats

    play(story)


def test_an_unknown_type_is_given_up_after_an_hour_however_often_it_was_sent_afresh() -> None:
    async def story(bench: Bench) -> None:
        attributes = queue.read_attributes(await bench.aws.call(queue.depth(bench.dlq_url)))
        policy = {"deadLetterTargetArn": attributes["QueueArn"], "maxReceiveCount": 13}
        request: Request = {
            "QueueUrl": bench.url,
            "Attributes": {"RedrivePolicy": dump(policy)},
        }
        await bench.aws.call(Call("sqs", "SetQueueAttributes", request))
        submitted = await bench.submit("new", {})
        began = bench.now()
        await bench.start(echoing())
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.cause) == (State.DEAD, "unknown_type")
        assert bench.aws.calls["SendMessageBatch"] > 10
        assert 3600 <= (task.due_at - began) / 1000 < 3700

    play(story)
