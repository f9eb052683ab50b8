"""A fleet under `deploy/ecs/scaling.yaml`, minute by minute, on virtual time.

What is modelled, each with its source:

- CloudWatch says each minute what SQS, ECS and the daemons counted, a minute late.
- Target tracking scales out after 3 minutes above its target and in after 15 below nine tenths of
  it, each time to the least fleet that would meet the target ("How target tracking scaling for
  Application Auto Scaling works"; the two counts are those of the alarms that it makes).
- A cooldown after scaling in blocks the next scaling in, but no scaling out.
- The step from zero: an alarm over one minute.
- A new daemon takes work after `START_SECONDS`; one that goes drains, and takes no more.

Not modelled: Fargate's lack of room, crashes, retries.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import mean
from typing import Final, TypeAlias

Load: TypeAlias = Callable[[int], float]
"""Tasks a second that arrive, by second."""

START_SECONDS: Final = 45
OUT_MINUTES: Final = 3
IN_MINUTES: Final = 15
IN_SHARE: Final = 0.9
IN_COOLDOWN_MINUTES: Final = 5
BUSY_SHARE: Final = 0.8
"""How busy a daemon may be before another one is due: as in the template's expression."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the template is given.

    Attributes:
        least: The least daemons.
        most: The most.
        slots: Handlers at once in each.
        acceptable: Seconds that a task may wait.
        handler: Seconds of a handler until it was measured.
        counts_busy: Whether work under way counts. Only the template without that half does not.
    """

    least: int = 1
    most: int = 20
    slots: int = 16
    acceptable: float = 30.0
    handler: float = 1.0
    counts_busy: bool = True

    def needed(self, waiting: float, running: float, seconds: float, busy: float) -> float:
        """Needed daemons over running ones: the template's expression.

        Args:
            waiting: Visible messages.
            running: Daemons that run.
            seconds: What a handler takes on average.
            busy: Slots in use of an average daemon.
        """
        backlog = waiting * seconds / (self.slots * self.acceptable * max(running, 1))
        return backlog + (busy / (BUSY_SHARE * self.slots) if self.counts_busy else 0)


@dataclass(frozen=True, slots=True)
class Minute:
    """What was so in one minute.

    Attributes:
        arrived: Tasks that arrived.
        waiting: Messages that waited at its end.
        running: Daemons that took work at its end.
        desired: Daemons that were wanted.
        longest: The longest that a task which was begun in it had waited, in seconds.
        late: Tasks begun in it that had waited longer than is acceptable.
        needed: What the policy's expression gave.
    """

    arrived: int
    waiting: int
    running: int
    desired: int
    longest: int
    late: int
    needed: float


@dataclass(slots=True)
class Fleet:
    """Daemons, a queue, and the policy that follows it.

    Args:
        policy: How many daemons there are to be.
        seconds: What each handler takes, in whole seconds.
        seed: Of the dice for arrivals.
    """

    policy: Policy
    seconds: int
    seed: int = 1
    _queue: deque[list[int]] = field(default_factory=deque)
    _ends: dict[int, int] = field(default_factory=dict)
    _busy: int = 0
    _running: int = 0
    _starts: list[int] = field(default_factory=list)
    _desired: int = 0
    _high: int = 0
    _low: int = 0
    _in_after: int = 0
    _told: deque[float] = field(default_factory=lambda: deque([0.0]))

    def run(self, load: Load, minutes: int) -> Sequence[Minute]:
        """Let it run; what was so in each minute."""
        dice = random.Random(self.seed)
        self._desired = self._running = self.policy.least
        return [self._minute(load, dice, minute) for minute in range(minutes)]

    def _minute(self, load: Load, dice: random.Random, minute: int) -> Minute:
        arrived = longest = late = 0
        busy: list[int] = []
        for second in range(minute * 60, minute * 60 + 60):
            new = _poisson(dice, load(second))
            arrived += new
            for waited, many in self._second(second, new):
                longest = max(longest, waited)
                late += many if waited > self.policy.acceptable else 0
            busy.append(self._busy)
        waiting = sum(many for _, many in self._queue)
        measured = self.seconds if self._busy or waiting else self.policy.handler
        each = mean(busy) / max(self._running, 1)
        needed = self.policy.needed(waiting, self._running, measured, each)
        self._told.append(needed)
        self._scale(minute, self._told.popleft(), waiting)
        return Minute(arrived, waiting, self._running, self._desired, longest, late, needed)

    def _second(self, second: int, new: int) -> list[tuple[int, int]]:
        """One second: who ends, who comes, who is begun and how long it had waited."""
        self._busy -= self._ends.pop(second, 0)
        self._running += sum(1 for at in self._starts if at == second)
        self._starts = [at for at in self._starts if at > second]
        if new:
            self._queue.append([second, new])
        free = self._running * self.policy.slots - self._busy
        begun: list[tuple[int, int]] = []
        while free > 0 and self._queue:
            since, many = self._queue[0]
            taken = min(free, many)
            begun.append((second - since, taken))
            self._ends[second + self.seconds] = self._ends.get(second + self.seconds, 0) + taken
            self._busy += taken
            free -= taken
            if taken == many:
                self._queue.popleft()
            else:
                self._queue[0][1] -= taken
        return begun

    def _scale(self, minute: int, needed: float, waiting: int) -> None:
        self._high = self._high + 1 if needed > 1 else 0
        self._low = self._low + 1 if needed < IN_SHARE else 0
        fleet = max(self._running, 1)
        if not self._desired and waiting:
            self._want(minute, 1)  # the step from zero
        elif self._high >= OUT_MINUTES:
            self._want(minute, max(self._desired, math.ceil(fleet * needed)))
        elif self._low >= IN_MINUTES and minute >= self._in_after:
            self._want(minute, min(self._desired, math.ceil(fleet * needed)))
            self._in_after = minute + IN_COOLDOWN_MINUTES

    def _want(self, minute: int, daemons: int) -> None:
        wanted = min(max(daemons, self.policy.least), self.policy.most)
        there = self._running + len(self._starts)
        if wanted > there:
            self._starts += [minute * 60 + 60 + START_SECONDS] * (wanted - there)
        elif wanted < there:
            # One that goes ends what it has begun, and begins no more.
            gone = there - wanted
            unborn = min(gone, len(self._starts))
            self._starts = self._starts[: len(self._starts) - unborn]
            self._running -= gone - unborn
        self._desired = wanted


def _poisson(dice: random.Random, rate: float) -> int:
    """How many of independent arrivals come in a second (Knuth; by a normal beyond 50)."""
    if rate > 50:
        return max(0, round(dice.gauss(rate, math.sqrt(rate))))
    limit, product, many = math.exp(-rate), dice.random(), 0
    while product > limit:
        product *= dice.random()
        many += 1
    return many


def turns(minutes: Sequence[Minute]) -> int:
    """How often the fleet changed its direction: from growing to shrinking, or back."""
    steps = [b.desired - a.desired for a, b in pairwise(minutes)]
    signs = [step > 0 for step in steps if step]
    return sum(a != b for a, b in pairwise(signs))
