"""One request and its answer, tried again where that is safe. No socket, clock or dice here.

What the client does is written once, as talks: generators that yield each request and each
pause to whoever carries them out, and are sent what came of it. `Client` walks them with
threads that wait, `AsyncClient` on an event loop.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Final, TypeAlias, TypeVar

from ftq.retry import RetryPolicy
from ftq.text import Document, Json

T = TypeVar("T")

KEY: Final = "idempotency-key"
# Refused before anything was done, whatever was asked.
THROTTLED: Final = 429
# Answers of a gateway or of ftq's API that may pass by themselves.
PASSING: Final = frozenset({THROTTLED, 502, 503, 504})
# Whoever asks for a longer pause than this is not waited for.
LONGEST_PAUSE: Final = 60.0
# A burst of throttling passes within seconds; a deploy or a failover within half a minute.
RETRY: Final = RetryPolicy(attempts=6, base=0.25, cap=8)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request.

    Attributes:
        method: The method.
        target: Path and query, percent-encoded.
        body: The body, or None.
        headers: Headers by lower-case name.
        repeatable: Whether it may be sent twice: it reads, or names what it writes.
    """

    method: str
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whoever gave it; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> Document | None:
        """The JSON object that it is; None for anything else."""
        try:
            found: Json = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came.

    Attributes:
        why: What happened, for people.
        sent: Whether the request may have reached anyone.
    """

    why: str
    sent: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds to let pass."""

    seconds: float


Outcome: TypeAlias = Reply | Lost
Step: TypeAlias = Ask | Pause
Talk: TypeAlias = Generator[Step, Outcome | None, T]


@dataclass(frozen=True, slots=True)
class World:
    """What a talk takes from outside.

    Attributes:
        retry: How often, and how far apart, a request is tried.
        now: Milliseconds since the epoch.
        monotonic: Seconds on a clock that never goes back.
        dice: Draws from [0, 1).
        fresh: A fresh random key.
    """

    retry: RetryPolicy
    now: Callable[[], int]
    monotonic: Callable[[], float]
    dice: Callable[[], float]
    fresh: Callable[[], str]


def next_try(
    retry: RetryPolicy, tried: int, repeatable: bool, outcome: Outcome, dice: float
) -> float | None:
    """Seconds until a request is sent again; None if its outcome stands.

    Args:
        retry: How often, and how far apart.
        tried: How often it was sent already.
        repeatable: Whether it may be done twice.
        outcome: What came of the last time.
        dice: Drawn from [0, 1): full jitter, so that those who were refused together do not
            come back together.
    """
    passing = isinstance(outcome, Lost) or outcome.status in PASSING
    if not passing or tried >= retry.attempts:
        return None
    if not repeatable and _may_be_done(outcome):
        return None
    asked_for = 0.0 if isinstance(outcome, Lost) else _retry_after(outcome.headers)
    if asked_for > LONGEST_PAUSE:
        return None
    return asked_for + retry.delay(tried, dice)


def _may_be_done(outcome: Outcome) -> bool:
    return outcome.sent if isinstance(outcome, Lost) else outcome.status != THROTTLED


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the answer asks to wait (RFC 9110, 10.2.3); 0 if it says nothing legible."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdecimal():
        return float(said[:9])
    try:
        # Against the answer's own clock: ours may differ.
        wait = parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, wait.total_seconds())
    except (ValueError, TypeError):
        return 0.0


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A request whose outcome stands.

    Attributes:
        ask: The request as it was sent last.
        outcome: What came of it.
        doubtful: Whether a try before may have done what was asked.
    """

    ask: Ask
    outcome: Outcome
    doubtful: bool


def exchange(ask: Ask, world: World) -> Talk[Exchanged]:
    """Send a request until its outcome stands."""
    tried, doubtful = 0, False
    while True:
        outcome = yield ask
        assert outcome is not None  # noqa: S101  # whoever walks a talk answers each request
        tried += 1
        wait = next_try(world.retry, tried, ask.repeatable, outcome, world.dice())
        if wait is None:
            return Exchanged(ask, outcome, doubtful)
        doubtful |= _may_be_done(outcome)
        ask = _with_its_key(ask, outcome)
        yield Pause(wait)


def _with_its_key(ask: Ask, outcome: Outcome) -> Ask:
    """The same request under the key that a 503 says to repeat with.

    It is our own, unless something between us and the API took that away.
    """
    if KEY not in ask.headers or isinstance(outcome, Lost):
        return ask
    said = (outcome.document() or {}).get("idempotency_key")
    if not isinstance(said, str) or said == ask.headers[KEY]:
        return ask
    return replace(ask, headers={**ask.headers, KEY: said})
