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

from aiohttp import ClientPayloadError, HttpVersion11, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict

from api_lambda.handler import handler
from api_lambda.http import CORRELATION
from api_lambda.settings import ApiSettings
from ftq.errors import SettingsError
from ftq.limits import CORRELATION_PATTERN
from ftq.settings import read
from ftq_cli.gateway import (
    BROKEN,
    TOO_LONG,
    TOO_SLOW,
    UNEXPECTED,
    UNREADABLE,
    HttpRequest,
    HttpResponse,
    event_of,
    response_of,
)
from ftq_cli.guard import LOCAL, refusal

STARTED: Final = "api.started"
# API Gateway's own limits for HTTP APIs: payload size, and how long an integration may take.
MOST_BYTES: Final = 10 * 1024 * 1024
MOST_SECONDS: Final = 30.0
# Each is a Lambda instance in effect: one request at a time.
THREADS: Final = 16

Handler: TypeAlias = Callable[[Mapping[str, object], object], object]


class Gateway:
    """Calls the handler in threads, for it blocks.

    Args:
        function: What Lambda would call.
        origins: The origins of web pages that may ask.
        names: What the API may be called.
    """

    def __init__(
        self,
        function: Handler,
        origins: Collection[str] = (),
        names: Collection[str] = LOCAL,
    ) -> None:
        """Set the threads up."""
        self._function = function
        self._origins = origins
        self._names = names
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="api")

    async def respond(self, request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        return _sent(await self._respond(request), request)

    async def _respond(self, request: web.BaseRequest) -> HttpResponse:
        if refused := refusal(_headers(request), self._origins, self._names):
            return refused
        if expected := request.headers.get("expect"):
            if expected.lower() != "100-continue":
                return UNEXPECTED
            if request.version >= HttpVersion11:
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                # Not yet an answer: one that goes wrong from here on can still be told.
                request.writer.output_size = 0
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return TOO_LONG
        except (web.RequestPayloadError, ClientPayloadError, HttpProcessingError):
            return UNREADABLE
        return await self.answer(_received(request, body))

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Call the handler with the request as an event."""
        event = event_of(request, uuid.uuid4().hex, time.time())
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(self._threads, self._function, event, None)
        try:
            async with asyncio.timeout(MOST_SECONDS):
                return response_of(await call)
        except TimeoutError:
            return TOO_SLOW
        except Exception:  # what a Lambda raises, its caller sees as a 500
            return BROKEN


class _Connection(web.RequestHandler):
    """What aiohttp answers itself, in our shape: to a request that it cannot read."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what no handler saw, and close the connection."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        made = _sent(UNREADABLE if status < 500 else BROKEN, request)
        made.force_close()
        return made


class Door(web.Server):
    """Hands on each request as it came: whatever its path, its body still encoded."""

    def __init__(self, gateway: Gateway) -> None:
        """Take connections for a gateway."""
        super().__init__(
            gateway.respond,
            request_factory=self._request,
            access_log=None,
            auto_decompress=False,
        )

    def __call__(self) -> web.RequestHandler:
        """Take one connection."""
        return _Connection(self, loop=self._loop, **self._kwargs)

    @staticmethod
    def _request(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=MOST_BYTES
        )


def _received(request: web.BaseRequest, body: bytes) -> HttpRequest:
    # As on the wire; only a proxy's request has a whole URL there.
    target = request.raw_path if request.raw_path.startswith("/") else str(request.rel_url)
    version = request.version
    return HttpRequest(
        method=request.method,
        target=target,
        headers=_headers(request),
        body=body,
        source=request.remote or "",
        protocol=f"HTTP/{version.major}.{version.minor}",
    )


def _headers(request: web.BaseRequest) -> list[tuple[str, str]]:
    return [(name, _legible(value)) for name, value in request.headers.items()]


def _legible(value: str) -> str:
    return value.encode("utf-8", "replace").decode("utf-8")


def _sent(response: HttpResponse, request: web.BaseRequest) -> web.Response:
    headers = CIMultiDict(response.headers)
    # An answer of our own names the request, as the function's do.
    given = request.headers.get(CORRELATION, "")
    known = CORRELATION_PATTERN.fullmatch(given)
    headers.setdefault(CORRELATION, given if known else uuid.uuid4().hex)
    return web.Response(status=response.status, body=response.body, headers=headers)


async def serve(
    listening: socket.socket, function: Handler, names: Collection[str] = LOCAL
) -> None:
    """Serve until SIGTERM or SIGINT."""
    # What the function's handlers print goes to its log, from the first request on.
    stop, out = asyncio.Event(), sys.stdout
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gateway = Gateway(function, _origins(), names)
    # The first request wires everything: it is ours, so that no client waits for that, and
    # no two do it at once.
    health = await gateway.answer(HttpRequest("GET", "/health"))
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
