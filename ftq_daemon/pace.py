"""Lets the number of slots follow what handlers take, between bounds (opt-in).

The rule is `ftq.concurrency`'s; here it meets the clock, the outcomes, and the slots.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ftq.concurrency import Concurrency
from ftq.outcome import Outcome, Returned, TimedOut
from ftq_daemon.breakers import counts_as_failure
from ftq_daemon.clock import World
from ftq_daemon.events import ConcurrencyMoved, Events
from ftq_daemon.slots import Slots

# A move is told if it is this large a share of what was told last, and this long after that.
TOLD_SHARE: Final = 0.25
TOLD_SECONDS: Final = 10.0


class Pace:
    """Sets the slots of one daemon.

    Args:
        rule: Says how many.
        slots: Are set.
        world: For the dice.
        events: Told of large moves.
    """

    def __init__(self, rule: Concurrency, slots: Slots, world: World, events: Events) -> None:
        """Begin where the rule begins."""
        self._rule = rule
        self._slots = slots
        self._world = world
        self._events = events
        self._told = rule.limit
        self._told_at = float("-inf")
        slots.resize(rule.total)

    @property
    def limit(self) -> float:
        """Where the rule stands; a probe holds the slots at half of it for a while."""
        return self._rule.limit

    def note(self, type_: str, outcome: Outcome, seconds: float) -> None:
        """Count how an attempt ended, if that says anything of what it leans on."""
        ok, failed = isinstance(outcome, Returned), counts_as_failure(outcome)
        if not (ok or failed):
            return
        now = asyncio.get_running_loop().time()
        moved = self._rule.record(
            type_,
            seconds,
            ok=ok,
            timed=ok or isinstance(outcome, TimedOut),
            in_hand=self._slots.taken,
            now=round(now * 1000),
            dice=self._world.dice(),
        )
        if moved:
            self._slots.resize(self._rule.total)
            self._tell(now)

    def _tell(self, now: float) -> None:
        limit, told = self._rule.limit, self._told
        if abs(limit - told) >= TOLD_SHARE * told and now - self._told_at >= TOLD_SECONDS:
            self._told, self._told_at = limit, now
            self._events.emit(ConcurrencyMoved(round(told), round(limit), self._rule.ratio))
