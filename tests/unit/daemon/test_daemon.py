"""One task through a whole daemon, on a virtual clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import TypeAlias

import pytest
from pydantic import BaseModel

from ftq import Context, Registry, Reject, Retry, RetryPolicy
from ftq.lifecycle import State
from ftq.testing import MemoryAws, ProcessLoop, outside_work
from ftq.testing.clock import run
from ftq.wire import queue
from ftq_daemon import events as facts
from tests.unit.daemon.bench import Bench

Story: TypeAlias = Callable[[Bench], Coroutine[object, None, None]]


def play(story: Story, aws: MemoryAws | None = None) -> None:
    async def main() -> None:
        async with Bench(aws or MemoryAws()) as bench:
            await story(bench)

    run(main, limit_seconds=4 * 24 * 3600, loop_factory=ProcessLoop)


class Number(BaseModel):
    n: int = 0


def echoing() -> Registry:
    registry = Registry()

    @registry.handler("echo")
    async def echo(payload: Number, context: Context) -> dict[str, int]:
        return {"n": payload.n, "attempt": context.attempt, "claim_no": context.claim_no}

    return registry


def test_a_task_is_claimed_run_settled_and_its_message_deleted() -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("echo", {"n": 7})
        worker = await bench.start(echoing())
        (task,) = await bench.ended(submitted.id)
        await worker.drain()
        assert task.state is State.SUCCEEDED
        assert task.result == '{"n":7,"attempt":1,"claim_no":1}'
        assert (task.attempts, task.releases, task.crashes, task.claim_no) == (0, 0, 0, 1)
        assert [entry.outcome for entry in task.history] == ["succeeded"]
        assert task.expires_at > 0
        assert await bench.backlog() == 0
        assert worker.names()[-4:] == [
            "task.claimed",
            "task.succeeded",
            "daemon.draining",
            "daemon.stopped",
        ]

    play(story)


def test_a_busy_daemon_makes_at_most_half_a_call_a_task() -> None:
    async def story(bench: Bench) -> None:
        submitted = [await bench.submit("echo", {"n": n}) for n in range(500)]
        bench.aws.calls.clear()
        worker = await bench.start(echoing())
        await worker.tells("task.succeeded", 500)
        calls = bench.aws.calls.total()
        assert len(await bench.ended(*(task.id for task in submitted))) == 500
        assert calls <= 0.5 * 500, dict(bench.aws.calls)

    play(story)


@pytest.mark.parametrize("before", [0, 200])
def test_an_idle_daemon_asks_three_times_a_minute_whatever_it_had_to_do_before(before: int) -> None:
    async def story(bench: Bench) -> None:
        submitted = [await bench.submit("echo", {"n": n}) for n in range(before)]
        await bench.start(echoing())
        await bench.ended(*(task.id for task in submitted))
        await asyncio.sleep(60)
        bench.aws.calls.clear()
        await asyncio.sleep(600)
        assert bench.aws.calls["ReceiveMessage"] == 30

    play(story)


def test_a_failing_task_backs_off_and_ends_dead_with_its_cause_in_the_dlq() -> None:
    registry = Registry()

    @registry.handler("fail", retry=RetryPolicy(attempts=3, base=60, cap=600))
    async def fail(payload: Number) -> None:
        raise ValueError(f"no luck with {payload.n}")

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("fail", {"n": 42})
        worker = await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        await worker.drain()
        assert (task.state, task.attempts, task.claim_no) == (State.DEAD, 3, 3)
        assert task.last_error is not None
        assert task.last_error.class_name == "ValueError"
        assert task.last_error.message == "no luck with 42"
        waits = [event for event in worker.told if isinstance(event, facts.Retrying)]
        claims = [entry.at for entry in task.history]
        for ceiling, event, before, after in zip(
            (60, 120), waits, claims, claims[1:], strict=False
        ):
            assert event.at - before <= ceiling * 1000
            # Never early; late by no more than what SQS rounds up and a poll takes.
            assert 0 <= after - event.at <= 2_000
        (copy,) = await bench.dead_letters()
        assert copy.claim_no == 3
        cause = copy.attributes[queue.CAUSE]["StringValue"]
        assert cause == "attempts_spent · ValueError · no luck with 42"
        assert await bench.backlog() == 0

    play(story)


@pytest.mark.parametrize(
    ("payload", "cause"),
    [("{}", "rejected"), ('{"n": 1}', "permanent"), ('{"n": "x"}', "invalid_payload")],
)
def test_what_cannot_succeed_is_dead_after_one_attempt(payload: str, cause: str) -> None:
    registry = Registry()

    @registry.handler("picky", permanent=(KeyError,))
    async def picky(number: Number) -> None:
        if number.n:
            raise KeyError(number.n)
        raise Reject("not for me")

    async def story(bench: Bench) -> None:
        body = f'{{"id":"t1","type":"picky","payload":{payload}}}'
        await bench.send(body)
        worker = await bench.start(registry)
        await worker.tells("task.dead")
        task = await bench.task("t1")
        assert (task.state, task.attempts, task.claim_no) == (State.DEAD, 1, 1)
        await worker.drain()
        (copy,) = await bench.dead_letters()
        assert str(copy.attributes[queue.CAUSE]["StringValue"]).startswith(cause)

    play(story)


def test_a_retry_that_does_not_count_spends_no_attempt_and_waits_as_long_as_asked() -> None:
    registry = Registry()
    calls: list[int] = []

    @registry.handler("limited", retry=RetryPolicy(attempts=1))
    async def limited(_: Number, context: Context) -> None:
        calls.append(context.attempt)
        if len(calls) < 4:
            raise Retry(after=90, counts=False)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("limited", {})
        await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.attempts, task.releases) == (State.SUCCEEDED, 0, 3)
        assert calls == [1, 1, 1, 1]
        ends = [entry.at for entry in task.history]
        assert all(90_000 <= b - a <= 92_000 for a, b in itertools.pairwise(ends))

    play(story)


def test_a_handler_past_its_deadline_is_cancelled_and_counted() -> None:
    registry = Registry()
    cancelled: list[str] = []

    @registry.handler("slow", timeout=10, retry=RetryPolicy(attempts=1))
    async def slow(_: Number) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append("yes")
            raise

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("slow", {})
        await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert task.last_error is not None
        assert (task.state, task.attempts, task.last_error.kind) == (State.DEAD, 1, "timeout")
        assert cancelled == ["yes"]

    play(story)


def test_a_handler_that_outlasts_many_leases_keeps_its_claim() -> None:
    registry = Registry()
    runs: list[int] = []

    @registry.handler("long", timeout=7200)
    async def long(_: Number, context: Context) -> None:
        runs.append(context.claim_no)
        await asyncio.sleep(3600)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("long", {})
        first, second = await bench.start(registry), await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.claim_no, runs) == (State.SUCCEEDED, 1, [1])
        assert "task.claim_lost" not in first.names() + second.names()

    play(story)


def test_two_copies_of_one_message_run_once() -> None:
    registry = Registry()
    runs: list[str] = []

    @registry.handler("once")
    async def once(_: Number, context: Context) -> None:
        runs.append(context.task_id)
        await asyncio.sleep(5)

    async def story(bench: Bench) -> None:
        planned = bench.plan("once", {})
        marks = queue.mark(queue.STORED, "1")
        submitted = await bench.submit("once", {})
        for _ in range(3):
            await bench.send(planned.body.replace(planned.task.id, submitted.id), marks)
        await bench.start(registry)
        await bench.ended(submitted.id)
        await bench.emptied()
        assert runs == [submitted.id]

    play(story)


def test_a_message_without_a_record_makes_its_own() -> None:
    async def story(bench: Bench) -> None:
        await bench.send('{"id":"direct-1","type":"echo","payload":{"n":3},"tenant":"acme"}')
        worker = await bench.start(echoing())
        await worker.tells("task.succeeded")
        task = await bench.task("direct-1")
        assert (task.state, task.tenant, task.payload) == (State.SUCCEEDED, "acme", '{"n":3}')

    play(story)


def test_a_stored_message_whose_record_is_gone_is_forgotten() -> None:
    async def story(bench: Bench) -> None:
        planned = bench.plan("echo", {"n": 1})
        await bench.send(planned.body, queue.mark(queue.STORED, "1"))
        await bench.start(echoing())
        await bench.emptied()
        assert await bench.dead_letters() == []
        assert planned.task.id not in bench.aws.table("tasks").items()

    play(story)


@pytest.mark.parametrize("body", ["not json", "[1]", '{"id": 5}', '{"v":2,"id":"a"}'])
def test_an_unreadable_message_goes_to_the_dlq_as_it_is(body: str) -> None:
    async def story(bench: Bench) -> None:
        await bench.send(body)
        worker = await bench.start(echoing())
        await worker.tells("message.put_aside")
        await worker.drain()
        (copy,) = await bench.dead_letters()
        assert copy.body == body
        assert str(copy.attributes[queue.CAUSE]["StringValue"]).startswith("unreadable")
        assert await bench.backlog() == 0

    play(story)


def test_a_large_payload_travels_beside_its_record() -> None:
    registry = Registry()

    @registry.handler("large")
    async def large(payload: list[str]) -> int:
        return len(payload[0])

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("large", ["ä" * 131_000])
        await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert (task.result, task.payload) == ("131000", None)

    play(story)


def test_claim_and_settle_cost_the_same_for_a_large_payload_as_for_a_small_one() -> None:
    registry = Registry()

    @registry.handler("any")
    async def anything(_: str) -> None:
        return None

    async def units(bench: Bench, payload: str) -> int:
        submitted = await bench.submit("any", payload)
        before = bench.aws.table("tasks").write_units
        worker = await bench.start(registry)
        await bench.ended(submitted.id)
        await worker.drain()
        return bench.aws.table("tasks").write_units - before

    async def story(bench: Bench) -> None:
        small = await units(bench, "x" * 900)
        assert await units(bench, "x" * 200_000) <= small

    play(story)


def test_a_type_without_a_handler_waits_for_one_and_spends_nothing() -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("echo", {"n": 1})
        old = await bench.start(Registry())
        await asyncio.sleep(600)
        assert (await bench.task(submitted.id)).claim_no == 0
        await old.drain()
        await bench.start(echoing())
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.claim_no) == (State.SUCCEEDED, 1)

    play(story)


def test_a_type_that_nobody_knows_for_an_hour_is_dead() -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("echo", {"n": 1})
        await bench.start(Registry())
        (task,) = await bench.ended(submitted.id)
        assert task.last_error is not None
        assert (task.attempts, task.last_error.kind) == (0, "unknown_type")
        assert task.due_at - task.created_at >= 3_600_000

    play(story)


def test_a_sync_handler_runs_in_a_thread_and_reports_progress() -> None:
    registry = Registry()

    @registry.handler("sync")
    def sync(number: Number, context: Context) -> str:
        _ = context.progress({"done": 1})  # on its way: there is no loop here to wait on
        return "ok"

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("sync", {})
        with outside_work():
            await bench.start(registry)
            (task,) = await bench.ended(submitted.id)
        assert (task.result, task.progress) == ('"ok"', '{"done":1}')

    play(story)


def test_a_storm_of_progress_writes_little_and_ends_with_the_latest_value() -> None:
    registry = Registry()

    @registry.handler("busy")
    async def busy(_: Number, context: Context) -> None:
        for n in range(10_000):
            _unawaited = context.progress(n)
        await asyncio.sleep(1)
        await context.progress({"done": True})

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("busy", {})
        await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.progress) == (State.SUCCEEDED, '{"done":true}')
        assert bench.aws.calls["BatchExecuteStatement"] <= 6

    play(story)


def test_a_handler_that_exits_does_not_take_the_daemon_along() -> None:
    registry = Registry()

    @registry.handler("exit", retry=RetryPolicy(attempts=1))
    async def leave(_: Number) -> None:
        raise SystemExit(3)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("exit", {})
        worker = await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert task.last_error is not None
        assert task.last_error.class_name == "SystemExit"
        assert not worker.run.done()

    play(story)


def test_a_task_that_keeps_killing_its_daemon_is_quarantined() -> None:
    registry = Registry()
    benches: list[Bench] = []

    @registry.handler("killer")
    async def killer(_: Number) -> None:
        await benches[0].die()

    async def story(bench: Bench) -> None:
        benches.append(bench)
        submitted = await bench.submit("killer", {})
        for _ in range(2):
            worker = await bench.start(registry)
            await asyncio.wait({worker.run})
        last = await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert not last.run.done()
        assert task.last_error is not None
        assert (task.attempts, task.crashes, task.last_error.kind) == (0, 3, "crash_loop")
        crashed = [entry for entry in task.history if entry.outcome == "crashed"]
        assert [entry.claim_no for entry in crashed] == [1, 2, 3]
        assert [entry.by for entry in crashed] == ["daemon-0", "daemon-1", "daemon-2"]

    play(story)
