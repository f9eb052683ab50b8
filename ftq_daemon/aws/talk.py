"""One HTTP/1.1 connection, one request at a time: as much of RFC 9112 as a client must read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Final, cast

from ftq.value import value

HEAD_BYTES: Final = 64 * 1024
_END: Final = b"\r\n\r\n"
_NO_BODY: Final = frozenset({204, 304})


class TornError(Exception):
    """The connection ended before a reply did, or what came is no HTTP."""


@value(frozen=True, slots=True)
class Spoken:
    """An HTTP reply.

    Attributes:
        status_code: Its status.
        headers: Its headers, names in small letters.
        body: Its body.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    async def content(self) -> bytes:
        """The body, in the way in which aiobotocore's replies have it."""
        return self.body


@value(frozen=True, slots=True)
class _Head:
    """How a reply begins; `length` is None for a body that lasts until the connection's end."""

    status: int
    headers: Mapping[str, str]
    length: int | None
    chunked: bool
    last: bool


class Talk(asyncio.Protocol):
    """A connection.

    Attributes:
        open: Whether another request may be sent.
        since: Loop time of its last reply.
    """

    def __init__(self) -> None:
        """Set up; the loop makes the connection."""
        self.open = False
        self.since = 0.0
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Spoken] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._seconds: float | None = None
        self._came = bytearray()
        self._body = bytearray()
        self._head: _Head | None = None

    async def ask(self, request: bytes, seconds: float | None) -> Spoken:
        """Send a request and read its reply; `seconds` may pass between two pieces of it.

        Raises:
            TimeoutError: Nothing came for that long.
            TornError: The reply is none, or not whole.
            OSError: The connection broke.
        """
        if self._transport is None:
            raise TornError("there is no connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._seconds = seconds
        self._transport.write(request)
        self._rearm()
        try:
            return await self._answer
        finally:
            if not self._answer.done() or self._answer.cancelled():
                self.abort()  # its reply may still come, and must not be taken for another's
            self._answer = None
            if self._timer is not None:
                self._timer.cancel()

    def abort(self) -> None:
        """End the connection at once."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport, self.open = cast("asyncio.Transport", transport), True
        # A peer that vanished without a word is noticed even while a long poll is quiet.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """A piece of a reply came."""
        if self._answer is None or self._answer.done():
            self.abort()  # nobody asked
            return
        self._came += data
        try:
            whole = self._read()
        except ValueError as error:
            self._fail(TornError(f"not HTTP: {error}"))
            return
        if whole:
            self._finish()
        else:
            self._rearm()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self.open = False
        head = self._head
        if exc is None and head is not None and not head.chunked and head.length is None:
            self._body += self._came
            self._finish()
        elif isinstance(exc, OSError) and head is None:
            self._fail(exc)
        else:
            self._fail(TornError("the connection was closed"))

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._fail, TimeoutError())

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.abort()

    def _finish(self) -> None:
        head, body = self._head, bytes(self._body)
        if head is None or self._answer is None or self._answer.done():
            return
        self._answer.set_result(Spoken(head.status, head.headers, body))
        if head.last or self._came:
            self.abort()
        self.since = asyncio.get_running_loop().time()
        self._head = None
        self._body.clear()

    def _read(self) -> bool:
        """Take in what came; whether the reply is whole."""
        while self._head is None:
            end = self._came.find(_END)
            if end < 0:
                if len(self._came) > HEAD_BYTES:
                    raise ValueError("a head without end")
                return False
            head = _read_head(self._came[:end].decode())
            del self._came[: end + len(_END)]
            if head.status >= 200:  # what comes before is only word that more will come
                self._head = head
        if self._head.chunked:
            return self._read_chunks()
        length = self._head.length
        if length is None or len(self._came) < length:
            return False
        self._body += self._came[:length]
        del self._came[:length]
        return True

    def _read_chunks(self) -> bool:
        while (end := self._came.find(b"\r\n")) >= 0:
            length = _digits(self._came[:end].decode().partition(";")[0].strip(" \t"), 16)
            begin = end + 2
            if length == 0:
                # Trailers, if there are any, end as a head does; without any, this is the end.
                over = self._came.find(_END, end)
                if over < 0:
                    return False
                del self._came[: over + len(_END)]
                return True
            if len(self._came) < begin + length + 2:
                return False
            if self._came[begin + length : begin + length + 2] != b"\r\n":
                raise ValueError("a chunk is longer than it says")
            self._body += self._came[begin : begin + length]
            del self._came[: begin + length + 2]
        if len(self._came) > HEAD_BYTES:
            raise ValueError("a chunk without a length")
        return False


def _read_head(text: str) -> _Head:
    first, *rows = text.split("\r\n")
    version, _, rest = first.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise ValueError("no status line")
    status = _digits(rest.partition(" ")[0], 10)
    headers: dict[str, str] = {}
    for row in rows:
        name, colon, value = row.partition(":")
        if not colon:
            raise ValueError("a header without a colon")
        headers[name.lower()] = value.strip(" \t")
    coding = headers.get("transfer-encoding", "").lower()
    if coding not in ("", "chunked"):
        raise ValueError(f"transfer coding {coding!r}")
    said = headers.get("content-length")
    length = 0 if status in _NO_BODY else None if said is None else _digits(said, 10)
    until_end = length is None and not coding
    last = until_end or version == "HTTP/1.0" or headers.get("connection", "").lower() == "close"
    return _Head(status, headers, length, bool(coding), last)


def _digits(text: str, base: int) -> int:
    # int() alone would take signs, blanks and underscores.
    if not text.isalnum() or not text.isascii():
        raise ValueError(f"{text[:20]!r} is no number")
    return int(text, base)
