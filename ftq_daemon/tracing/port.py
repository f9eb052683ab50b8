"""What a tracing backend is told of an attempt, and all that it has to do with it.

    attempt ── claim ── DynamoDB BatchExecuteStatement
            ├─ handler ── what the handler's own code opens
            └─ settle ── DynamoDB BatchExecuteStatement

Times are seconds since the epoch. Claims and settles of several tasks share a call: each attempt
shows the time that it waited for its own, from the moment it asked until it had the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Protocol, TypeAlias

from ftq.task import Failure
from ftq.trace import Trace

# Who is traced; each backend has an environment variable of its own for another name.
SERVICE: Final = "ftq"
CLAIM: Final = "claim"
HANDLER: Final = "handler"
SETTLE: Final = "settle"
AWS_SERVICE: Final = "DynamoDB"
AWS_OPERATION: Final = "BatchExecuteStatement"

# What the last spans may take on their way; a stop has room for it.
TRACES_SECONDS: Final = 2

Tracing: TypeAlias = Literal["off", "xray", "otlp"]
Annotations: TypeAlias = Mapping[str, str | int]


class Fault(StrEnum):
    """Whose fault it is that an attempt did not succeed, as X-Ray divides them."""

    NONE = "none"
    ERROR = "error"
    """The task's: its payload, or its handler rejected it."""
    THROTTLE = "throttle"
    """Nobody's: the handler asked for another time."""
    FAULT = "fault"
    """The handler's, or what it leans on."""


@dataclass(frozen=True, slots=True)
class Began:
    """An attempt whose handler is about to begin.

    Attributes:
        trace: Where it hangs.
        type: The task's type.
        annotations: What traces are searched by.
        queue: The queue's name.
        received_at: When its message was received.
        claimed_at: When it was claimed.
    """

    trace: Trace
    type: str
    annotations: Annotations
    queue: str
    received_at: float
    claimed_at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended.

    Attributes:
        outcome: In one word.
        fault: Whose fault that is.
        failure: What went wrong, if anything did.
        handled_at: When the handler ended; None if it never began.
        settled_at: When the outcome was written, or was known not to be ours to write.
    """

    outcome: str
    fault: Fault
    failure: Failure | None
    handled_at: float | None
    settled_at: float


class Span(Protocol):
    """An attempt that is being recorded."""

    @property
    def id(self) -> str:
        """The handler's part of it: 16 hex digits."""

    def end(self, ended: Ended) -> None:
        """Record how it ended, and hand it over. Nothing is waited for."""


class Backend(Protocol):
    """Where traces go."""

    def begin(self, began: Began) -> Span:
        """Record an attempt; what this context opens from now on hangs under its handler."""

    def ignore(self, trace: Trace) -> None:
        """Have what this context opens from now on left out, without a complaint."""

    def join(self, trace: Trace) -> None:
        """In a handler's own process: hang what this context opens under a span elsewhere."""

    def close(self) -> None:
        """Hand over what is left, within ``TRACES_SECONDS``."""
