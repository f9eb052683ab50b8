"""A daemon whose attempts are traced."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ftq_daemon.clock import World
from ftq_daemon.daemon import Daemon
from ftq_daemon.settings import DaemonSettings
from ftq_daemon.tracing.sink import Traces
from ftq_daemon.tracing.start import start


@asynccontextmanager
async def traced(daemon: Daemon, settings: DaemonSettings, world: World) -> AsyncIterator[None]:
    """Have a daemon's attempts traced, if its settings say so, and hand over the last at the end.

    Raises:
        SettingsError: As `start`.
    """
    backend = await start(settings.tracing, os.environ, settings.table, settings.redact)
    if backend is None:
        yield
        return
    traces = Traces(backend, settings.trace_sample, world)
    daemon.events.sinks = [*daemon.events.sinks, traces]
    daemon.work.header = traces.header
    try:
        yield
    finally:
        await asyncio.to_thread(backend.close)
