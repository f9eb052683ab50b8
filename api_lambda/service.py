"""What every route works with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from api_lambda.settings import ConsoleMode
from ftq.errors import Throttled
from ftq.ports import Call, Reply, SyncPort
from ftq.redaction import USUAL, Names
from ftq.submission import Terms

if TYPE_CHECKING:
    from ftq.registry import Registry

# No call begins later than this after the request came in. One call takes at most
# `limits.CALL_SECONDS`, so the answer is out before API Gateway's 30 s are over: a client that is
# told 503 knows more than one that was cut off.
LAST_CALL_SECONDS: Final = 12.0


@dataclass(frozen=True, slots=True)
class Service:
    """The world as a route sees it.

    Attributes:
        port: The way to AWS.
        table: The table of records.
        dlq_url: The dead-letter queue, or ''.
        console: What the console offers, if there is to be one.
        audits_all: Whether submissions are in the audit stream too.
        terms: What is added to each submission.
        registry: The handlers that types and payloads are checked against, if they are known.
        now: Milliseconds since the epoch.
        monotonic: Seconds on a clock that never goes back.
        fresh: A fresh random id.
        trace: The X-Ray trace header of the invocation under way, or ''.
        tell: Is told of submissions: the type of each, and the status that answered it.
        sleep: Waits for so many seconds.
        last: When the last call of this request may begin, on the monotonic clock.
        names: Secret names beside the usual ones.
    """

    port: SyncPort
    table: str
    terms: Terms
    registry: Registry | None
    now: Callable[[], int]
    monotonic: Callable[[], float]
    fresh: Callable[[], str]
    trace: Callable[[], str]
    dlq_url: str = ""
    tell: Callable[[Iterable[tuple[str, int]]], None] = lambda answered: None
    console: ConsoleMode = "read"
    audits_all: bool = False
    sleep: Callable[[float], None] = lambda seconds: None
    last: float = math.inf
    names: Names = USUAL

    def for_request(self) -> Service:
        """The same service, with a port that starts no call too late for this request."""
        last = self.monotonic() + LAST_CALL_SECONDS
        return replace(self, port=_Punctual(self.port, last, self.monotonic), last=last)

    @property
    def seconds_left(self) -> float:
        """How long new calls may still begin in this request."""
        return self.last - self.monotonic()


@dataclass(frozen=True, slots=True)
class _Punctual:
    port: SyncPort
    last: float
    monotonic: Callable[[], float]

    def call(self, call: Call) -> Reply:
        """Make the call, unless it is too late to begin one."""
        if self.monotonic() > self.last:
            raise Throttled(call.operation, "TooLate", "no time is left in this request")
        return self.port.call(call)
