"""The API on this machine: the Lambda's handler behind HTTP, as API Gateway would call it.

Run as ``python -m ftq_cli.api_server FD NAME...``: the listening socket is inherited, so that the
port is known, and kept, before and between the lives of this program; the names are those that it
may be called by, those of this machine if there are none.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias

from aiohttp import web

from api_lambda.handler import handler
from api_lambda.settings import ApiSettings
from ftq.errors import SettingsError
from ftq.settings import read
from ftq_cli.door import Door, Gateway
from ftq_cli.gateway import BROKEN, TOO_SLOW, HttpRequest, HttpResponse, event_of, response_of
from ftq_cli.guard import LOCAL

STARTED: Final = "api.started"
# API Gateway's own limit: how long an integration may take.
MOST_SECONDS: Final = 30.0
# Each is a Lambda instance in effect: one request at a time.
THREADS: Final = 16

Handler: TypeAlias = Callable[[Mapping[str, object], object], object]


class Function:
    """Calls the handler in threads, for it blocks.

    Args:
        handler: What Lambda would call.
    """

    def __init__(self, handler: Handler) -> None:
        """Set the threads up."""
        self._handler = handler
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="api")

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Call the handler with the request as an event."""
        event = event_of(request, uuid.uuid4().hex, time.time())
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(self._threads, self._handler, event, None)
        try:
            async with asyncio.timeout(MOST_SECONDS):
                return response_of(await call)
        except TimeoutError:
            return TOO_SLOW
        except Exception:  # what a Lambda raises, its caller sees as a 500
            return BROKEN


async def serve(
    listening: socket.socket, function: Handler, names: Collection[str] = LOCAL
) -> None:
    """Serve until SIGTERM or SIGINT."""
    # What the function's handlers print goes to its log, from the first request on.
    stop, out = asyncio.Event(), sys.stdout
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    called = Function(function)
    # The first request wires everything: it is ours, so that no client waits for that, and
    # no two do it at once.
    health = await called.answer(HttpRequest("GET", "/health"))
    gateway = Gateway(called.answer, _origins(), names)
    runner = web.ServerRunner(Door(gateway), handle_signals=False, shutdown_timeout=5)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        started = {"event": STARTED, "level": "info", "status": health.status}
        out.write(json.dumps(started) + "\n")
        out.flush()
        await stop.wait()
    finally:
        await runner.cleanup()


def _origins() -> Collection[str]:
    try:
        return read(ApiSettings, os.environ).cors_origins
    except SettingsError:  # the handler says so itself, to each request and in the log
        return ()


def main() -> int:
    """Serve on the inherited socket."""
    descriptor, *names = sys.argv[1:]
    asyncio.run(serve(socket.socket(fileno=int(descriptor)), handler, frozenset(names) or LOCAL))
    return 0


if __name__ == "__main__":
    sys.exit(main())
