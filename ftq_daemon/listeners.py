"""Who listens to a daemon's events: its log, and the tally that all metrics are told from."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ftq.registry import Registry
from ftq_daemon.clock import World
from ftq_daemon.daemon import Daemon
from ftq_daemon.events import Events, Failed
from ftq_daemon.settings import DaemonSettings
from ftq_daemon.sinks.emf import EmfSink, Who
from ftq_daemon.sinks.lines import Out
from ftq_daemon.sinks.log import log_sink
from ftq_daemon.sinks.metrics import Metrics
from ftq_daemon.sinks.tally import Gauges, Tally


@dataclass(frozen=True, slots=True)
class Listeners:
    """What there is beside the events' sinks.

    Attributes:
        exposition: What Prometheus reads.
        late: Is told how late the loop was, in seconds.
        background: What runs beside the daemon.
    """

    exposition: Callable[[], bytes]
    late: Callable[[float], None]
    background: list[Callable[[], Coroutine[object, None, None]]]


@contextmanager
def listening(
    daemon: Daemon,
    registry: Registry,
    settings: DaemonSettings,
    events: Events,
    name: str,
    out: Out,
    world: World,
) -> Iterator[Listeners]:
    """Have a daemon's events told; what was counted last is said at the end.

    Args:
        daemon: Whose.
        registry: Its handlers.
        settings: Its settings.
        events: Get their sinks.
        name: What the daemon is called.
        out: Takes lines.
        world: The clock.
    """
    slots, pace = daemon.intake.slots, daemon.pace
    gauges = Gauges(
        inflight=lambda: len(daemon.intake.attempts),
        slots=lambda: slots.total,
        breakers=lambda: daemon.attempts.breakers.positions,
        lines_lost=lambda: out.lost,
        broken=lambda: events.broken,
    )
    tally = Tally(registry)
    metrics = Metrics(tally, gauges)
    if pace is not None:
        metrics.watch("ftq_concurrency_limit", "The adaptive limit", lambda: pace.limit)
    events.sinks = [log_sink(name, settings, out.write_soon), tally]
    listeners = Listeners(metrics.render, tally.lag.add, [])
    if settings.emf == "off":
        yield listeners
        return

    def failed(error: Exception) -> None:
        events.emit(Failed("metrics", f"{type(error).__name__}: {error}"))

    said = EmfSink(tally, gauges, Who(settings.service, name), out.write, world.now, failed)
    listeners.background.append(said.run)
    try:
        yield listeners
    finally:
        said.close()
