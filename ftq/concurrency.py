"""How many tasks to hold at once, learnt from how long they take. Times are milliseconds.

A dependency has a knee: below it more concurrency brings more throughput, above it only more
waiting. The limit follows the knee by this rule, once for each window of attempts:

    ratio = seconds spent / seconds that the same attempts would have taken, type by type, at
            half the limit
    limit ← limit × clamp(min(TOLERANCE / ratio, 1.1 - excess failures), ½, 1) + √limit / 2

so that it settles where halving the concurrency would shorten attempts by the tolerance and a
little queue. What they would have taken at half the limit is measured: now and then a window is
run there (a probe). Only types are compared with themselves, so a change of the mix is no change
of the ratio.

After TCP Vegas (Brakmo and Peterson, 1995: the limit follows the ratio of unloaded and present
round trips), in the form of Netflix's concurrency-limits (Gradient2: clamp, headroom that grows
slower than the limit, no growth while the limit is not used) and Envoy's adaptive concurrency
filter (the unloaded time is measured at a lowered limit, headroom √limit). Ours is to probe at
half rather than at the minimum: it costs less, needs no idea of "unloaded", and from far above
the knee each probe halves what it takes for the base.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

# What counts as noise: attempts longer by less than this are not taken for a queue.
TOLERANCE: Final = 1.15
# A single window at most halves the limit.
STEEPEST: Final = 0.5
# Failures beyond those of the last probes that are taken for noise, as a share.
FAILURES: Final = 0.1
# A single attempt counts as this many times its type's base at most: one that hung says little.
LONGEST: Final = 8.0
# A window has so many attempts, or as many as the limit: on average each slot was used once.
SAMPLES: Final = 50
WINDOW: Final = 500
# Windows from probe to probe: fewest, and most while probes bring nothing new.
PROBE_AFTER: Final = 20
PROBE_RARELY: Final = 160


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what the limit moves.

    Raises:
        ValueError: They are out of order.
    """

    least: int
    most: int

    def __post_init__(self) -> None:
        """Check the bounds."""
        if not 1 <= self.least <= self.most:
            raise ValueError(f"{self}: must be 1 <= least <= most")

    def clamp(self, limit: float) -> float:
        """The limit within the bounds."""
        return max(self.least, min(self.most, limit))


@dataclass(slots=True)
class Base:
    """What attempts of a type are like at half the limit.

    Attributes:
        seconds: How long they take.
        failures: Which share of them fails.
        weight: Attempts that this is known from, the last ones only.
    """

    seconds: float
    failures: float
    weight: int

    def learn(self, seen: Tally) -> bool:
        """Take over what a probe saw.

        Returns:
            Whether it was news.
        """
        seconds, failures = seen.mean(), seen.failed / seen.count
        news = not 1 / TOLERANCE <= seconds / self.seconds <= TOLERANCE
        # Shorter than ever thought cannot be a queue's doing: what was known is wrong.
        known = 0 if seconds * TOLERANCE < self.seconds else self.weight
        gain = seen.count / (seen.count + known)
        self.seconds += (seconds - self.seconds) * gain
        self.failures += (failures - self.failures) * gain
        self.weight = min(SAMPLES, known + seen.count)
        return news


@dataclass(slots=True)
class Tally:
    """Attempts of one type within one window."""

    count: int = 0
    failed: int = 0
    timed: int = 0
    seconds: float = 0.0

    def mean(self) -> float:
        """Seconds that those took whose time says something."""
        return max(self.seconds / self.timed, 1e-6) if self.timed else 0.0


@dataclass(slots=True)
class Window:
    """What is counted before the limit is looked at again.

    Attributes:
        since: When it began.
        skip: Attempts that still belong to what was before.
        peak: The most that were in hand at once.
        tallies: By type.
    """

    since: int
    skip: int = 0
    count: int = 0
    peak: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)


def next_limit(limit: float, ratio: float, excess: float, *, doubling: bool = False) -> float:
    """The limit after a window: the rule on top of this page, without bounds.

    Args:
        limit: The limit in the window.
        ratio: How much longer attempts took than at half of it.
        excess: The share of them that failed, beyond those that fail at half of it.
        doubling: Whether the first queue is still to be met: it grows by doubling until then.
    """
    by_time = TOLERANCE / ratio
    by_failures = 1 - max(0.0, excess - FAILURES)
    gradient = min(by_time, by_failures)
    if doubling and gradient >= 1:
        return 2 * limit
    return limit * max(STEEPEST, min(1.0, gradient)) + math.sqrt(limit) / 2


class Concurrency:
    """The limit of one daemon, as a state machine: fed with ends of attempts, it says a number.

    Args:
        bounds: Between what it moves.
        start: Where it begins; at the least if None.

    Attributes:
        limit: Where the rule stands.
        ratio: The ratio of the last window; 1 before there is one.
    """

    def __init__(self, bounds: Bounds, start: int | None = None) -> None:
        """Begin with a probe: the first that is seen of a type is its base."""
        self.limit = bounds.clamp(bounds.least if start is None else start)
        self.ratio = 1.0
        self._bounds = bounds
        self._bases: dict[str, Base] = {}
        self._doubling = start is None
        self._level = self.limit
        self._probing = True
        self._probed_at = self.limit
        self._pause = PROBE_AFTER
        self._windows = 0
        self._window = Window(0)

    @property
    def total(self) -> int:
        """How many tasks may be in hand now: the limit, or half of it during a probe."""
        return int(self._level)

    @property
    def probing(self) -> bool:
        """Whether a probe is under way."""
        return self._probing

    def record(
        self,
        type_: str,
        seconds: float,
        *,
        ok: bool,
        timed: bool,
        in_hand: int,
        now: int,
        dice: float,
    ) -> bool:
        """Count an attempt that has ended.

        Args:
            type_: Its type.
            seconds: How long it took.
            ok: Whether it succeeded.
            timed: Whether its time says something: an error may come at once.
            in_hand: How many tasks were in hand as it ended, itself included.
            now: Milliseconds.
            dice: Drawn from [0, 1): daemons of a fleet do not probe all at once.

        Returns:
            Whether `total` may have changed.
        """
        window = self._window
        if window.skip > 0:
            window.skip -= 1
            window.since = now
            return False
        self._count(window, type_, seconds, ok=ok, timed=timed)
        window.peak = max(window.peak, in_hand)
        if window.count < max(SAMPLES, self._level) or now - window.since < WINDOW:
            return False
        self._close(window, dice)
        return True

    def _count(self, window: Window, type_: str, seconds: float, *, ok: bool, timed: bool) -> None:
        tally = window.tallies.get(type_)
        if tally is None:
            tally = window.tallies[type_] = Tally()
        window.count += 1
        tally.count += 1
        tally.failed += not ok
        if timed:
            base = self._bases.get(type_)
            tally.timed += 1
            tally.seconds += min(seconds, LONGEST * base.seconds) if base else seconds

    def _close(self, window: Window, dice: float) -> None:
        before = self._level
        unknown = [type_ for type_ in window.tallies if type_ not in self._bases]
        if self._probing:
            self._learn(window)
            self._probing = False
        elif window.peak * 2 >= self._level:
            if self._lowest:
                self._learn(window)  # there is nothing lower to compare with
            self._follow(window)
        for type_ in unknown:
            if (tally := window.tallies[type_]).timed:
                self._bases.setdefault(
                    type_, Base(tally.mean(), tally.failed / tally.count, tally.count)
                )
        self._level = self.limit
        if self._probe_due(dice):
            self._begin_probe()
        moved = abs(self._level - before) > math.sqrt(before)
        # After a jump the next that end have run under the old limit: about one for each slot.
        self._window = Window(window.since, skip=round(max(before, self._level)) if moved else 0)

    def _follow(self, window: Window) -> None:
        spent = expected = failed = expected_failed = 0.0
        count = 0
        for type_, tally in window.tallies.items():
            if base := self._bases.get(type_):
                spent += tally.seconds
                expected += tally.timed * base.seconds
                failed += tally.failed
                expected_failed += tally.count * base.failures
                count += tally.count
        self._windows += 1
        if not count:
            return
        self.ratio = max(spent / expected, 0.01) if expected else 1.0
        excess = (failed - expected_failed) / count
        limit = next_limit(self.limit, self.ratio, excess, doubling=self._doubling)
        if limit < self.limit:
            self._doubling = False
        elif window.peak < 0.9 * self.limit - 1:
            return  # not used: nothing speaks for more
        self.limit = self._bounds.clamp(limit)

    def _learn(self, window: Window) -> None:
        news = False
        for type_, tally in window.tallies.items():
            base = self._bases.get(type_)
            if base and tally.timed:
                news |= base.learn(tally)
        self._pause = PROBE_AFTER if news else min(2 * self._pause, PROBE_RARELY)
        self._windows = 0
        self._probed_at = self.limit

    def _probe_due(self, dice: float) -> bool:
        if self._lowest:
            return False
        # Fallen far since the last probe: the base may be what is wrong, not the dependency.
        fallen = self.limit <= 0.6 * self._probed_at and self._windows >= 2
        return fallen or self._windows >= self._pause * (0.75 + dice / 2)

    @property
    def _lowest(self) -> bool:
        return self._bounds.clamp(int(self.limit) // 2) >= int(self.limit)

    def _begin_probe(self) -> None:
        self._probing = True
        self._level = self._bounds.clamp(float(int(self.limit) // 2))
