"""What was counted, as Prometheus reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Gauge, Metric, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from ftq.breaker import Position
from ftq.metrics import OTHER, UNKNOWN
from ftq_daemon.sinks.tally import Gauges, OfType, Tally
from ftq_daemon.sinks.timing import BOUNDS, Timing

# Some of those by which timings are counted.
_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 10800)
_SHOWN: Final = [(str(float(bound)), BOUNDS.index(bound)) for bound in _SECONDS]
K = TypeVar("K", bound=tuple[str, ...])
_POSITIONS: Final = {Position.CLOSED: 0, Position.HALF_OPEN: 1, Position.OPEN: 2}


class Metrics(Collector):
    """The exposition of a daemon.

    Args:
        tally: What was counted.
        gauges: What is read when somebody looks.
    """

    def __init__(self, tally: Tally, gauges: Gauges) -> None:
        """Nothing is read yet."""
        self._tally = tally
        self._gauges = gauges
        self._collected = CollectorRegistry(auto_describe=False)
        self._collected.register(self)

    def watch(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Show a number as it is whenever somebody looks."""
        Gauge(name, what, registry=self._collected).set_function(read)

    def render(self) -> bytes:
        """The exposition, as Prometheus reads it."""
        return generate_latest(self._collected)

    def collect(self) -> Iterator[Metric]:
        """All metrics, for prometheus_client to render."""
        tally = self._tally
        yield from self._of_tasks()
        yield _counted("ftq_claims_lost", "Claims that went to others", {(): tally.lost})
        yield _counted(
            "ftq_messages_refused", "Messages that were not run", _named(tally.refused), "what"
        )
        yield _counted("ftq_aws_calls", "AWS calls", tally.calls, "service", "operation", "outcome")
        yield _counted("ftq_breaker_openings", "Openings", _named(tally.openings), "breaker")
        yield _counted("ftq_swept", "Messages the sweeper sent again", {(): tally.swept})
        yield _counted("ftq_handlers_abandoned", "Handlers that did not end", {(): tally.abandoned})
        faults = _named(tally.faults + Counter(listener=self._gauges.broken()))
        yield _counted("ftq_faults", "What did not work", faults, "what")
        lines_lost = self._gauges.lines_lost()
        yield _counted("ftq_log_lines_lost", "Lines of the log that were lost", {(): lines_lost})
        yield _timed("ftq_loop_lag_seconds", "How late the loop was", {(): [tally.lag]})
        yield GaugeMetricFamily("ftq_inflight", "Messages in hand", self._gauges.inflight())
        yield GaugeMetricFamily("ftq_slots", "Messages that may be", self._gauges.slots())
        breakers = GaugeMetricFamily(
            "ftq_breaker_state", "0 closed, 1 half open, 2 open", labels=["breaker"]
        )
        for name, position in self._gauges.breakers().items():
            breakers.add_metric([name], _POSITIONS[position])
        yield breakers

    def _of_tasks(self) -> Iterator[Metric]:
        types = {
            name: kind
            for name, kind in self._tally.types.items()
            if name not in (UNKNOWN, OTHER) or kind.claimed or kind.blocked
        }
        yield _counted("ftq_claims", "Claims granted", _each(types, lambda t: t.claimed), "type")
        ended = {
            (name, outcome): count
            for name, kind in types.items()
            for outcome, count in kind.ended.items()
            if count
        }
        yield _counted("ftq_tasks", "Claims that ended, by outcome", ended, "type", "outcome")
        dead = {
            (name, cause): count
            for name, kind in types.items()
            for cause, count in kind.dead.items()
        }
        yield _counted("ftq_dead", "Tasks given up, by cause", dead, "type", "cause")
        yield _counted("ftq_crashes", "Claims crashed", _each(types, lambda t: t.crashed), "type")
        blocked = _each(types, lambda t: t.blocked)
        yield _counted("ftq_loop_blocked", "Times a handler held the loop", blocked, "type")
        handler = {(name,): [kind.handler] for name, kind in types.items()}
        yield _timed("ftq_task_seconds", "Handler time", handler, "type")
        total = {(name,): [kind.total] for name, kind in types.items()}
        yield _timed("ftq_end_to_end_seconds", "From submission to success", total, "type")
        yield _timed(
            "ftq_queue_wait_seconds",
            "From when a task could run to its claim",
            {(): [kind.wait for kind in self._tally.types.values()]},
        )


def _named(counts: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    return {(name,): count for name, count in counts.items()}


def _each(
    types: Mapping[str, OfType], count: Callable[[OfType], int]
) -> dict[tuple[str, ...], int]:
    return {(name,): count(kind) for name, kind in types.items() if count(kind)}


def _counted(name: str, about: str, counts: Mapping[K, int], *labels: str) -> CounterMetricFamily:
    family = CounterMetricFamily(name, about, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _timed(
    name: str, about: str, timings: Mapping[K, Iterable[Timing]], *labels: str
) -> HistogramMetricFamily:
    """A histogram; several timings under one set of labels are added up."""
    family = HistogramMetricFamily(name, about, labels=labels)
    for values, several in timings.items():
        each = list(several)
        up_to = list(accumulate(map(sum, zip(*(one.counts for one in each), strict=True))))
        buckets = [(text, float(up_to[n])) for text, n in _SHOWN]
        buckets.append(("+Inf", float(up_to[-1])))
        family.add_metric(values, buckets, sum(sum(one.sums) for one in each))
    return family
