"""What may be written about a claim that ended: one value for each, made by `ftq.verdict`.

They stand apart from the rules that choose among them, since whoever writes records needs only
these.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from ftq.lifecycle import Move
from ftq.task import Failure
from ftq.value import value


class Cause(StrEnum):
    """Why a task was given up, or a message put aside."""

    ATTEMPTS_SPENT = "attempts_spent"
    PERMANENT = "permanent"
    REJECTED = "rejected"
    INVALID_PAYLOAD = "invalid_payload"
    CRASH_LOOP = "crash_loop"
    UNKNOWN_TYPE = "unknown_type"
    PAYLOAD_LOST = "payload_lost"
    UNREADABLE = "unreadable"
    RECORD_EXPIRED = "record_expired"


class Counter(StrEnum):
    """What a settle adds one to (PROTOCOL R6: each but Complete adds exactly one)."""

    ATTEMPTS = "attempts"
    RELEASES = "releases"


@value(frozen=True, slots=True)
class Complete:
    """Write succeeded with its result, delete the message."""

    result: str
    move: Move = Move.COMPLETE


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Write retrying, hide the message until `at` (milliseconds)."""

    at: int
    counter: Counter
    failure: Failure
    move: Move = Move.RETRY


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Write dead, copy the message to the DLQ with the cause, delete it."""

    cause: Cause
    counter: Counter
    failure: Failure
    move: Move = Move.DEAD_LETTER


@dataclass(frozen=True, slots=True)
class Release:
    """Write queued, show the message at once.

    Attributes:
        claims: How many claims that gives back: ours, and those before it that were orphaned.
    """

    counter: Counter = Counter.RELEASES
    claims: int = 1
    move: Move = Move.RELEASE


@dataclass(frozen=True, slots=True)
class Cancel:
    """Write cancelled, delete the message."""

    counter: Counter = Counter.RELEASES
    move: Move = Move.CANCEL


Settlement: TypeAlias = Complete | RetryAt | DeadLetter | Release | Cancel
