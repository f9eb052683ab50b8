"""Accepting what was planned: store, then send (PROTOCOL R8).

A task is accepted when its record is stored, and only then. Whatever fails after that is the
sweeper's to repair, so it does not change the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ftq.send import Clock, Mishap, send
from ftq.steps import Steps
from ftq.store import Stored, store
from ftq.submission import Plan, needs_send
from ftq.task import Task
from ftq.wire.statements import Statements


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some plans.

    Attributes:
        stored: For each, in order, its record, or why there is none.
        mishaps: Calls that failed after that.
    """

    stored: list[Stored]
    mishaps: list[Mishap]


def accept(to: Statements, plans: Sequence[Plan], now: Clock) -> Steps[Outcome]:
    """Store, then send what was never claimed. Never raises a `CallError`.

    Args:
        to: The statements of the table.
        plans: What to accept, each of another id.
        now: Milliseconds since the epoch.
    """
    stored = yield from store(to, plans)
    sends = [
        (task, planned.payload)
        for planned, task in zip(plans, stored, strict=True)
        if isinstance(task, Task) and needs_send(task)
    ]
    return Outcome(stored, (yield from send(to, sends, now)))
