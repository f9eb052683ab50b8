"""What happens in one run, as a value: drawn from a seed in `draw`, played by `world`.

Times are virtual seconds from the start; a task is named by the number of its submission, a
daemon by its place among those alive.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
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
Error: TypeAlias = Literal["throttled", "unavailable"]
Target: TypeAlias = Literal["sqs", "dynamodb", ""]


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


@dataclass(frozen=True, slots=True)
class Burst:
    """For a while nearly every call of a service fails, for all or for one daemon."""

    start: float
    end: float
    error: Error
    service: Target = ""
    who: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """The share of calls with which something goes wrong; `longest` is in seconds."""

    throttled: float = 0.0
    unavailable: float = 0.0
    lost: float = 0.0
    overdue: float = 0.0
    partial: float = 0.0
    again: float = 0.0
    late: float = 0.0
    slow: float = 0.0
    longest: float = 0.0


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings of daemons and account; times in seconds, but for the index's.

    Attributes:
        in_flight: Messages that may be in flight.
        receives: After how many receives SQS itself dead-letters a message.
        replace_after: When a service without daemons gets a new one.
    """

    visibility: int = 20
    concurrency: int = 10
    grace: int = 60
    sweep: int = 30
    crash_limit: int = 3
    wait: int = 20
    drain: int = 5
    index_lag: int = 0
    in_flight: int = 120_000
    receives: int = 1_000
    replace_after: float = 5.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """One run.

    Attributes:
        seed: Seeds all dice of the run as well.
        length: When all faults end, and no further operation begins.
        outages: When the dependency of `fragile` tasks is down.
    """

    seed: int
    length: float
    terms: Terms
    rates: Rates
    bursts: tuple[Burst, ...]
    outages: tuple[tuple[float, float], ...]
    ops: tuple[Op, ...]

    def __str__(self) -> str:
        """One line for each thing."""
        lines = [f"seed {self.seed}, {self.length} s"]
        lines += [_brief(self.terms), _brief(self.rates), *map(_brief, self.bursts)]
        lines += [f"Outage {start} to {end}" for start, end in self.outages]
        lines += [_brief(op) for op in self.ops]
        return "\n".join(f"  {line}" for line in lines)


def _brief(part: Op | Burst | Rates | Terms) -> str:
    """The value with what differs from its defaults."""
    said = (
        f"{field.name}={getattr(part, field.name)!r}"
        for field in fields(part)
        if getattr(part, field.name) != field.default
    )
    return f"{type(part).__name__}({', '.join(said)})"
