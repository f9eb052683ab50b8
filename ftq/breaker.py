"""A circuit breaker as a pure state machine: values in, values out. Times are milliseconds.

    closed ── failures and their rate over the window reach the limits ──► open
    open ── its time is over ──► half-open: one probe may run
    half-open ── the probe succeeds ──► closed · fails ──► open, for longer

After M. Nygard, "Release It!", with the rolling window of Hystrix: counts are kept in
buckets, so that memory and time are bounded whatever the traffic.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

BUCKETS: Final = 10


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
    """When a breaker opens, and for how long.

    Args:
        window: Milliseconds over which calls are counted.
        minimum: Calls in the window below which the rate says nothing.
        failures: Failures in the window needed to open.
        rate: Share of failures in the window needed to open, from 0 to 1.
        open_base: Milliseconds that the first opening lasts at most.
        open_cap: Milliseconds that any opening lasts at most.
        probe: Milliseconds after which a probe that was not heard of is given up.

    Raises:
        ValueError: A value is out of bounds.
    """

    window: int = 30_000
    # A dependency that is down fails nearly all; one that is flaky fails many, and backoff is
    # the answer to that: the rate keeps the two apart.
    minimum: int = 20
    failures: int = 10
    rate: float = 0.7
    open_base: int = 5_000
    open_cap: int = 120_000
    probe: int = 60_000

    def __post_init__(self) -> None:
        """Check the bounds."""
        if self.window < BUCKETS:
            raise ValueError(f"window={self.window!r}: must be at least {BUCKETS} ms")
        if self.minimum < 1 or self.failures < 1 or self.probe < 1:
            raise ValueError("minimum, failures and probe must be at least 1")
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate={self.rate!r}: must be above 0 and at most 1")
        if not 0 < self.open_base <= self.open_cap:
            raise ValueError(f"open_base={self.open_base!r}: must be from 1 to open_cap")


@dataclass(frozen=True, slots=True)
class Bucket:
    """Calls that ended within one slice of the window."""

    start: int
    succeeded: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of one breaker.

    Attributes:
        position: Where it stands.
        buckets: The rolling window, oldest first.
        openings: How often it opened since it last closed; the open time grows with it.
        until: While open, when the probe is due; while half-open, when the probe under way
            is given up.
    """

    position: Position = Position.CLOSED
    buckets: tuple[Bucket, ...] = field(default=())
    openings: int = 0
    until: int = 0

    def permit(self, policy: BreakerPolicy, now: int) -> tuple[Breaker, Permit]:
        """Whether an attempt may start now, and the breaker after saying so."""
        if self.position is Position.CLOSED:
            return self, Permit.RUN
        if now < self.until:
            return self, Permit.NO
        probing = replace(self, position=Position.HALF_OPEN, until=now + policy.probe)
        return probing, Permit.PROBE

    def record(
        self, policy: BreakerPolicy, probe: int | None, ok: bool, now: int, dice: float
    ) -> Breaker:
        """The breaker after an attempt that it had let through has ended.

        What ends while the breaker is not closed counts only if it is the probe under way:
        attempts from before the opening, and probes that were given up, say nothing about the
        dependency's recovery.

        Args:
            policy: When to open.
            probe: For a probe, the `until` of the breaker that let it through; else None.
            ok: Whether it succeeded.
            now: Milliseconds.
            dice: Drawn from [0, 1).
        """
        if self._awaits(probe):
            return Breaker() if ok else self._opened(policy, now, dice)
        if probe is not None or self.position is not Position.CLOSED:
            return self
        counted = replace(self, buckets=_count(self.buckets, policy, ok, now))
        return counted._opened(policy, now, dice) if counted._tripped(policy) else counted

    def release(self, probe: int | None, now: int) -> Breaker:
        """The breaker after a probe that ended without a word on the dependency."""
        if self._awaits(probe):
            return replace(self, position=Position.OPEN, until=now)
        return self

    def _awaits(self, probe: int | None) -> bool:
        return self.position is Position.HALF_OPEN and probe == self.until

    def _tripped(self, policy: BreakerPolicy) -> bool:
        failed = sum(bucket.failed for bucket in self.buckets)
        calls = failed + sum(bucket.succeeded for bucket in self.buckets)
        enough = calls >= policy.minimum and failed >= policy.failures
        return enough and failed >= policy.rate * calls

    def _opened(self, policy: BreakerPolicy, now: int, dice: float) -> Breaker:
        ceiling = min(policy.open_cap, policy.open_base * 2 ** min(self.openings, 30))
        # Equal jitter (half fixed, half drawn): a fleet's probes spread, none comes at once.
        wait = ceiling - int((1 - dice) * ceiling / 2)
        return Breaker(Position.OPEN, (), self.openings + 1, now + wait)


def _count(
    buckets: tuple[Bucket, ...], policy: BreakerPolicy, ok: bool, now: int
) -> tuple[Bucket, ...]:
    width = policy.window // BUCKETS
    start = now - now % width
    kept = [bucket for bucket in buckets if bucket.start > now - policy.window]
    # A clock that steps back counts into the newest bucket rather than making one out of order.
    if not kept or kept[-1].start < start:
        kept.append(Bucket(start))
    last = kept[-1]
    kept[-1] = replace(last, succeeded=last.succeeded + ok, failed=last.failed + (not ok))
    return tuple(kept[-BUCKETS - 1 :])
