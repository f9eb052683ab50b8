"""HTTP/1.1 by hand, as much of it as the AWS SDKs speak: a request at a time, kept alive.

Requests that come while one is being answered wait in the buffer, so pipelining is safe.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from email.utils import formatdate
from typing import Final, Protocol, cast

from benchmarks.stub.fastjson import dumps

_HEAD: Final = (
    b"HTTP/1.1 %s\r\nServer: stub\r\nDate: %s\r\nContent-Type: %s\r\n"
    b"x-amzn-RequestId: 5a17e0d2-8d5f-4f6e-9d0b-000000000000\r\nx-amz-crc32: %d\r\n"
    b"Content-Length: %d\r\n\r\n"
)
OK: Final = b"200 OK"
BAD: Final = b"400 Bad Request"
AWS_JSON: Final = b"application/x-amz-json-1.0"
JSON: Final = b"application/json"
DATE: Final = formatdate(usegmt=True).encode()

GiveUp = Callable[[], None]


class Respond(Protocol):
    """Sends the one answer of a request."""

    def __call__(self, status: bytes, body: object, kind: bytes = AWS_JSON) -> None:
        """Send it."""
        ...


class Serve(Protocol):
    """Answers requests."""

    def __call__(self, target: bytes, path: bytes, body: bytes, respond: Respond) -> GiveUp | None:
        """Answer now, or later and return how to give up should the caller go away."""
        ...


class Connection(asyncio.Protocol):
    """One connection.

    Args:
        serve: Answers its requests.
    """

    def __init__(self, serve: Serve) -> None:
        """Wait for the first bytes."""
        self._serve = serve
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._answering = self._last = False
        self._give_up: GiveUp | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is being waited for."""
        self._transport = None
        if self._give_up is not None:
            self._give_up()

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer = self._buffer + data if self._buffer else data
        while not self._answering and self._next():
            pass

    def _next(self) -> bool:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = buffer[:end].lower()
        stop = end + 4 + int(_header(head, b"\r\ncontent-length:") or 0)
        if len(buffer) < stop:
            return False
        if b"\r\ntransfer-encoding:" in head:
            raise ValueError("the stub reads requests with a length only")
        self._buffer = buffer[stop:]
        self._answering = True
        self._last = b"\r\nconnection: close" in head or b" http/1.0\r\n" in head
        path = buffer.split(b" ", 2)[1]
        # The target is case-sensitive, and names of headers are not.
        at = head.find(b"\r\nx-amz-target:")
        target = buffer[at + 15 : buffer.find(b"\r\n", at + 15)].strip() if at >= 0 else b""
        self._give_up = self._serve(target, path, buffer[end + 4 : stop], self._respond)
        return True

    def _respond(self, status: bytes, body: object, kind: bytes = AWS_JSON) -> None:
        late = self._give_up is not None
        self._answering, self._give_up = False, None
        if self._transport is None:
            return
        content = dumps(body)
        head = _HEAD % (status, DATE, kind, zlib.crc32(content), len(content))
        self._transport.write(head + content)
        if self._last:
            self._transport.close()
        elif late and self._buffer:
            self.data_received(b"")


def _header(head: bytes, name: bytes) -> bytes:
    at = head.find(name)
    if at < 0:
        return b""
    start = at + len(name)
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else None]
