"""A circuit breaker as a pure state machine: values in, values out. Moments are milliseconds.

    closed ── failures reach the limits, by their rate or in a row ──► open
    open ── its time is over ──► half-open: one probe may run
    half-open ── the probe succeeds ──► closed · fails ──► open, for longer

After M. Nygard, "Release It!", with the rolling window of Hystrix: counts are kept in
buckets, so that memory and time are bounded whatever the traffic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias

from ftq.value import value

BUCKETS: Final = 10
# Failures in a row must go on for this long: of a hundred in a second, ten in a row are chance.
# A task dies no sooner than after two hides of SQS, a second each at least, so none dies of it.
ROW_LASTS: Final = 1_500
LONGEST_SECONDS: Final = 3_600
MOST: Final = 1_000_000
# A breaker keeps the names of this many.
MOST_TASKS: Final = 100

Counts: TypeAlias = tuple[type[BaseException], ...] | Callable[[type[BaseException]], bool]
"""Which errors count: their classes, or what says so of a class."""


class Position(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Permit(StrEnum):
    """What a breaker says to an attempt that wants to start."""

    RUN = "run"
    PROBE = "probe"
    NO = "no"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a circuit breaker opens, for how long, and which errors count.

    It opens when, within the window, there were `minimum` calls, and `failures` of them, and
    that was the `rate` of them, failed; or when `in_a_row` calls of at least `tasks` different
    tasks failed, over 1.5 s or more, and none succeeded meanwhile, however long that took. The
    first is for traffic, the second for little of it: with one task a minute no window ever
    fills. Several tasks, so that none opens it by failing again and again.

    Args:
        window: Seconds over which calls are counted.
        minimum: Calls in the window below which their rate says nothing.
        failures: Failures in the window needed to open.
        rate: Share of failures in the window needed to open, above 0 and at most 1.
        in_a_row: Failures without a success between them that are needed to open.
        tasks: How many different tasks these must be of.
        base: Seconds that the first opening lasts at most, and half of that at least. Each
            further one lasts twice as long.
        cap: Seconds that any opening lasts at most.
        counts: Classes of the errors that count, or a function that says of a class whether it
            does. A timeout is a ``TimeoutError``, a `Retry` is what it is. Never counted,
            whatever this says: ``Reject``, a handler's ``permanent`` errors, payloads that do
            not validate, and ``Retry(counts=False)``.

    Raises:
        ValueError: A value is out of bounds.
    """

    window: float = 30.0
    # A dependency that is down fails nearly all; one that is flaky fails many, and backoff is
    # the answer to that: the rate keeps the two apart.
    minimum: int = 20
    failures: int = 10
    rate: float = 0.7
    # Three tasks that fail all of the default three attempts make nine: see docs/adr/0011.
    in_a_row: int = 10
    tasks: int = 4
    base: float = 5.0
    cap: float = 120.0
    counts: Counts = (BaseException,)

    def __post_init__(self) -> None:
        """Check the bounds."""
        if not 1 <= self.window <= LONGEST_SECONDS:
            raise ValueError(f"window={self.window!r}: must be from 1 to {LONGEST_SECONDS} s")
        numbers = {"minimum": MOST, "failures": MOST, "in_a_row": MOST, "tasks": MOST_TASKS}
        for key, most in numbers.items():
            value = getattr(self, key)
            if not 1 <= value <= most:
                raise ValueError(f"{key}={value!r}: must be from 1 to {most}")
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate={self.rate!r}: must be above 0 and at most 1")
        if not 0 < self.cap <= LONGEST_SECONDS:
            raise ValueError(f"cap={self.cap!r}: must be above 0 and at most {LONGEST_SECONDS} s")
        if not 0 < self.base <= self.cap:
            raise ValueError(f"base={self.base!r}: must be above 0 and at most cap ({self.cap} s)")
        _check_counts(self.counts)

    def counted(self, error: type[BaseException]) -> bool:
        """Whether an error of this class counts. Never raises: if it cannot be said, it does."""
        if isinstance(self.counts, tuple):
            return issubclass(error, self.counts)
        try:
            return bool(self.counts(error))
        except Exception:  # the user's function broke: the task's own error must not get lost
            return True

    def ceiling(self, openings: int) -> int:
        """Milliseconds that an opening lasts at most, after so many before it."""
        return max(1, round(1000 * min(self.cap, self.base * 2.0 ** min(openings, 30))))


@value(frozen=True, slots=True)
class Bucket:
    """Calls that ended within one slice of the window."""

    start: int
    succeeded: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """Failures since the last success.

    Attributes:
        failures: How many.
        since: When the first of them was.
        tasks: The tasks that failed, as many different ones as matter.
    """

    failures: int = 0
    since: int = 0
    tasks: tuple[str, ...] = ()

    def longer(self, task: str, most: int, now: int) -> Row:
        """The row with one more."""
        new = task not in self.tasks and len(self.tasks) < most
        tasks = (*self.tasks, task) if new else self.tasks
        return Row(self.failures + 1, self.since if self.failures else now, tasks)


_NO_ROW: Final = Row()


@value(frozen=True, slots=True)
class Breaker:
    """The state of one breaker.

    Attributes:
        position: Where it stands.
        buckets: The rolling window, oldest first.
        row: The failures since the last success.
        openings: How often it opened since it last closed; the open time grows with it.
        until: While open, when the probe is due; while half-open, when the probe under way
            must have ended.
    """

    position: Position = Position.CLOSED
    buckets: tuple[Bucket, ...] = ()
    row: Row = _NO_ROW
    openings: int = 0
    until: int = 0

    def permit(self, lasts: int, now: int) -> tuple[Breaker, Permit]:
        """Whether an attempt may start now, and the breaker after saying so.

        Args:
            lasts: Milliseconds after which the attempt has surely ended. A probe that was not
                heard of by then makes room for another.
            now: Milliseconds.
        """
        if self.position is Position.CLOSED:
            return self, Permit.RUN
        if now < self.until:
            return self, Permit.NO
        return replace(self, position=Position.HALF_OPEN, until=now + lasts), Permit.PROBE

    def record(
        self, policy: BreakerPolicy, task: str, probe: int | None, ok: bool, now: int, dice: float
    ) -> Breaker:
        """The breaker after an attempt that it had let through has ended.

        What ends while the breaker is not closed counts only if it is a probe: attempts from
        before the opening say nothing about the dependency's recovery. The success of a probe
        closes it, however late; a failure counts only of the probe under way.

        Args:
            policy: When to open.
            task: Whose attempt it was.
            probe: For a probe, the `until` of the breaker that let it through; else None.
            ok: Whether it succeeded.
            now: Milliseconds.
            dice: Drawn from [0, 1).
        """
        if self.position is not Position.CLOSED:
            if probe is not None and ok:
                return Breaker()
            return self._opened(policy, now, dice) if self._awaits(probe) else self
        if probe is not None:
            return self
        row = _NO_ROW if ok else self.row.longer(task, policy.tasks, now)
        buckets = _count(self.buckets, policy, ok, now)
        counted = Breaker(self.position, buckets, row, self.openings, self.until)
        return counted._opened(policy, now, dice) if counted._tripped(policy, now) else counted

    def adopt(self, policy: BreakerPolicy, openings: int, until: int, now: int) -> Breaker:
        """The breaker after word from elsewhere that it is open: a probe decides.

        Args:
            policy: When to open; no word keeps it open for longer than an opening may last.
            openings: How often it had opened there.
            until: When the probe is due there.
            now: Milliseconds.
        """
        if self.position is not Position.CLOSED:
            return self
        latest = now + policy.ceiling(max(0, openings - 1))
        until = max(now, min(until, latest))
        return Breaker(Position.OPEN, openings=max(1, openings), until=until)

    def release(self, probe: int | None, now: int) -> Breaker:
        """The breaker after a probe that ended without a word on the dependency."""
        if self._awaits(probe):
            return replace(self, position=Position.OPEN, until=now)
        return self

    def _awaits(self, probe: int | None) -> bool:
        return self.position is Position.HALF_OPEN and probe == self.until

    def _tripped(self, policy: BreakerPolicy, now: int) -> bool:
        failed = calls = 0
        for bucket in self.buckets:
            failed += bucket.failed
            calls += bucket.failed + bucket.succeeded
        if calls >= policy.minimum and failed >= max(policy.failures, policy.rate * calls):
            return True
        row = self.row
        long_enough = row.failures >= policy.in_a_row and now - row.since >= ROW_LASTS
        return long_enough and len(row.tasks) >= policy.tasks

    def _opened(self, policy: BreakerPolicy, now: int, dice: float) -> Breaker:
        ceiling = policy.ceiling(self.openings)
        # Equal jitter (half fixed, half drawn): a fleet's probes spread, none comes at once.
        wait = ceiling - int((1 - dice) * ceiling / 2)
        return Breaker(Position.OPEN, openings=self.openings + 1, until=now + wait)


def _check_counts(counts: object) -> None:
    if callable(counts):
        return
    if not isinstance(counts, tuple) or not all(
        isinstance(each, type) and issubclass(each, BaseException) for each in counts
    ):
        what = "must be a tuple of classes of exceptions, or a function of one"
        raise ValueError(f"counts={counts!r}: {what}")


def _count(
    buckets: tuple[Bucket, ...], policy: BreakerPolicy, ok: bool, now: int
) -> tuple[Bucket, ...]:
    window = round(policy.window * 1000)
    start = now - now % (window // BUCKETS)
    # A clock that steps back counts into the newest bucket rather than making one out of order.
    if not buckets or buckets[-1].start < start:
        kept = [bucket for bucket in buckets if bucket.start > now - window][-BUCKETS:]
        return (*kept, Bucket(start, int(ok), int(not ok)))
    last = buckets[-1]
    counted = Bucket(last.start, last.succeeded + ok, last.failed + (not ok))
    return (*buckets[:-1], counted)
