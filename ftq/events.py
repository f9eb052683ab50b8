"""What a daemon did with tasks, and how its breakers stand: what `ftq.Registry.listen` hears.

Each is a fact, told after the write that makes it true. A daemon tells of what it did itself, so
whoever wants to hear of all tasks listens in all daemons; and it tells once, or not at all if it
dies: the table is the truth.

`task` is the record with the claim in it, as it was before what the event tells of: its
``attempts`` do not count the attempt that has just failed. `seconds` is the handler's time, with
its middleware.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias, get_args

from ftq.task import Failure, Task
from ftq.value import value


@value(frozen=True, slots=True)
class Claimed:
    """A claim was granted after `wait` seconds; `received_at` in ms; `was`: the state before."""

    name: ClassVar[str] = "task.claimed"
    task: Task
    wait: float
    received_at: int = 0
    was: str = ""


@dataclass(frozen=True, slots=True)
class Crashed:
    """The claim before ours, of `by`, lapsed; or, with how it died, the process of a suspect."""

    name: ClassVar[str] = "task.crashed"
    task: Task
    by: str
    failure: Failure | None = None


@value(frozen=True, slots=True)
class Succeeded:
    """`seconds` is the handler's time, `total` the time since the task was submitted."""

    name: ClassVar[str] = "task.succeeded"
    outcome: ClassVar[str] = "succeeded"
    task: Task
    seconds: float
    total: float


@dataclass(frozen=True, slots=True)
class Retrying:
    """An attempt failed, or asked for it, and the task waits until `at` (milliseconds)."""

    name: ClassVar[str] = "task.retrying"
    outcome: ClassVar[str] = "retrying"
    task: Task
    seconds: float
    failure: Failure
    at: int


@dataclass(frozen=True, slots=True)
class Dead:
    """The task was given up."""

    name: ClassVar[str] = "task.dead"
    outcome: ClassVar[str] = "dead"
    task: Task
    seconds: float
    cause: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class Released:
    """The claim was given back, uncounted."""

    name: ClassVar[str] = "task.released"
    outcome: ClassVar[str] = "released"
    task: Task
    seconds: float


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The task was cancelled while it was ours."""

    name: ClassVar[str] = "task.cancelled"
    outcome: ClassVar[str] = "cancelled"
    task: Task
    seconds: float


@dataclass(frozen=True, slots=True)
class ClaimLost:
    """The claim went to somebody else; nothing was written or deleted.

    `seconds` is the handler's time: it ended when it was told to, and not when this is known.
    """

    name: ClassVar[str] = "task.claim_lost"
    task: Task
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A handler did not end when it was told to; it may still be running."""

    name: ClassVar[str] = "task.abandoned"
    task: Task
    why: str


@dataclass(frozen=True, slots=True)
class BreakerOpened:
    """A breaker opened, for the n-th time since it was last closed; a probe is due at `until`."""

    name: ClassVar[str] = "breaker.opened"
    breaker: str
    openings: int
    until: int


@dataclass(frozen=True, slots=True)
class BreakerClosed:
    """A probe succeeded: the breaker lets everything through again."""

    name: ClassVar[str] = "breaker.closed"
    breaker: str
    openings: int


Event: TypeAlias = (
    Claimed
    | Succeeded
    | Retrying
    | Dead
    | Released
    | Cancelled
    | ClaimLost
    | Crashed
    | Abandoned
    | BreakerOpened
    | BreakerClosed
)
EVENTS: Final[tuple[type[Event], ...]] = get_args(Event)
