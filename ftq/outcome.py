"""Every way in which a claim can end, as values. What is done about it is `ftq.verdict`'s.

Each has a `word` for the task's history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from ftq.task import RELEASED, Failure
from ftq.value import value


@value(frozen=True, slots=True)
class Returned:
    """The handler came back; `result` is its value as JSON text."""

    word: ClassVar[str] = "succeeded"
    result: str


@dataclass(frozen=True, slots=True)
class Raised:
    """The handler raised.

    Attributes:
        permanent: No further attempt can help.
        trips: Its breaker's policy counts such an error.
    """

    word: ClassVar[str] = "failed"
    failure: Failure
    permanent: bool = False
    trips: bool = True


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The handler was still running at its deadline and was cancelled."""

    word: ClassVar[str] = "timed_out"
    failure: Failure


@dataclass(frozen=True, slots=True)
class AskedRetry:
    """The handler raised `Retry`; `after` is in seconds, None leaves it to the policy."""

    word: ClassVar[str] = "asked_retry"
    failure: Failure
    after: float | None
    counts: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """The handler raised `Reject`."""

    word: ClassVar[str] = "rejected"
    failure: Failure


@dataclass(frozen=True, slots=True)
class Invalid:
    """The payload does not fit the handler's model; the handler did not run."""

    word: ClassVar[str] = "invalid_payload"
    failure: Failure


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Stopped through no fault of the task: the daemon stops, or its breaker opened."""

    word: ClassVar[str] = RELEASED


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """Stopped, or not even started, because its cancellation was asked for."""

    word: ClassVar[str] = "cancelled"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Not run: it cannot be, whoever tries.

    The failure's kind says which: ``crash_loop``, ``unknown_type`` or ``payload_lost``.
    """

    word: ClassVar[str] = "quarantined"
    failure: Failure


@dataclass(frozen=True, slots=True)
class Crashed:
    """The handler ran in a process of its own, and that died under it.

    Attributes:
        failure: How it died.
    """

    word: ClassVar[str] = "crashed"
    failure: Failure


@dataclass(frozen=True, slots=True)
class Orphaned:
    """Not run: claims before ours lapsed while their handler ran apart, so it is not to blame.

    Attributes:
        claims: How many.
    """

    word: ClassVar[str] = RELEASED
    claims: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The claim is no longer ours: whatever the handler did, we have no say in it."""

    word: ClassVar[str] = "lost"


Outcome: TypeAlias = (
    Returned
    | Raised
    | TimedOut
    | AskedRetry
    | Rejected
    | Invalid
    | Interrupted
    | CancelAsked
    | Quarantined
    | Crashed
    | Orphaned
    | Lost
)
