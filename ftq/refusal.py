"""Why a claim was refused, and what becomes of its message. The rules are here, and only here.

What is done about a claim that was granted is `ftq.verdict`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from ftq.lifecycle import FINAL, State
from ftq.task import Failure, Task


@dataclass(frozen=True, slots=True)
class Ours:
    """The claim was granted after all; only its reply was lost (PROTOCOL R5)."""


@dataclass(frozen=True, slots=True)
class Yield:
    """Hide the message until `until` (milliseconds)."""

    until: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Over, nothing to keep: delete the message."""


@dataclass(frozen=True, slots=True)
class DropDead:
    """Dead: copy the message to the DLQ with the record's `claim_no`, delete it (R12).

    Attributes:
        claim_no: The claim that the task died with.
        cause: Why, as the record has it.
        failure: The error that it died of.
    """

    claim_no: int
    cause: str
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Insert:
    """No record, and the message may make one (R9): insert it, claimed."""


@dataclass(frozen=True, slots=True)
class Forget:
    """No record, for it is over and forgotten (R9): delete and log.

    Attributes:
        expired: The message carries a `claim_no`, so it goes to the DLQ as `record_expired`.
    """

    expired: bool


@dataclass(frozen=True, slots=True)
class Revive:
    """An operator brought the message back from the DLQ: claim it at that death (R3).

    Attributes:
        task: The record as that death left it.
    """

    task: Task


Refusal: TypeAlias = Ours | Yield | Drop | DropDead | Insert | Forget | Revive

# A yielded message is shown again a little after the record is free, spread over this long.
YIELD_JITTER: Final = 2_000


def refuse(
    record: Task | None,
    *,
    token: str,
    stored: bool,
    carried: int | None,
    visibility: int,
    now: int,
    dice: float,
) -> Refusal:
    """Why a claim was refused, and what becomes of the message.

    Args:
        record: The record that stood in the way; None if there is none.
        token: The token of the refused claim.
        stored: Whether the message is marked as belonging to a stored record.
        carried: The `claim_no` that the message carries, if any.
        visibility: The visibility timeout in milliseconds.
        now: Milliseconds since the epoch.
        dice: Drawn from [0, 1), for the jitter.
    """
    if record is None:
        if stored or carried is not None:
            return Forget(expired=carried is not None)
        return Insert()
    if record.state is State.RUNNING and record.claim_token == token:
        return Ours()
    if record.state is State.DEAD:
        if carried == record.claim_no:
            return Revive(record)
        return DropDead(record.claim_no, record.cause, record.last_error)
    if record.state in FINAL:
        return Drop()
    until = record.free_at + round(dice * YIELD_JITTER)
    if record.state is State.RUNNING:
        until = min(until, now + visibility)
    return Yield(max(until, now))
