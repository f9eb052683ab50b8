"""How long something took, many times over: counted in bounded memory and little time."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from ftq.emf import Distribution

# The next bound is at most a quarter further, so that no value is told more than that beside
# itself: 13 bounds a decade from a millisecond to 3 hours, then some to 4 days. With what lies
# beyond them they are no more than a line of EMF may carry values.
_DECADE: Final = (1, 1.2, 1.5, 1.8, 2.1, 2.5, 3, 3.6, 4.2, 5, 6, 7, 8.5)
BOUNDS: Final = (
    *(float(f"{step}e{power}") for power in range(-3, 4) for step in _DECADE),
    *(10_000.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0, 345_600.0),
)
_DIGITS: Final = 4


class Timing:
    """Counts seconds by bounds; a value on a bound is below it."""

    __slots__ = ("_counts_told", "_sums_told", "counts", "high", "low", "sums")

    def __init__(self) -> None:
        """Nothing yet."""
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sums = [0.0] * (len(BOUNDS) + 1)
        self._counts_told, self._sums_told = [*self.counts], [*self.sums]
        self.low, self.high = float("inf"), 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        n = bisect_left(BOUNDS, seconds)
        self.counts[n] += 1
        self.sums[n] += seconds
        if seconds > self.high:
            self.high = seconds
        if seconds < self.low:
            self.low = seconds

    def news(self) -> Distribution | None:
        """What was added since it was last told; None if nothing was.

        Each value is the mean of those between two bounds: their sum is that of all.
        """
        counts = [a - b for a, b in zip(self.counts, self._counts_told, strict=True)]
        sums = [a - b for a, b in zip(self.sums, self._sums_told, strict=True)]
        found = [n for n, count in enumerate(counts) if count]
        if not found:
            return None
        return Distribution(
            values=[_short(sums[n] / counts[n]) for n in found],
            counts=[counts[n] for n in found],
            low=_short(self.low),
            high=_short(self.high),
        )

    def told(self) -> None:
        """Take all that there is as told."""
        self._counts_told, self._sums_told = [*self.counts], [*self.sums]
        self.low, self.high = float("inf"), 0.0


def _short(seconds: float) -> float:
    return float(f"{seconds:.{_DIGITS}g}")
