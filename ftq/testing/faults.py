"""Faults around any port: what a network and a busy service do to calls.

A plan looks at each call and says what goes wrong with it. Wrap a wrapped port to combine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from ftq.ports import Call

Error: TypeAlias = Literal["throttled", "unavailable", "lost", "overdue", ""]
_ERRORS: Final[tuple[Error, ...]] = ("throttled", "unavailable", "lost", "")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one call.

    Attributes:
        error: ``throttled`` or ``unavailable``: refused before it is applied. ``lost``: applied,
            but its reply never comes. ``overdue``: its caller is told that no answer came, and
            only then, after `before`, it is applied.
        before: Seconds until it is applied.
        after: Seconds from then to its reply.
        failing: Positions of entries or statements of a batch that fail for now, not applied.
        late: Seconds by which messages that it sends show up later than they should.
        again: Whether each message that it receives is delivered once more: in the same reply
            if there is room, else in the queue's next.
        shuffle: A seed by which the received messages are reordered; None leaves them.
    """

    error: Error = ""
    before: float = 0.0
    after: float = 0.0
    failing: frozenset[int] = frozenset()
    late: int = 0
    again: bool = False
    shuffle: int | None = None


Plan: TypeAlias = Callable[[Call], Fault | None]
"""Says what goes wrong with a call; None for nothing."""

# Where the parts of a batch are, by operation.
PARTS: Final[Mapping[str, str]] = {
    "BatchExecuteStatement": "Statements",
    "ChangeMessageVisibilityBatch": "Entries",
    "DeleteMessageBatch": "Entries",
    "SendMessageBatch": "Entries",
}


def script(faults: Mapping[str, Sequence[Fault | None]]) -> Plan:
    """A plan by operation: the first call of it meets the first fault, and so on."""
    left = {operation: list(planned) for operation, planned in faults.items()}

    def plan(call: Call) -> Fault | None:
        planned = left.get(call.operation)
        return planned.pop(0) if planned else None

    return plan


class RandomPlan:
    """A plan that draws each fault: the same ones for the same seed and the same calls.

    Args:
        seed: The seed.
        throttled: The share of calls refused before they are applied.
        unavailable: The share that fails before it is applied.
        lost: The share whose reply is lost.
        partial: The share of batches in which each part fails with probability 1/2.
        again: The share of receives that deliver twice and out of order.
        delay: The longest time before a call is applied, and again to its reply, in seconds.

    Attributes:
        on: Set it to False and nothing goes wrong any more.
    """

    def __init__(
        self,
        seed: int,
        *,
        throttled: float = 0.0,
        unavailable: float = 0.0,
        lost: float = 0.0,
        partial: float = 0.0,
        again: float = 0.0,
        delay: float = 0.0,
    ) -> None:
        """Load the dice."""
        self.on = True
        self._dice = random.Random(seed)
        self._partial = partial
        self._again = again
        self._delay = delay
        nothing = 1.0 - throttled - unavailable - lost
        self._shares = (throttled, unavailable, lost, nothing)

    def __call__(self, call: Call) -> Fault | None:
        """Draw what goes wrong with a call."""
        if not self.on:
            return None
        draw = self._dice.random
        (error,) = self._dice.choices(_ERRORS, self._shares)
        fault = Fault(error, before=draw() * self._delay, after=draw() * self._delay)
        if draw() < self._partial:
            count = len(parts(call))
            return replace(fault, failing=frozenset(n for n in range(count) if draw() < 0.5))
        if call.operation == "ReceiveMessage" and draw() < self._again:
            return replace(fault, again=True, shuffle=self._dice.randrange(2**32))
        return fault


def parts(call: Call) -> list[object]:
    """The entries or statements of a batch; [] if the call is none."""
    return listed(call.request, PARTS.get(call.operation, ""))


def listed(values: Mapping[str, object], name: str) -> list[object]:
    """A list by its name; [] if there is none."""
    found = values.get(name)
    return list(found) if isinstance(found, list) else []
