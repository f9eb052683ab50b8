"""Events as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ftq.breaker import Position
from ftq.registry import Registry
from ftq_daemon import events as facts
from ftq_daemon.events import Event, Settled

_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 10800)
UNKNOWN: Final = "unknown"
MOST_LABELS: Final = 1024
_POSITIONS: Final = {Position.CLOSED: 0, Position.HALF_OPEN: 1, Position.OPEN: 2}


class Metrics:
    """A sink that counts.

    Args:
        registry: The handlers: types it does not know share one label, so that no message can
            make labels up.
        inflight: How many messages are in hand.
        breakers: Where each breaker stands.
    """

    def __init__(
        self,
        registry: Registry,
        inflight: Callable[[], int],
        breakers: Callable[[], Mapping[str, Position]],
    ) -> None:
        """Make the metrics in a registry of our own."""
        self._known = {handler.type for handler in registry}
        self._collected = CollectorRegistry()
        make = self._collected
        self._tasks = Counter(
            "ftq_tasks", "Claims that ended, by outcome", ["type", "outcome"], registry=make
        )
        self._seconds = Histogram(
            "ftq_task_seconds", "Handler time", ["type"], registry=make, buckets=_SECONDS
        )
        self._wait = Histogram(
            "ftq_queue_wait_seconds",
            "From when a task could run to its claim",
            registry=make,
            buckets=_SECONDS,
        )
        self._lost = Counter("ftq_claims_lost", "Claims that went to others", registry=make)
        self._refused = Counter(
            "ftq_messages_refused", "Messages that were not run", ["what"], registry=make
        )
        self._calls = Counter(
            "ftq_aws_calls", "AWS calls", ["service", "operation", "outcome"], registry=make
        )
        gauge = Gauge("ftq_inflight", "Messages in hand", registry=make)
        gauge.set_function(inflight)
        self._positions = breakers
        self._breakers = Gauge(
            "ftq_breaker_state", "0 closed, 1 half open, 2 open", ["breaker"], registry=make
        )
        self._opened = Counter("ftq_breaker_openings", "Openings", ["breaker"], registry=make)
        self._swept = Counter("ftq_swept", "Messages the sweeper sent again", registry=make)
        self._blocked = Counter(
            "ftq_loop_blocked", "Times a handler held the loop", ["type"], registry=make
        )
        # What is counted for each task is looked up once: labels() takes a lock, and texts apart.
        self._call = lru_cache(maxsize=MOST_LABELS)(self._calls.labels)
        self._end = lru_cache(maxsize=MOST_LABELS)(self._tasks.labels)
        self._took = {kind: self._seconds.labels(kind) for kind in self._known}

    def watch(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Show a number as it is whenever somebody looks."""
        Gauge(name, what, registry=self._collected).set_function(read)

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case facts.Called(service, operation, outcome):
                self._call(service, operation, outcome).inc()
            case facts.Claimed(_, wait):
                self._wait.observe(wait)
            case (
                facts.Succeeded()
                | facts.Retrying()
                | facts.Dead()
                | facts.Released()
                | facts.Cancelled()
            ):
                self._ended(event)
            case facts.ClaimLost():
                self._lost.inc()
            case facts.Refusal(_, _, what):
                self._refused.labels(what).inc()
            case facts.PutAside():
                self._refused.labels("unreadable").inc()
            case facts.BreakerOpened(breaker):
                self._opened.labels(breaker).inc()
            case facts.LoopBlocked(type=kind):
                # What is no handler's is a library's, or ours.
                self._blocked.labels(kind if kind in self._known else "other").inc()
            case facts.Swept(sent):
                self._swept.inc(sent)
            case _:
                pass

    def render(self) -> bytes:
        """The exposition, as Prometheus reads it."""
        for name, position in self._positions().items():
            self._breakers.labels(name).set(_POSITIONS[position])
        return generate_latest(self._collected)

    def _ended(self, event: Settled) -> None:
        kind = event.task.type
        took = self._took.get(kind)
        if took is None:
            kind, took = UNKNOWN, self._seconds.labels(UNKNOWN)
        self._end(kind, event.outcome).inc()
        took.observe(event.seconds)
