"""Nothing accepted is lost: what the queue loses, or was never given, is sent when it is due."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from ftq import Context, Registry, RetryPolicy
from ftq.control import CancelAnswer, Operator, cancel
from ftq.lifecycle import State
from ftq.ports import Call
from ftq.steps import walk_async
from ftq.submission import Plan, Submission, Terms, plan
from ftq.testing import Fault, FaultyPort, MemoryAws
from ftq.wire import queue, table
from ftq.wire.item import to_item
from ftq.wire.statements import Statements
from ftq_daemon.events import Swept
from ftq_daemon.sweeper import MOST_PAGES
from tests.unit.daemon.bench import TABLE, Bench
from tests.unit.daemon.test_daemon import Number, echoing, play

GRACE = 900
# The longest between two sweeps of a daemon, and what a receive and a claim take.
SWEEP = 37_500 + 1_000
BACKLOG = 100_000


def working(seconds: float = 5.0) -> tuple[Registry, list[str]]:
    registry = Registry()
    runs: list[str] = []

    @registry.handler("work", retry=RetryPolicy(attempts=3, base=30, cap=60))
    async def work(number: Number, context: Context) -> None:
        await asyncio.sleep(seconds)
        runs.append(context.task_id)
        if number.n % 5 == 0 and context.attempt == 1:
            raise ValueError("the first attempt of every fifth")

    return registry, runs


async def purge(bench: Bench) -> None:
    await bench.aws.call(Call("sqs", "PurgeQueue", {"QueueUrl": bench.url}))


def test_all_tasks_finish_though_the_queue_is_purged_in_the_middle_of_them() -> None:
    async def story(bench: Bench) -> None:
        registry, runs = working()
        submitted = [await bench.submit("work", {"n": n}) for n in range(500)]
        worker = await bench.start(registry, concurrency=20)
        await worker.tells("task.succeeded", 150)
        await purge(bench)
        assert await bench.backlog() == 0
        # No new traffic follows.
        tasks = await bench.ended(*(task.id for task in submitted))
        assert {task.state for task in tasks} == {State.SUCCEEDED}
        assert {task.crashes for task in tasks} == {0}
        # What was running as the queue was purged ended by itself, and was not run again.
        assert len(runs) == sum(task.attempts + 1 for task in tasks)

    play(story)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_backlog_is_neither_doubled_nor_read_at_each_sweep() -> None:
    async def story(bench: Bench) -> None:
        registry, _ = working(seconds=60)
        # Of the messages only those that could be received in this time are really there.
        one = await bench.submit("work", {"n": 0})
        for n in range(1, BACKLOG):
            if n < 1000:
                await bench.submit("work", {"n": n})
            else:
                bench.aws.table(TABLE).put(to_item(replace(one, id=f"task-{n}")), if_absent=True)
        await bench.start(registry, concurrency=10)
        await asyncio.sleep(GRACE + 60)
        bench.aws.calls.clear()
        await asyncio.sleep(1200)
        sweeps = 1200 / 30
        assert bench.aws.calls["SendMessageBatch"] == 0
        assert bench.aws.calls["BatchGetItem"] == 0
        # Each page once, and then of each shard the first one and what has come due since.
        assert bench.aws.calls["Query"] <= BACKLOG / 100 + 16 + 2 * 16 * sweeps * 1.4

    play(story)


def test_a_scheduled_task_does_not_wait_behind_a_backlog() -> None:
    async def story(bench: Bench) -> None:
        registry, _ = working(seconds=60)
        began = bench.now()
        for n in range(4000):
            await bench.submit("work", {"n": n})
        start = began + (GRACE + 300) * 1000
        planned = bench.plan("work", {"n": 1}, not_before=start)
        await bench.aws.call(table.put(TABLE, planned.task))
        await bench.start(registry, concurrency=10)
        await asyncio.sleep(GRACE + 300)
        assert (await bench.task(planned.task.id)).state is State.SCHEDULED
        await asyncio.sleep(60)
        assert (await bench.task(planned.task.id)).state is State.QUEUED
        # Nor is the backlog beyond its first page read again and again.
        bench.aws.calls.clear()
        await asyncio.sleep(600)
        assert bench.aws.calls["Query"] <= 2 * 16 * 20 * 1.4

    play(story)


def test_a_queue_at_its_limit_in_flight_is_not_taken_for_an_empty_one() -> None:
    async def story(bench: Bench) -> None:
        registry, _ = working(seconds=60)
        for n in range(300):
            await bench.submit("work", {"n": n})
        # Thirty slots, and SQS gives out fifteen: polls come back empty though there is work.
        workers = [await bench.start(registry, concurrency=10) for _ in range(3)]
        await asyncio.sleep(GRACE + 200)
        told = [event for worker in workers for event in worker.told]
        assert await bench.backlog() > 15
        assert sum(event.sent for event in told if isinstance(event, Swept)) == 0

    play(story, MemoryAws(in_flight_limit=15))


def test_another_queues_backlog_in_the_same_table_is_read_within_bounds() -> None:
    async def story(bench: Bench) -> None:
        other = Terms(f"{bench.url}-other", GRACE * 1000, 30 * 86_400_000)
        for n in range(20_000):
            asked = Submission("work", {"n": n}, f"other-{n}")
            await bench.aws.call(table.put(TABLE, plan(asked, other, bench.now()).task))
        registry, _ = working()
        await bench.start(registry)
        await asyncio.sleep(GRACE + 60)
        bench.aws.calls.clear()
        await asyncio.sleep(60)
        assert bench.aws.calls["Query"] <= 16 * MOST_PAGES * 3
        assert bench.aws.calls["BatchGetItem"] == 0

    play(story)


def test_a_task_whose_send_failed_is_sent_soon() -> None:
    async def story(bench: Bench) -> None:
        planned = bench.plan("echo", {"n": 1})
        await bench.aws.call(table.put(TABLE, planned.task))
        hurry = Statements(TABLE).hurry(planned.task, bench.now())
        await bench.aws.call(table.execute([hurry]))
        await bench.start(echoing())
        (task,) = await bench.ended(planned.task.id)
        assert (task.state, task.sweeps) == (State.SUCCEEDED, 1)
        assert task.due_at - task.created_at <= 180_000

    play(story)


def test_a_task_that_was_put_and_never_sent_is_sent_after_the_grace() -> None:
    async def story(bench: Bench) -> None:
        planned = bench.plan("echo", {"n": 1})
        await bench.aws.call(table.put(TABLE, planned.task))
        await bench.start(echoing())
        (task,) = await bench.ended(planned.task.id)
        assert task.state is State.SUCCEEDED
        assert GRACE <= (task.due_at - task.created_at) / 1000 <= GRACE + 60

    play(story)


@pytest.mark.parametrize("minutes", [20, 180, 3 * 24 * 60])
def test_a_scheduled_task_runs_within_a_sweep_of_its_time_whatever_the_delay(minutes: int) -> None:
    async def story(bench: Bench) -> None:
        planned = await scheduled(bench, minutes)
        await bench.start(echoing())
        (task,) = await bench.ended(planned.task.id)
        assert task.state is State.SUCCEEDED
        # The write that ended it, for the handler takes no time.
        assert 0 <= task.due_at - task.not_before <= SWEEP
        assert (task.claim_no, task.sweeps) == (1, 1)

    play(story)


@pytest.mark.parametrize("minutes", [20, 3 * 24 * 60])
def test_a_scheduled_task_that_is_cancelled_just_before_its_time_never_runs(minutes: int) -> None:
    async def story(bench: Bench) -> None:
        planned = await scheduled(bench, minutes)
        worker = await bench.start(echoing())
        await asyncio.sleep((planned.task.not_before - bench.now()) / 1000 - 1)
        who = Operator("operator", bench.now(), GRACE * 1000, 30 * 86_400_000)
        done = await walk_async(bench.aws, cancel(Statements(TABLE), planned.task.id, who))
        assert done is not None
        assert done.answer is CancelAnswer.CANCELLED
        await asyncio.sleep(3600)
        assert (await bench.task(planned.task.id)).state is State.CANCELLED
        assert "task.claimed" not in worker.names()
        assert await bench.backlog() == 0

    play(story)


async def scheduled(bench: Bench, minutes: int) -> Plan:
    """A task that is due in so long; most of that is over, while daemons had nothing to do."""
    planned = bench.plan("echo", {}, not_before=bench.now() + minutes * 60_000)
    assert planned.task.state is State.SCHEDULED
    await bench.aws.call(table.put(TABLE, planned.task))
    await asyncio.sleep(minutes * 60 - 1_000)
    return planned


def test_a_task_that_runs_for_hours_is_not_sent_again() -> None:
    registry, runs = working(seconds=4 * 3600 - 60)
    for handler in list(registry):
        assert handler.timeout < 4 * 3600
    patient = Registry()

    @patient.handler("work", timeout=6 * 3600)
    async def work(_: Number, context: Context) -> None:
        await asyncio.sleep(5 * 3600)
        runs.append(context.task_id)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("work", {})
        await bench.start(patient)
        await bench.start(patient)
        (task,) = await bench.ended(submitted.id)
        assert (task.claim_no, task.sweeps, runs) == (1, 0, [submitted.id])
        assert bench.aws.calls["SendMessageBatch"] == 0

    play(story)


def test_what_sqs_itself_moved_to_its_dlq_is_sent_again_and_ends() -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("echo", {"n": 1})
        # Somebody else's consumer takes it away, as SQS does past maxReceiveCount.
        (message,) = queue.read_receive(await bench.aws.call(queue.receive(bench.url, 1, 0, 30)))
        await bench.aws.call(queue.send(bench.dlq_url, queue.copy_of(message, {})))
        await bench.aws.call(queue.delete_batch(bench.url, [message.handle]))
        await bench.start(echoing())
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.claim_no, task.sweeps) == (State.SUCCEEDED, 1, 1)

    play(story)


def test_a_large_payload_is_swept_without_being_carried() -> None:
    registry = Registry()

    @registry.handler("large")
    async def large(payload: list[str]) -> int:
        return len(payload[0])

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("large", ["x" * 200_000])
        await purge(bench)
        await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert (task.result, task.sweeps) == ("200000", 1)

    play(story)


def test_a_large_payload_that_is_read_late_is_kept_for_longer() -> None:
    async def story(bench: Bench) -> None:
        planned = bench.plan("echo", {"n": 1, "padding": "x" * 5000})
        assert planned.beside is not None
        soon = bench.now() // 1000 + 10 * 86_400
        await bench.aws.call(table.put_beside(TABLE, planned.beside, planned.payload, soon))
        await bench.aws.call(table.put(TABLE, planned.task))
        await bench.start(echoing())
        await bench.ended(planned.task.id)
        beside = table.read_beside(await bench.aws.call(table.get(TABLE, planned.beside)))
        assert beside is not None
        assert beside.expires_at >= bench.now() // 1000 + 59 * 86_400

    play(story)


def test_a_large_payload_that_is_gone_ends_the_task_as_payload_lost() -> None:
    async def story(bench: Bench) -> None:
        planned = bench.plan("echo", {"n": 1, "padding": "x" * 5000})
        await bench.aws.call(table.put(TABLE, planned.task))
        await bench.start(echoing())
        (task,) = await bench.ended(planned.task.id)
        assert task.last_error is not None
        assert (task.state, task.last_error.kind) == (State.DEAD, "payload_lost")
        assert (task.attempts, task.crashes) == (0, 0)

    play(story)


def test_a_sweep_that_fails_goes_on_at_the_next() -> None:
    async def story(bench: Bench) -> None:
        planned = bench.plan("echo", {}, not_before=bench.now() + 1_000_000)
        await bench.aws.call(table.put(TABLE, planned.task))
        nth = itertools.count()

        def flaky(call: Call) -> Fault | None:
            bad = call.operation in ("Query", "BatchGetItem") and next(nth) % 7 == 3
            return Fault(error="unavailable") if bad else None

        worker = await bench.start(echoing(), port=FaultyPort(bench.aws, flaky))
        (task,) = await bench.ended(planned.task.id)
        assert task.state is State.SUCCEEDED
        assert "daemon.failed" in worker.names()

    play(story)
