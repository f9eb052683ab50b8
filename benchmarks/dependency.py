"""A dependency with a knee, and handlers that keep it busy: virtual time, no daemon.

A closed queue: so many servers, first come first served, and as many callers as the limit lets
in, each of which comes back at once. By the operational laws its throughput is bounded by
servers / service time, and its time by N × service / servers: the knee is at N = servers
(Denning and Buzen, 1978).
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ftq.concurrency import Concurrency


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of task: its share of the mix, and a draw of its service time in seconds."""

    name: str
    share: float
    service: Callable[[random.Random], float]


@dataclass(frozen=True, slots=True)
class End:
    """An attempt that has ended, as seen by whoever watches."""

    at: float
    seconds: float
    limit: float
    total: int
    running: int


@dataclass(slots=True)
class _Call:
    kind: Kind
    began: float
    service: float
    fails: bool


def steady(seconds: float) -> Callable[[random.Random], float]:
    """Service times that vary a little."""
    return lambda dice: seconds * dice.uniform(0.8, 1.2)


def exponential(seconds: float) -> Callable[[random.Random], float]:
    """Service times without memory: as spread as they are long."""
    return lambda dice: dice.expovariate(1 / seconds)


def either(one: float, other: float, share: float) -> Callable[[random.Random], float]:
    """Service times with two peaks; `share` is that of the other."""
    return lambda dice: (other if dice.random() < share else one) * dice.uniform(0.9, 1.1)


def drive(
    rule: Concurrency,
    kinds: list[Kind],
    servers: Callable[[float], int],
    *,
    seconds: float,
    seed: int = 1,
    slowdown: Callable[[float], float] = lambda _: 1.0,
    failing: Callable[[float, int], float] = lambda _, __: 0.0,
    most: Callable[[float], int] = lambda _: 1_000_000,
) -> Iterator[End]:
    """Run tasks against the dependency for so many virtual seconds.

    Args:
        rule: Says how many at once.
        kinds: The mix.
        servers: How many the dependency has, by time.
        seconds: How long.
        seed: Of all dice.
        slowdown: A factor on service times, by time.
        failing: The chance that an attempt fails at once, by time and how many run.
        most: How many callers there are, whatever the limit, by time.
    """
    dice = random.Random(seed)
    shares = [kind.share for kind in kinds]
    now, running, busy = 0.0, 0, 0
    waiting: deque[_Call] = deque()
    ends: list[tuple[float, int, _Call]] = []
    number = 0
    while now < seconds:
        while running < min(rule.total, most(now)):
            [kind] = dice.choices(kinds, shares)
            fails = dice.random() < failing(now, running)
            service = 0.001 if fails else kind.service(dice) * slowdown(now)
            waiting.append(_Call(kind, now, service, fails))
            running += 1
        while waiting and busy < servers(now):
            call = waiting.popleft()
            number += 1
            heapq.heappush(ends, (now + call.service, number, call))
            busy += 1
        now, _, call = heapq.heappop(ends)
        took = now - call.began
        rule.record(
            call.kind.name,
            took,
            ok=not call.fails,
            timed=not call.fails,
            in_hand=running,
            now=round(now * 1000),
            dice=dice.random(),
        )
        busy -= 1
        running -= 1
        yield End(now, took, rule.limit, rule.total, running + 1)
