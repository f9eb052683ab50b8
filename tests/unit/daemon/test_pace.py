"""Slots that follow what handlers take, in the daemon as it is wired."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ftq import Registry
from ftq.testing.clock import run
from ftq_daemon.events import ConcurrencyMoved
from ftq_daemon.sinks.metrics import Metrics
from ftq_daemon.sinks.tally import Gauges, Tally
from ftq_daemon.slots import Slots, Turn
from tests.unit.daemon.bench import Bench

KNEE = 6


@dataclass
class Dependency:
    """Serves so many calls at once; the others wait."""

    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(KNEE))
    inside: int = 0
    most: int = 0

    async def call(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        async with self.places:
            await asyncio.sleep(1)
        self.inside -= 1


def leaning(on: Dependency) -> Registry:
    registry = Registry()

    @registry.handler("leans")
    async def leans(_: int) -> None:
        await on.call()

    return registry


async def drained(concurrency_min: int | None) -> tuple[float, int, list[ConcurrencyMoved], int]:
    """Work 900 tasks off: seconds, the most at once in the last third, moves told, slots."""
    dependency = Dependency()
    async with Bench() as bench:
        tasks = [await bench.submit("leans", n) for n in range(900)]
        began = asyncio.get_running_loop().time()
        worker = await bench.start(
            leaning(dependency), concurrency=48, concurrency_min=concurrency_min
        )
        await worker.tells("task.succeeded", 600)
        dependency.most = 0
        await worker.tells("task.succeeded", 880)
        most, slots = dependency.most, worker.daemon.intake.slots.total
        await bench.ended(*(task.id for task in tasks))
        moves = [event for event in worker.told if isinstance(event, ConcurrencyMoved)]
        return asyncio.get_running_loop().time() - began, most, moves, slots


def test_slots_settle_near_the_knee_and_nothing_is_lost_by_it() -> None:
    seconds, most, moves, slots = run(lambda: drained(2))
    fixed, crowd, none, all_slots = run(lambda: drained(None))
    assert (crowd, none, all_slots) == (48, [], 48), "without the setting nothing follows"
    assert KNEE <= most <= 2 * KNEE
    assert KNEE / 2 <= slots <= 2 * KNEE
    # It begins with two at once, and 50 attempts pass before it knows that more are better.
    assert seconds <= 1.3 * fixed
    assert moves
    assert [move.before for move in moves[1:]] == [move.limit for move in moves[:-1]]


def test_fewer_slots_take_nothing_away_from_what_runs() -> None:
    async def story() -> None:
        slots = Slots(10)
        assert await slots.take(10, Turn()) == 10
        slots.resize(4)
        assert (slots.taken, slots.free) == (10, -6)
        waiting = asyncio.create_task(slots.take(10, Turn()))
        for _ in range(6):
            slots.give(1)
            await asyncio.sleep(1)
        assert not waiting.done(), "there are four, and four are taken"
        slots.give(1)
        assert await waiting == 1
        slots.resize(9)
        assert await slots.take(10, Turn()) == 5
        assert slots.taken == 9

    run(story, limit_seconds=60)


def test_a_watched_number_is_in_the_metrics_as_it_is() -> None:
    metrics, numbers = Metrics(Tally(Registry()), Gauges()), [3.0]
    metrics.watch("ftq_concurrency_limit", "The adaptive limit", lambda: numbers[0])
    assert "ftq_concurrency_limit 3.0" in metrics.render().decode()
    numbers[0] = 5.0
    assert "ftq_concurrency_limit 5.0" in metrics.render().decode()
