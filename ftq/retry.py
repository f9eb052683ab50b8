"""When a failed task is tried again."""

from __future__ import annotations

from dataclasses import dataclass

from ftq.limits import SQS_VISIBILITY_SECONDS


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how long apart: exponential backoff with full jitter.

    The delay before attempt n+1 is drawn evenly from [0, min(cap, base · 2^(n-1))], the "full
    jitter" of M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: of
    the variants compared there it spreads a herd best for the work it costs.

    Args:
        attempts: Runs in all, the first one included; 1 never retries.
        base: Seconds that the first retry waits at most.
        cap: Seconds that any retry waits at most.

    Raises:
        ValueError: A value is out of bounds.
    """

    attempts: int = 3
    base: float = 1.0
    cap: float = 300.0

    def __post_init__(self) -> None:
        """Check the bounds."""
        if not 1 <= self.attempts <= 1000:
            raise ValueError(f"attempts={self.attempts!r}: must be from 1 to 1000")
        if not 0 <= self.cap <= SQS_VISIBILITY_SECONDS:
            raise ValueError(f"cap={self.cap!r}: must be from 0 to {SQS_VISIBILITY_SECONDS} s")
        if not 0 <= self.base <= self.cap:
            raise ValueError(f"base={self.base!r}: must be from 0 to cap ({self.cap} s)")

    def ceiling(self, failed: int) -> float:
        """Seconds that the retry after `failed` failed attempts waits at most."""
        # 2^60 · base is beyond any cap; the min keeps the power from overflowing a float.
        return min(self.cap, self.base * 2.0 ** min(max(failed, 1) - 1, 60))

    def delay(self, failed: int, dice: float) -> float:
        """Seconds to wait after `failed` failed attempts; `dice` is drawn from [0, 1)."""
        return dice * self.ceiling(failed)
