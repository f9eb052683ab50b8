"""The default policy at every rate: how many tasks an outage takes, and what opens it for nothing.

A little world of one daemon, exact to the milliseconds and the same in each run: tasks that come
at random moments, three attempts with full jitter, hides of whole seconds.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field

import pytest

from ftq import BreakerPolicy, RetryPolicy
from ftq.breaker import Breaker, Permit

POLICY = BreakerPolicy()
TAKES = 50
SEEDS = range(20)


@dataclass
class World:
    """Tasks of one type, `every` so many seconds on average, until the breaker has opened."""

    seed: int
    every: float
    share: float = 1.0
    outage_at: float = 0.0
    attempts: int = 3
    dead: int = 0
    calls: int = 0
    openings: int = 0
    breaker: Breaker = field(default_factory=Breaker)

    def play(self, tasks: int, *, until_open: bool) -> World:
        """Run that many tasks to their ends, or until the first opening."""
        dice, retry, now = random.Random(self.seed), RetryPolicy(self.attempts), 0.0
        due: list[tuple[float, int, int]] = []
        for task in range(tasks):
            now += 1000 * self.every * dice.expovariate(1)
            due.append((now, task, 1))
        while due and not (until_open and self.openings):
            at, task, attempt = heapq.heappop(due)
            self.breaker, permit = self.breaker.permit(60_000, round(at))
            if permit is Permit.NO:
                again = self.breaker.until + 5_000 * dice.random()
                heapq.heappush(due, (again, task, attempt))
                continue
            fails = at >= 1000 * self.outage_at and dice.random() < self.share
            self._ended(str(task), permit, ok=not fails, now=round(at) + TAKES, dice=dice.random())
            if fails and attempt == self.attempts:
                self.dead += 1
            elif fails:
                hidden = max(1, math.ceil(retry.delay(attempt, dice.random())))
                heapq.heappush(due, (at + TAKES + 1000 * hidden, task, attempt + 1))
        return self

    def _ended(self, task: str, permit: Permit, *, ok: bool, now: int, dice: float) -> None:
        probe = self.breaker.until if permit is Permit.PROBE else None
        before, self.calls = self.breaker, self.calls + 1
        self.breaker = before.record(POLICY, task, probe, ok, now, dice)
        self.openings += self.breaker.openings > before.openings


@pytest.mark.parametrize("healthy", [False, True], ids=["from the start", "after good times"])
@pytest.mark.parametrize("every", [0.01, 0.1, 0.5, 1, 3, 6, 60, 3600])
def test_an_outage_takes_at_most_three_tasks_at_any_rate(every: float, healthy: bool) -> None:
    good = max(40, 20 * every) if healthy else 0
    tasks = round((good + max(20, 20 * every)) / every)
    worlds = [World(n, every, outage_at=good).play(tasks, until_open=True) for n in SEEDS]
    assert all(world.openings for world in worlds)
    assert max(world.dead for world in worlds) <= (0 if every <= 0.1 else 3)


@pytest.mark.parametrize(("attempts", "most"), [(1, 10), (2, 5), (3, 3), (5, 3), (10, 0)])
def test_with_other_numbers_of_attempts_it_takes_no_more_than_ten(attempts: int, most: int) -> None:
    worlds = [World(n, 6, attempts=attempts).play(100, until_open=True) for n in SEEDS]
    assert all(world.openings for world in worlds)
    assert max(world.dead for world in worlds) <= most


@pytest.mark.parametrize("every", [0.01, 0.1, 1, 6, 60])
@pytest.mark.parametrize(
    ("share", "most"), [(0.1, 0), (0.3, 1 / 10_000), (0.5, 1 / 200)], ids=["10 %", "30 %", "50 %"]
)
def test_what_is_merely_flaky_hardly_ever_opens_it(every: float, share: float, most: float) -> None:
    if every <= 0.1:
        most = min(most, 1 / 10_000)  # where much goes on, ten in a row are not enough
    world = World(1, every, share).play(20_000, until_open=False)
    assert world.openings <= most * world.calls


@pytest.mark.parametrize("bad", [1, 2, 3])
def test_a_few_bad_tasks_in_a_row_do_not_open_it(bad: int) -> None:
    assert World(1, 60).play(bad, until_open=False).openings == 0
