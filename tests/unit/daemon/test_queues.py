"""One daemon serves several queues: by weight or strictly, and none keeps another waiting."""

from __future__ import annotations

import asyncio

from ftq import Context, Registry
from ftq.lifecycle import State
from ftq.ports import Call
from ftq.settings import NamedQueue
from ftq.wire import queue as wire
from tests.unit.daemon.bench import Bench
from tests.unit.daemon.test_daemon import Number, play


def slow(seconds: float = 1.0) -> tuple[Registry, list[int]]:
    registry = Registry()
    began: list[int] = []

    @registry.handler("work")
    async def work(number: Number) -> None:
        began.append(number.n)
        await asyncio.sleep(seconds)

    @registry.handler("fail")
    async def fail(_: Number, context: Context) -> None:
        if context.attempt == 1:
            raise ValueError("the first time")

    return registry, began


def test_busy_queues_share_a_daemon_by_weight() -> None:
    async def story(bench: Bench) -> None:
        registry, began = slow()
        urgent = await bench.make_queue("urgent")
        for _ in range(400):
            await bench.submit_to(urgent, "work", {"n": 1})
            await bench.submit_to(bench.url, "work", {"n": 0})
        named = [NamedQueue("urgent", urgent, 4)]
        await bench.start(registry, concurrency=10, queues=named)
        await asyncio.sleep(30)
        # The first receive of a queue that was quiet is not weighed yet.
        counted = began[40:260]
        assert 0.7 < sum(counted) / len(counted) < 0.9

    play(story)


def test_strictly_a_lower_queue_waits_until_the_higher_one_is_empty() -> None:
    async def story(bench: Bench) -> None:
        registry, began = slow()
        urgent = await bench.make_queue("urgent")
        for _ in range(200):
            await bench.submit_to(bench.url, "work", {"n": 0})
            await bench.submit_to(urgent, "work", {"n": 1})
        named = [NamedQueue("urgent", urgent)]
        await bench.start(registry, concurrency=10, queues=named, queue_order="strict")
        await asyncio.sleep(60)
        assert len(began) == 400
        # What the quiet lower queue had handed out before goes first, and nothing else.
        assert sum(began[:30]) >= 10
        assert sum(began[30:200]) == 170

    play(story)


def test_the_long_poll_of_a_quiet_queue_takes_no_slot_from_a_busy_one() -> None:
    async def story(bench: Bench) -> None:
        registry, began = slow()
        quiet = [await bench.make_queue(f"quiet-{n}") for n in range(4)]
        named = [NamedQueue(f"quiet-{n}", url) for n, url in enumerate(quiet)]
        await bench.start(registry, concurrency=10, queues=named)
        await asyncio.sleep(1)
        for _ in range(100):
            await bench.submit_to(bench.url, "work", {"n": 0})
        await asyncio.sleep(15)
        assert len(began) == 100, "ten at a time, a second each"

    play(story)


def test_a_quiet_queue_is_served_at_once_while_another_has_a_backlog() -> None:
    async def story(bench: Bench) -> None:
        registry, _ = slow()
        urgent = await bench.make_queue("urgent")
        for _ in range(500):
            await bench.submit_to(bench.url, "work", {"n": 0})
        await bench.start(registry, concurrency=10, queues=[NamedQueue("urgent", urgent, 10)])
        await asyncio.sleep(10)
        task = await bench.submit_to(urgent, "work", {"n": 1})
        (done,) = await bench.ended(task.id)
        assert done.state is State.SUCCEEDED
        assert done.updated_at - done.created_at < 5000

    play(story)


def test_a_task_stays_on_its_queue_through_retries_and_sweeps() -> None:
    async def story(bench: Bench) -> None:
        registry, _ = slow()
        bulk = await bench.make_queue("bulk")
        tasks = [await bench.submit_to(bulk, "fail", {"n": n}) for n in range(10)]
        await bench.aws.call(Call("sqs", "PurgeQueue", {"QueueUrl": bulk}))
        await bench.start(registry, queues=[NamedQueue("bulk", bulk)])
        ended = await bench.ended(*(task.id for task in tasks))
        assert {(task.state, task.attempts, task.queue) for task in ended} == {
            (State.SUCCEEDED, 1, bulk)
        }
        assert {task.sweeps for task in ended} == {1}

    play(story)


def test_a_stop_gives_back_what_came_from_every_queue() -> None:
    async def story(bench: Bench) -> None:
        registry, _ = slow(3600)
        bulk = await bench.make_queue("bulk")
        both = [await bench.submit_to(url, "work", {"n": 0}) for url in (bulk, bench.url)]
        worker = await bench.start(registry, queues=[NamedQueue("bulk", bulk)])
        await worker.tells("task.claimed", 2)
        assert await worker.drain() == 0
        for task in both:
            found = await bench.task(task.id)
            assert (found.state, found.releases) == (State.QUEUED, 1)
            attributes = wire.read_attributes(await bench.aws.call(wire.depth(task.queue)))
            assert attributes["ApproximateNumberOfMessages"] == "1"

    play(story)


def test_a_queue_that_has_run_dry_holds_no_slots_through_its_long_poll() -> None:
    async def story(bench: Bench) -> None:
        registry, began = slow()
        other = await bench.make_queue("other")
        for _ in range(20):
            await bench.submit_to(other, "work", {"n": 1})
        await bench.start(registry, concurrency=10, queues=[NamedQueue("other", other, 100)])
        await asyncio.sleep(2.5)
        assert began == [1] * 20
        # It was busy, and its next receive finds nothing.
        for _ in range(30):
            await bench.submit_to(bench.url, "work", {"n": 0})
        await asyncio.sleep(5)
        assert began.count(0) == 30

    play(story)
