"""``python -m ftq_daemon``: run one daemon until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import structlog
import uvloop

from ftq.errors import CallError, RegistryError, SettingsError
from ftq.registry import Registry, load
from ftq.settings import read
from ftq_daemon.bootstrap import running
from ftq_daemon.settings import DaemonSettings
from ftq_daemon.sinks.log import configure

BAD_USAGE = 2
UNREACHABLE = 3
# How long a reader of the log that does not keep up is waited for at the end.
LAST_LINES_SECONDS = 1.0


async def _serve(settings: DaemonSettings, registry: Registry) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            # Told twice: leave at once. What is in hand comes back by its visibility timeout.
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    async with running(settings, registry) as daemon:
        left = await daemon.run(stop)
    return 1 if left else 0


def main() -> int:
    """Run the daemon.

    Returns:
        0 after a clean stop, 1 after one that left attempts behind, 2 for bad settings, 3 if
        AWS could not be reached at the start.
    """
    try:
        settings = read(DaemonSettings, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_USAGE
    try:
        registry = load(settings.handlers)
    except RegistryError as error:
        sys.stderr.write(f"FTQ_HANDLERS={settings.handlers!r}: {error}\n")
        return BAD_USAGE
    lines = configure(settings.log_level)
    try:
        return uvloop.run(_serve(settings, registry))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_USAGE
    except CallError as error:
        structlog.get_logger().error("daemon.failed", what="start", error=str(error))
        return UNREACHABLE
    finally:
        lines.close(LAST_LINES_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
