"""The whole engine in a test of one's own: retries and delays in no time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

from ftq import Context, InvalidField, KeyConflict, Registry, RetryPolicy, Tick
from ftq.lifecycle import State
from ftq.testing import Harness

Start = Callable[[Registry], Harness]


class Number(BaseModel):
    n: int = 0


class Shop:
    """Handlers of every kind, and what they did."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.seen: list[str] = []
        self.ticks: list[datetime] = []
        self.broken = True

        @self.registry.handler("flaky", retry=RetryPolicy(attempts=3, base=3600, cap=7200))
        async def flaky(number: Number, context: Context) -> int:
            self.seen.append(f"flaky {context.attempt}")
            if self.broken:
                raise ConnectionError("down")
            return number.n

        @self.registry.handler("thread", queue="slow")
        def thread(number: Number) -> int:
            return number.n + 1

        @self.registry.handler("process", run_in="process")
        def process(number: Number, context: Context) -> int:
            _ = context.progress("begun")
            return number.n + 2

        @self.registry.handler("slow", timeout=7200)
        async def slow(number: Number) -> None:
            await asyncio.sleep(number.n)

        @self.registry.every("30 * * * *")
        @self.registry.handler("hourly")
        async def hourly(tick: Tick) -> None:
            self.ticks.append(tick.scheduled_for)

        self.flaky, self.thread, self.process, self.slow = flaky, thread, process, slow


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def harness(shop: Shop, ftq_harness: Start) -> Harness:
    return ftq_harness(shop.registry)


def test_nothing_happens_until_time_goes_on(harness: Harness, shop: Shop) -> None:
    shop.broken = False
    task_id = harness.submit(shop.flaky, Number(n=7))
    assert (harness.task(task_id).state, shop.seen) == (State.QUEUED, [])
    harness.advance(1)
    assert (harness.task(task_id).state, harness.task(task_id).result) == (State.SUCCEEDED, "7")


def test_a_failing_task_retries_dies_and_is_redriven(harness: Harness, shop: Shop) -> None:
    task_id = harness.submit("flaky", {"n": 7})
    began = harness.now
    harness.drain()
    assert shop.seen == ["flaky 1", "flaky 2", "flaky 3"]
    assert [task.id for task in harness.dead_letters()] == [task_id]
    assert harness.now - began > timedelta(minutes=10)
    shop.broken = False
    harness.redrive(task_id)
    harness.drain()
    assert harness.task(task_id).state is State.SUCCEEDED
    assert harness.dead_letters() == []
    with pytest.raises(ValueError, match="is succeeded, not dead"):
        harness.redrive(task_id)


def test_a_delay_is_waited_for_to_the_second(harness: Harness, shop: Shop) -> None:
    task_id = harness.submit(shop.process, Number(), delay_seconds=1800)
    harness.advance(1800 - 1)
    assert harness.task(task_id).state is State.SCHEDULED
    harness.drain()
    assert harness.task(task_id).state is State.SUCCEEDED


def test_handlers_in_threads_and_processes_run_too(harness: Harness, shop: Shop) -> None:
    ids = [harness.submit(shop.thread, Number(n=1)), harness.submit(shop.process, Number(n=1))]
    harness.drain()
    assert [harness.task(task_id).result for task_id in ids] == ["2", "3"]
    assert harness.task(ids[1]).progress == '"begun"'
    assert harness.task(ids[0]).queue.endswith("tasks-slow")


def test_schedules_tick_as_time_goes_on(harness: Harness, shop: Shop) -> None:
    harness.advance(2 * 3600)
    ticks = shop.ticks
    assert [(tick.minute, tick.tzinfo) for tick in ticks] == [(30, UTC), (30, UTC)]
    assert ticks[1] - ticks[0] == timedelta(hours=1)


def test_keys_stand_for_one_task(harness: Harness, shop: Shop) -> None:
    one, two = (harness.submit(shop.slow, Number(), key="k") for _ in range(2))
    assert one == two
    with pytest.raises(KeyConflict):
        harness.submit(shop.slow, Number(n=1), key="k")


def test_what_the_api_refuses_is_refused(harness: Harness) -> None:
    with pytest.raises(InvalidField, match="payload"):
        harness.submit("slow", {"n": "x"})
    with pytest.raises(KeyError):
        harness.task("nobody")
    with pytest.raises(ValueError, match="time does not go back"):
        harness.advance(-1)


def test_a_drain_that_ends_too_early_names_who_is_open(harness: Harness, shop: Shop) -> None:
    task_id = harness.submit(shop.slow, Number(n=3600))
    with pytest.raises(AssertionError, match=rf"after 60 s 1 open: slow {task_id} is running"):
        harness.drain(within=60)
    harness.cancel(task_id)
    harness.drain()
    assert harness.task(task_id).state is State.CANCELLED


def test_handlers_submit_tasks_from_the_loop_and_from_threads() -> None:
    registry = Registry()

    @registry.handler("parent")
    async def parent(_: object) -> str:
        return whole.submit("child", 1)

    @registry.handler("parent.thread")
    def parent_in_thread(_: object) -> str:
        return whole.submit("child", 2)

    @registry.handler("child")
    async def child(n: int) -> int:
        return n

    with Harness(registry) as whole:
        whole.submit("parent")
        whole.submit("parent.thread")
        whole.drain()
        assert sorted(task.type for task in whole.tasks) == [
            "child",
            "child",
            "parent",
            "parent.thread",
        ]
    with pytest.raises(RuntimeError, match="closed"):
        whole.advance(1)


async def test_an_async_test_may_move_the_clock_too(harness: Harness, shop: Shop) -> None:
    task_id = harness.submit(shop.slow, Number(n=60))
    harness.drain()
    assert harness.task(task_id).state is State.SUCCEEDED
