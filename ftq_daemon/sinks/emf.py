"""What was counted, as CloudWatch reads it: lines of embedded metric format in the log.

Once a minute, and once more at the end, so that a clean stop loses nothing. By the wall clock's
minutes: then each minute has one word of each daemon, and the sum of a gauge is the fleet's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ftq import emf
from ftq.breaker import Position
from ftq.emf import Value
from ftq_daemon.sinks.log import Log, render
from ftq_daemon.sinks.tally import Gauges, OfType, Tally

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


class EmfSink:
    """Says what was counted since it last did.

    Args:
        tally: What is counted.
        gauges: What is read at whole minutes.
        who: Who says it.
        write: Takes the lines.
        now: Milliseconds since the epoch.
        failed: Told why nothing could be said: a listener must not stop what it listens to.
    """

    def __init__(
        self,
        tally: Tally,
        gauges: Gauges,
        who: Who,
        write: Log,
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
        """Say what was counted since this was last called.

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
            self._lines(at, {**self._news(type_, _typed(kind)), **_timings(kind)}, type_)
        lag = self._tally.lag.news()
        timings = {"LoopLagSeconds": lag} if lag else {}
        self._lines(
            at,
            {
                **self._news("", _counters(self._tally)),
                **timings,
                **(_read(self._gauges) if gauges else {}),
            },
        )

    def _news(self, type_: str, counts: Iterator[tuple[str, int]]) -> dict[str, Value]:
        """What the counters that gained anything have gained since they were last said."""
        news: dict[str, Value] = {}
        for name, count in counts:
            gained = count - self._told.get((type_, name), 0)
            if gained:
                news[name] = gained
                self._told[type_, name] = count
        return news

    def _lines(self, at: int, values: Mapping[str, Value], type_: str = "") -> None:
        timestamp = datetime.fromtimestamp(self._now() / 1000, UTC).isoformat()
        head = {"timestamp": timestamp[:-6] + "Z", "level": "info", "event": EVENT}
        for document in emf.documents(self._who.service, at, values, type_):
            self._write(render({**head, "daemon": self._who.daemon, **document}))


def _typed(kind: OfType) -> Iterator[tuple[str, int]]:
    yield "TasksClaimed", kind.claimed
    for outcome, name in _OUTCOMES.items():
        yield name, kind.ended[outcome]
    yield "TasksCrashed", kind.crashed
    yield "LoopBlocked", kind.blocked


def _timings(kind: OfType) -> dict[str, Value]:
    every = {
        "HandlerSeconds": kind.handler,
        "QueueWaitSeconds": kind.wait,
        "EndToEndSeconds": kind.total,
    }
    news = {name: timing.news() for name, timing in every.items()}
    return {name: distribution for name, distribution in news.items() if distribution}


def _counters(tally: Tally) -> Iterator[tuple[str, int]]:
    calls = {"ok": 0, "throttled": 0, "other": 0}
    for (_, _, outcome), count in tally.calls.items():
        calls[outcome if outcome in calls else "other"] += count
    yield "ClaimsLost", tally.lost
    yield "MessagesRefused", tally.refused.total()
    yield "MessagesSwept", tally.swept
    yield "BreakerOpenings", tally.openings.total()
    yield "HandlersAbandoned", tally.abandoned
    yield "Faults", tally.faults.total()
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
