"""A port that speaks HTTP on this machine: each request as a value, to whoever answers it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection
from typing import Final, TypeAlias

from aiohttp import ClientPayloadError, HttpVersion11, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict

from api_lambda.http import CORRELATION
from ftq.limits import CORRELATION_PATTERN
from ftq_cli.gateway import (
    BROKEN,
    TOO_LONG,
    UNEXPECTED,
    UNREADABLE,
    HttpRequest,
    HttpResponse,
)
from ftq_cli.guard import LOCAL, refusal

# API Gateway's own limit for HTTP APIs.
MOST_BYTES: Final = 10 * 1024 * 1024

Answers: TypeAlias = Callable[[HttpRequest], Awaitable[HttpResponse]]


class Gateway:
    """Reads whole requests, and keeps those of foreign pages out.

    Args:
        answer: Answers what was let in.
        origins: The origins of web pages that may ask.
        names: What this port may be called.
    """

    def __init__(
        self,
        answer: Answers,
        origins: Collection[str] = (),
        names: Collection[str] = LOCAL,
    ) -> None:
        """Nothing is taken yet."""
        self._answer = answer
        self._origins = origins
        self._names = names

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
        return await self._answer(_received(request, body))


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
