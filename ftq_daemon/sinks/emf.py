"""What was counted, as CloudWatch reads it: lines of embedded metric format in the log.

Once a minute, and once more at the end, so that a clean stop loses nothing. By the wall clock's
minutes: then each minute has one word of each daemon, and the sum of a gauge is the fleet's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from ftq import emf
from ftq.breaker import Position
from ftq.emf import Value
from ftq_daemon.sinks.log import render
from ftq_daemon.sinks.tally import Gauges, OfType, Tally
from ftq_daemon.sinks.timing import Timing

# CloudWatch keeps custom metrics by the minute: finer costs and shows nothing, coarser would
# leave minutes out that alarms look at.
INTERVAL: Final = 60_000
EVENT: Final = "metrics"
_OUTCOMES: Final = {
    "succeeded": "TasksSucceeded",
    "retrying": "TasksRetrying",
    "dead": "TasksDead",
    "released": "TasksReleased",
    "cancelled": "TasksCancelled",
}


@dataclass(frozen=True, slots=True)
class Who:
    """Who says it.

    Attributes:
        service: The service, a dimension.
        daemon: The daemon, for people; no dimension.
    """

    service: str
    daemon: str


@dataclass(frozen=True, slots=True)
class News:
    """A value that is to be said.

    Attributes:
        name: Of which metric.
        value: It.
        told: Called once its line is out: what did not get out is said with the next.
    """

    name: str
    value: Value
    told: Callable[[], object] = lambda: None


class EmfSink:
    """Says what was counted since it last did.

    Args:
        tally: What is counted.
        gauges: What is read at whole minutes.
        who: Who says it.
        write: Takes the lines; False says that one was lost, and so is told again.
        now: Milliseconds since the epoch.
        failed: Told why nothing could be said: a listener must not stop what it listens to.
    """

    def __init__(
        self,
        tally: Tally,
        gauges: Gauges,
        who: Who,
        write: Callable[[bytes], bool],
        now: Callable[[], int],
        failed: Callable[[Exception], object],
    ) -> None:
        """Nothing is said yet."""
        self._tally = tally
        self._gauges = gauges
        self._who = who
        self._write = write
        self._now = now
        self._failed = failed
        self._told: dict[tuple[str, str], int] = {}

    async def run(self) -> None:
        """Say it at each full minute, until cancelled."""
        now = self._now()
        due = now - now % INTERVAL + INTERVAL
        while True:
            await asyncio.sleep(max(0, due - self._now()) / 1000)
            self.say(due - INTERVAL, gauges=True)
            # Timers may be a little early, and clocks are set: the minute nearest to now is over.
            due = (self._now() + INTERVAL // 2) // INTERVAL * INTERVAL + INTERVAL

    def close(self) -> None:
        """Say the rest; gauges are of whole minutes only."""
        now = self._now()
        self.say(now - now % INTERVAL, gauges=False)

    def say(self, at: int, *, gauges: bool) -> None:
        """Say what was counted and not said yet.

        Args:
            at: The minute that it is said of, in milliseconds.
            gauges: Whether to read them too.
        """
        try:
            self._say(at, gauges=gauges)
        except Exception as error:
            self._failed(error)

    def _say(self, at: int, *, gauges: bool) -> None:
        for type_, kind in self._tally.types.items():
            self._lines(at, [*self._counts(type_, _typed(kind)), *_timings(kind)], type_)
        read = _read(self._gauges).items() if gauges else ()
        self._lines(
            at,
            [
                *self._counts("", _counters(self._tally, self._gauges)),
                *_told_of("LoopLagSeconds", self._tally.lag),
                *(News(name, value) for name, value in read),
            ],
        )

    def _counts(self, type_: str, counts: Iterable[tuple[str, int]]) -> Iterator[News]:
        """What the counters that gained anything have gained since they were last said."""
        for name, count in counts:
            key = type_, name
            if gained := count - self._told.get(key, 0):
                yield News(name, gained, partial(self._told.__setitem__, key, count))

    def _lines(self, at: int, news: Iterable[News], type_: str = "") -> None:
        by_name = {each.name: each for each in news}
        values = {name: each.value for name, each in by_name.items()}
        timestamp = datetime.fromtimestamp(self._now() / 1000, UTC).isoformat()
        head = {"timestamp": timestamp[:-6] + "Z", "level": "info", "event": EVENT}
        for document in emf.documents(self._who.service, at, values, type_):
            if self._write(render({**head, "daemon": self._who.daemon, **document})):
                for name in by_name.keys() & document.keys():
                    by_name[name].told()


def _typed(kind: OfType) -> Iterator[tuple[str, int]]:
    yield "TasksClaimed", kind.claimed
    for outcome, name in _OUTCOMES.items():
        yield name, kind.ended[outcome]
    yield "TasksCrashed", kind.crashed
    yield "LoopBlocked", kind.blocked


def _timings(kind: OfType) -> Iterator[News]:
    yield from _told_of("HandlerSeconds", kind.handler)
    yield from _told_of("QueueWaitSeconds", kind.wait)
    yield from _told_of("EndToEndSeconds", kind.total)


def _told_of(name: str, timing: Timing) -> Iterator[News]:
    if distribution := timing.news():
        yield News(name, distribution, timing.told)


def _counters(tally: Tally, gauges: Gauges) -> Iterator[tuple[str, int]]:
    calls = {"ok": 0, "throttled": 0, "other": 0}
    for (_, _, outcome), count in tally.calls.items():
        calls[outcome if outcome in calls else "other"] += count
    yield "ClaimsLost", tally.lost
    yield "MessagesRefused", tally.refused.total()
    yield "MessagesSwept", tally.swept
    yield "BreakerOpenings", tally.openings.total()
    yield "HandlersAbandoned", tally.abandoned
    yield "Faults", tally.faults.total() + gauges.broken()
    yield "LogLinesLost", gauges.lines_lost()
    yield "AwsCalls", sum(calls.values())
    yield "AwsThrottles", calls["throttled"]
    yield "AwsErrors", calls["other"]


def _read(gauges: Gauges) -> dict[str, Value]:
    open_ = sum(position is not Position.CLOSED for position in gauges.breakers().values())
    return {
        "InFlight": gauges.inflight(),
        "Slots": gauges.slots(),
        "BreakersOpen": open_,
        "Daemons": 1,
    }
