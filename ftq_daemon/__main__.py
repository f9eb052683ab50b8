"""``python -m ftq_daemon``: run a daemon until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable

import structlog
import uvloop

from ftq.errors import CallError, RegistryError, SettingsError
from ftq.registry import Registry, load
from ftq.settings import read
from ftq_daemon.bootstrap import running, several
from ftq_daemon.fleet.leash import Leash
from ftq_daemon.settings import DaemonSettings
from ftq_daemon.sinks.lines import Lines
from ftq_daemon.sinks.log import configure
from ftq_daemon.sinks.printed import refuse
from ftq_daemon.tracing.start import check as check_tracing

BAD_USAGE = 2
UNREACHABLE = 3
# How long a reader of the log that does not keep up is waited for at the end.
LAST_LINES_SECONDS = 1.0


def _on_signals(stop: Callable[[], None], kill: Callable[[], None]) -> None:
    """Stop at the first SIGTERM or SIGINT, leave at once at the second."""
    loop = asyncio.get_running_loop()
    told: set[int] = set()

    def on_signal(number: int) -> None:
        if told:
            # What is in hand comes back by its visibility timeout.
            kill()
            os._exit(128 + number)
        told.add(number)
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)


async def _serve_one(settings: DaemonSettings, registry: Registry, lines: Lines) -> int:
    stop = asyncio.Event()
    _on_signals(stop.set, lambda: None)
    leash = Leash.of(os.environ)
    if leash:
        leash.on_loss(stop.set)
    async with running(settings, registry, leash, lines) as daemon:
        _spare_the_collector()
        left = await daemon.run(stop)
    return 1 if left else 0


def _spare_the_collector() -> None:
    """Have what is loaded not looked at again and again, nor what lives no longer than a task.

    Each task makes a few hundred objects, nearly all of which are freed without the collector.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)


async def _serve_several(settings: DaemonSettings, lines: Lines) -> int:
    async with several(settings, lines.write) as fleet:
        _on_signals(fleet.stop, fleet.kill)
        return await fleet.run()


def main() -> int:
    """Run the daemon.

    Returns:
        0 after a clean stop, 1 after one that left attempts behind, 2 for bad settings, 3 if
        AWS could not be reached at the start.
    """
    try:
        settings = read(DaemonSettings, os.environ)
        check_tracing(settings.tracing, os.environ)
    except SettingsError as error:
        refuse(str(error))
        return BAD_USAGE
    # From here on, what anybody prints or logs is a line; the handlers' modules may do so, too.
    lines = configure(settings.log_level, settings.redact, whole=True)
    try:
        return _run(settings, lines)
    except RegistryError as error:
        refuse(f"FTQ_HANDLERS={settings.handlers!r}: {error}", settings.redact)
        return BAD_USAGE
    except SettingsError as error:
        refuse(str(error), settings.redact)
        return BAD_USAGE
    except CallError as error:
        structlog.get_logger().error("daemon.failed", what="start", error=str(error))
        return UNREACHABLE
    finally:
        lines.close(LAST_LINES_SECONDS)


def _run(settings: DaemonSettings, lines: Lines) -> int:
    if settings.processes > 1:
        return uvloop.run(_serve_several(settings, lines))
    return uvloop.run(_serve_one(settings, load(settings.handlers), lines))


if __name__ == "__main__":
    sys.exit(main())
