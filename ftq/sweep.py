"""What the sweeper does about an overdue task (PROTOCOL R2), as pure functions.

Times are milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from ftq.lifecycle import State
from ftq.task import Task

# A message that was sent this long before what the queue has already handed out is lost, not late.
OVERTAKEN: Final = 60_000
# A task that is lost again and again is looked at ever more rarely, but at least this often.
LONGEST: Final = 4 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Overdue:
    """An open task whose `due_at` has passed, as the index tells it.

    Attributes:
        id: The task.
        queue: Its queue.
        due_at: When it deserved a look.
        sent_at: When it was last sent, with its delay.
        type: Its type.
    """

    id: str
    queue: str
    due_at: int
    sent_at: int
    type: str = ""

    @property
    def scheduled(self) -> bool:
        """Whether it waits for its first send: it is due at the moment that this counts for."""
        return self.due_at <= self.sent_at


@dataclass(frozen=True, slots=True)
class Send:
    """Write `due_at`, then send the task's message again."""

    due_at: int


@dataclass(frozen=True, slots=True)
class Postpone:
    """Write `due_at`; the task is held or waits, and needs no message yet."""

    due_at: int


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing to do: it is over, or its message is still in the queue's backlog."""


Sweep: TypeAlias = Send | Postpone | Leave


def is_lost(sent_at: int, mark: int, grace: int) -> bool:
    """Whether the queue has lost what was sent then.

    Args:
        sent_at: When it was last sent, with its delay.
        mark: The queue has handed out everything that was sent before this moment.
        grace: Milliseconds that an open task may be overdue.
    """
    return sent_at + min(OVERTAKEN, grace) < mark


def deserves_a_look(found: Overdue, mark: int, grace: int) -> bool:
    """Whether to read the record: it may be lost, or scheduled. A mere backlog is not read.

    Any but a scheduled task is due only a grace after it was sent.
    """
    return found.scheduled or is_lost(found.sent_at, mark, grace)


def sweep(task: Task, *, mark: int, grace: int, interval: int, now: int) -> Sweep:
    """What is done about an overdue task.

    Args:
        task: Its record.
        mark: See `is_lost`.
        grace: Milliseconds that an open task may be overdue.
        interval: Milliseconds between two sweeps.
        now: Milliseconds since the epoch.
    """
    if task.final or task.due_at > now:
        return Leave()  # the index is behind the table
    if task.free_at > now:
        return Postpone(task.free_at + grace)
    if task.state is State.SCHEDULED:
        return Send(now + 2 * interval)
    if is_lost(task.sent_at, mark, grace):
        return Send(now + min(grace * 2 ** min(task.sweeps, 40), LONGEST))
    return Leave()
