"""What may happen in a run, as values.

Times are virtual seconds from the start; a task is named by the number of its submission, a
daemon by its place among those alive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "quick",
    "flaky",
    "doomed",
    "slow",
    "picky",
    "patient",
    "hasty",
    "stubborn",
    "killer",
    "fragile",
    "new",
]
Way: TypeAlias = Literal["api", "bare", "direct"]
Moment: TypeAlias = Literal[
    "now",  # at once
    "step",  # as it comes from one await to the next
    # As soon as this is applied, and before the daemon has its reply:
    "claim",
    "settle",
    "dead",
    "deleted",
    "sent",
    "received",
    "overdue",  # the sweeper's read
]


@dataclass(frozen=True, slots=True)
class Submit:
    """A client submits a task; `bare` crashes before the send, `direct` only sends."""

    at: float
    task: int
    kind: Kind
    way: Way = "api"
    delay: float = 0.0
    large: bool = False
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Repeat:
    """A client repeats a submission with its key."""

    at: float
    task: int


@dataclass(frozen=True, slots=True)
class Spare:
    """Another copy of a task's message appears."""

    at: float
    task: int


@dataclass(frozen=True, slots=True)
class Garbage:
    """Somebody sends what is no task."""

    at: float
    body: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """An operator cancels a task."""

    at: float
    task: int


@dataclass(frozen=True, slots=True)
class Redrive:
    """An operator redrives a dead task, and does it again after a while, at the same death."""

    at: float
    task: int
    again_after: float = 0.0


@dataclass(frozen=True, slots=True)
class MoveDlq:
    """AWS's own redrive of the whole dead-letter queue."""

    at: float


@dataclass(frozen=True, slots=True)
class Resend:
    """Somebody copies dead letters back by hand, some of them more than once."""

    at: float
    copies: int


@dataclass(frozen=True, slots=True)
class Purge:
    """The queue is purged."""

    at: float


@dataclass(frozen=True, slots=True)
class Expire:
    """TTL removes what may be removed once the retention is over."""

    at: float


@dataclass(frozen=True, slots=True)
class Redeliver:
    """SQS shows messages in flight before their time."""

    at: float
    count: int


@dataclass(frozen=True, slots=True)
class Kill:
    """A daemon dies, at the n-th such moment from then on."""

    at: float
    daemon: int
    moment: Moment
    count: int


@dataclass(frozen=True, slots=True)
class Stall:
    """A whole daemon stands still for a while, from the n-th such moment on."""

    at: float
    daemon: int
    seconds: float
    moment: Moment = "now"
    count: int = 1


@dataclass(frozen=True, slots=True)
class Drain:
    """A daemon is told to stop; `calm`: AWS answers it faultlessly meanwhile."""

    at: float
    daemon: int
    calm: bool


@dataclass(frozen=True, slots=True)
class Start:
    """One more daemon starts."""

    at: float
    skew: float = 0.0
    old: bool = False


Op: TypeAlias = (
    Submit
    | Repeat
    | Spare
    | Garbage
    | Cancel
    | Redrive
    | MoveDlq
    | Resend
    | Purge
    | Expire
    | Redeliver
    | Kill
    | Stall
    | Drain
    | Start
)
