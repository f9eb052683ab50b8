"""An AWS that answers as told, on a real socket, and ports to it with and without the hot lane."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from ftq.errors import CallError
from ftq.ports import Call, Port, Reply, Service
from ftq_daemon.aws.clients import client_of, config_of
from ftq_daemon.aws.port import AioPort


@dataclass(frozen=True, slots=True)
class Said:
    """An HTTP reply; `cut` ends the connection within its body, `reset` before it."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[str, ...] = ()
    cut: bool = False
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A request as it arrived; names of headers are in small letters."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def hot(self) -> bool:
        """aiobotocore numbers its requests, the hot lane does not."""
        return "amz-sdk-invocation-id" not in self.headers


@dataclass(slots=True)
class Door:
    """Answers requests with the next of `script`, or an empty object; with nothing once `mute`."""

    url: str = ""
    script: list[Said] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    mute: bool = False
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *rows = head.strip().split("\r\n")
        pairs = (row.partition(":") for row in rows)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.heard.append(Heard(line, headers, body))
        if self.mute:
            return True
        said = self.script.pop(0) if self.script else Said()
        if said.reset:
            writer.transport.abort()
            return False
        more = "".join(f"{row}\r\n" for row in said.headers)
        length = len(said.body) + said.cut
        head = f"HTTP/1.1 {said.status} X\r\nContent-Length: {length}\r\n{more}\r\n"
        writer.write(head.encode() + said.body)
        await writer.drain()
        return not said.cut


@asynccontextmanager
async def door(tls: ssl.SSLContext | None = None) -> AsyncIterator[Door]:
    """Open one on a free port."""
    it = Door()
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0, ssl=tls)
    where = "http://127.0.0.1" if tls is None else "https://localhost"
    it.url = f"{where}:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield it


@dataclass(slots=True)
class Told:
    """What the port told of its calls, and how long it would have waited between tries."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def watch(self, _call: Call, outcome: str, _seconds: float, error: str) -> None:
        self.calls.append((outcome, error))

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def session_of(key: str = "AKID", account: str | None = None) -> AioSession:
    session = AioSession()
    session.set_credentials(key, "secret", account_id=account)
    return session


@asynccontextmanager
async def port_at(
    url: str | None,
    service: Service,
    *,
    told: Told | None = None,
    hot: bool = True,
    tries: int = 3,
    session: AioSession | None = None,
    config: AioConfig | None = None,
) -> AsyncIterator[Port]:
    """The daemon's own port, over its own client, configured as the daemon does."""
    told = Told() if told is None else told
    ours = config_of("us-east-1", 5, 4, tries)
    if config is not None:
        ours = ours.merge(config)
    given = session_of() if session is None else session
    client = client_of(given, service, ours, hot=hot, endpoint_url=url, sleep=told.sleep)
    async with client as it:
        yield AioPort(it, told.watch)


async def outcome_of(port: Port, call: Call) -> tuple[object, ...]:
    """What a call came to, in a form that can be compared."""
    try:
        reply = await port.call(call)
    except CallError as error:
        item = getattr(error, "item", None)
        return type(error), error.operation, error.code, str(error), item
    return (plain(reply),)


def plain(reply: Reply) -> dict[str, object]:
    """A reply without what botocore says about its transport."""
    return {name: value for name, value in reply.items() if name != "ResponseMetadata"}


def dumped(**body: object) -> bytes:
    return json.dumps(body).encode()
