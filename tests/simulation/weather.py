"""The weather of a run: what goes wrong with whose calls, drawn call by call."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from ftq.ports import Call
from ftq.testing import Fault
from ftq.testing.faults import Error, parts
from tests.simulation.schedule import Burst, Rates

_ERRORS: Final[tuple[Error, ...]] = ("throttled", "unavailable", "lost", "overdue", "")
# A usual round trip.
_TRIP: Final = 0.02
_LONG: Final = 2.0


class Weather:
    """A plan for the calls of one process.

    Args:
        who: Whose calls they are.
        dice: Draws.
        rates: What goes wrong at any time.
        bursts: What goes wrong at some times.
        clock: Virtual seconds.
        seen: Told what went wrong with which kind of call.

    Attributes:
        calm: Nothing goes wrong any more.
        hindered_at: When something last went wrong for long; -inf if nothing ever did.
    """

    def __init__(
        self,
        who: str,
        dice: random.Random,
        rates: Rates,
        bursts: Sequence[Burst],
        clock: Callable[[], float],
        seen: Callable[[str], None],
    ) -> None:
        """Load the dice."""
        self.calm = False
        self.hindered_at = float("-inf")
        self._dice = dice
        self._rates = rates
        self._bursts = [burst for burst in bursts if burst.who in ("", who)]
        self._clock = clock
        self._seen = seen
        shares = [rates.throttled, rates.unavailable, rates.lost, rates.overdue]
        self._shares = [*shares, 1 - sum(shares)]

    def __call__(self, call: Call) -> Fault | None:
        """Draw what goes wrong with a call."""
        if self.calm:
            return None
        fault = self._burst(call) or self._draw(call)
        if fault.error == "overdue" or fault.before + fault.after > _LONG:
            self.hindered_at = self._clock() + fault.before + fault.after
        if fault.error:
            self._seen(f"{fault.error} {kind_of(call)}")
        return fault

    def _burst(self, call: Call) -> Fault | None:
        now = self._clock()
        for burst in self._bursts:
            hit = burst.start <= now < burst.end and burst.service in ("", call.service)
            if hit and self._dice.random() < 0.9:
                self.hindered_at = now
                return Fault(burst.error, before=_TRIP)
        return None

    def _draw(self, call: Call) -> Fault:
        draw, rates = self._dice.random, self._rates
        (error,) = self._dice.choices(_ERRORS, self._shares)
        if error == "overdue" and call.service == "sqs":
            error = "lost"
        before, after = draw() * _TRIP, draw() * _TRIP
        if draw() < rates.slow or error == "overdue":
            before, after = draw() * rates.longest, draw() * rates.longest
        failing: frozenset[int] = frozenset()
        if draw() < rates.partial:
            failing = frozenset(n for n in range(len(parts(call))) if draw() < 0.5)
            if failing:
                self._seen(f"partial {kind_of(call)}")
        late = self._dice.randint(1, 20) if draw() < rates.late else 0
        again = call.operation == "ReceiveMessage" and draw() < rates.again
        shuffle = self._dice.randrange(2**32) if again or draw() < 0.3 else None
        return Fault(error, before, after, failing, late, again, shuffle)


def kind_of(call: Call) -> str:
    """What a call is for, as the coverage counts it."""
    if call.operation != "BatchExecuteStatement":
        return call.operation
    text = str(call.request)
    if '"claim_no"="claim_no"+1' in text or "INSERT" in text:
        return "claim"
    return "settle" if 'SET "state"=? SET "history"=?' in text else "statement"
