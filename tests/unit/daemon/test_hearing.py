"""Listeners hear what they asked for, and whatever they do, tasks never notice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from ftq import Registry, RetryPolicy
from ftq.events import BreakerOpened, Claimed, Dead, Event, Retrying, Succeeded
from ftq.testing import Harness
from ftq_daemon import hearing
from ftq_daemon.events import Failed

Start = Callable[[Registry], Harness]


def shop() -> Registry:
    registry = Registry()

    @registry.handler("works", breaker=False)
    async def works(n: int) -> int:
        return n

    @registry.handler("fails", retry=RetryPolicy(attempts=2), breaker=False)
    async def fails(n: int) -> int:
        raise ConnectionError(f"order {n} is away")

    return registry


def complaints(harness: Harness) -> list[str]:
    return [each.error for each in harness.events if isinstance(each, Failed)]


def test_each_hears_what_it_asked_for_in_order(ftq_harness: Start) -> None:
    registry = shop()
    heard: list[Event] = []
    ends: list[str] = []

    @registry.listen
    async def everything(event: Event) -> None:
        heard.append(event)

    @registry.listen
    def ended(event: Dead | Succeeded) -> None:
        ends.append(f"{event.task.type} {event.task.attempts}")

    harness = ftq_harness(registry)
    harness.submit("fails", 7)
    harness.drain()
    harness.submit("works", 7)
    harness.drain()
    assert [type(each) for each in heard] == [
        *(Claimed, Retrying, Claimed, Dead),
        *(Claimed, Succeeded),
    ]
    dead = heard[3]
    assert isinstance(dead, Dead)
    assert dead.failure.message == "order 7 is away"
    assert ends == ["fails 1", "works 0"]
    assert complaints(harness) == []


def test_a_breaker_that_opens_is_heard_of(ftq_harness: Start) -> None:
    registry = Registry()
    opened: list[str] = []

    @registry.handler("fails", breaker="smtp", retry=RetryPolicy(attempts=2))
    async def fails(_: int) -> None:
        raise ConnectionError

    @registry.listen
    def page(event: BreakerOpened) -> None:
        opened.append(event.breaker)

    harness = ftq_harness(registry)
    for n in range(20):
        harness.submit("fails", n)
    harness.advance(10)
    assert set(opened) == {"smtp"}


def test_a_sync_one_runs_beside_the_loop_and_an_async_one_on_it(ftq_harness: Start) -> None:
    registry, where = shop(), dict[str, str]()

    @registry.listen
    def sync(event: Succeeded) -> None:
        where["sync"] = threading.current_thread().name

    @registry.listen
    async def asynchronous(event: Succeeded) -> None:
        await asyncio.sleep(5)
        where["async"] = threading.current_thread().name

    harness = ftq_harness(registry)
    harness.submit("works", 1)
    harness.drain()
    assert where["async"] == threading.current_thread().name
    assert where["sync"].endswith("sync")


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3), asyncio.CancelledError()])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_one_that_raises_is_told_of_now_and_then_and_hears_the_next(
    ftq_harness: Start, kind: str, error: BaseException
) -> None:
    registry, heard = shop(), list[str]()

    def hear(event: Succeeded) -> None:
        heard.append(event.task.id)
        raise error

    async def hear_later(event: Succeeded) -> None:
        hear(event)

    registry.listen(hear if kind == "sync" else hear_later)
    harness = ftq_harness(registry)
    ids = [harness.submit("works", n) for n in range(20)]
    harness.drain()
    assert sorted(heard) == sorted(ids)
    assert len(complaints(harness)) == 1
    harness.advance(61)
    harness.submit("works", 0)
    harness.drain()
    harness.advance(1)
    name = type(error).__name__
    first, second = complaints(harness)
    assert f" raised {name}: {error}" in first
    assert f" raised {name}: {error}" in second
    # All are counted, in one line or the other.
    assert sum(int(text.split()[-3]) if "before" in text else 0 for text in (first, second)) == 19


def test_one_that_is_slow_loses_events_and_holds_nobody_up(
    ftq_harness: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "MOST_WAITING", 5)
    registry, heard = shop(), list[str]()

    @registry.listen
    async def slow(event: Succeeded) -> None:
        await asyncio.sleep(10)
        heard.append(event.task.id)

    harness = ftq_harness(registry)
    ids = [harness.submit("works", n) for n in range(20)]
    harness.advance(5)
    assert {harness.task(each).state for each in ids} == {"succeeded"}
    harness.drain()
    assert 5 <= len(heard) <= 6
    harness.close()
    dropped = [text for text in complaints(harness) if "is too slow" in text]
    assert sum(int(text.split()[-4]) for text in dropped) == 20 - len(heard)


def test_one_that_never_waits_lets_others_have_the_loop_in_between(ftq_harness: Start) -> None:
    registry, turns, seen = shop(), list[int](), list[int]()

    @registry.listen
    async def greedy(event: Claimed) -> None:
        seen.append(len(turns))
        asyncio.get_running_loop().call_soon(turns.append, 1)

    harness = ftq_harness(registry)
    for n in range(10):
        harness.submit("works", n)
    harness.drain()
    assert seen == list(range(10))


def test_one_that_hangs_is_cancelled_and_hears_the_next(ftq_harness: Start) -> None:
    registry, heard = shop(), list[str]()

    @registry.listen
    async def hangs(event: Succeeded) -> None:
        heard.append(event.task.id)
        if len(heard) == 1:
            await asyncio.Event().wait()

    harness = ftq_harness(registry)
    ids = [harness.submit("works", n) for n in range(2)]
    harness.drain()
    assert sorted(heard) == sorted(ids)
    (told,) = complaints(harness)
    assert told.endswith("hangs did not end in 30 s")


def test_the_last_is_heard_at_the_stop_which_waits_a_second_at_most(ftq_harness: Start) -> None:
    registry, heard = shop(), list[str]()

    @registry.handler("ends.with.it", timeout=7200)
    async def long(_: int) -> int:
        await asyncio.sleep(20)
        return 1

    @registry.listen
    async def quick(event: Succeeded) -> None:
        await asyncio.sleep(0.5)
        heard.append(event.task.type)

    @registry.listen
    async def hangs(event: Succeeded) -> None:
        await asyncio.Event().wait()

    harness = ftq_harness(registry)
    harness.submit("ends.with.it", 1)
    harness.advance(10)
    began = harness.now
    harness.close()
    assert heard == ["ends.with.it"]
    assert (harness.now - began).total_seconds() == pytest.approx(11, abs=2)


def test_a_listener_may_submit(ftq_harness: Start) -> None:
    registry = shop()

    @registry.listen
    def again(event: Dead) -> None:
        harness.submit("works", 1)

    harness = ftq_harness(registry)
    harness.submit("fails", 1)
    harness.drain()
    assert [task.state for task in harness.tasks] == ["dead", "succeeded"]
