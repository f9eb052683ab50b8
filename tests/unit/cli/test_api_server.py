"""The HTTP port of the API on this machine: what it answers itself, byte by byte."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from api_lambda.http import SECURITY
from ftq_cli import door
from ftq_cli.api_server import Function, Handler
from ftq_cli.door import Door as HttpDoor
from ftq_cli.door import Gateway
from tests.unit.api.door import Door

HOST = "Host: localhost\r\n"
TASK = b'{"type":"a","payload":1}'


class Said:
    """One answer as it came."""

    def __init__(self, head: str, body: bytes) -> None:
        line, *rest = head.split("\r\n")
        self.status = int(line.split()[1])
        pairs = [each.partition(": ") for each in rest if each]
        self.headers = {name.lower(): value for name, _, value in pairs}
        self.body = body

    @property
    def doc(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


@asynccontextmanager
async def listening(function: Handler) -> AsyncIterator[int]:
    runner = web.ServerRunner(HttpDoor(Gateway(Function(function).answer)), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def say(port: int, *chunks: bytes) -> list[Said]:
    """Send bytes, and read all answers to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for chunk in chunks:
        writer.write(chunk)
    async with asyncio.timeout(10):
        answers: list[Said] = []
        while head := await _head(reader):
            said = Said(head, b"")
            said.body = await reader.readexactly(int(said.headers.get("content-length", 0)))
            answers.append(said)
    writer.close()
    await writer.wait_closed()
    return answers


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return ""


def request(line: str = "POST /tasks", headers: str = HOST, body: bytes = TASK) -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if "Transfer-Encoding" not in headers else ""
    return f"{line} HTTP/1.1\r\n{headers}{length}Connection: close\r\n\r\n".encode() + body


def handler(event: Mapping[str, object], context: object) -> object:
    return Door().api.handle(event)


def is_problem(said: Said, status: int) -> None:
    """It has the shape, and the headers, of whatever the Lambda says."""
    assert said.status == status
    assert said.headers["content-type"] == "application/problem+json"
    assert said.headers.items() >= SECURITY.items()
    assert said.headers["x-correlation-id"]
    assert said.doc.keys() >= {"type", "title", "status", "detail"}
    assert said.doc["status"] == status


FOREIGN = "Host: evil.example\r\n"
CHUNKED = HOST + "Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "slug"),
    [
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400, "not-http"),
        (b"GET / HTTP/9.x\r\n\r\n", 400, "not-http"),
        (request(headers=HOST + "bad header\r\n"), 400, "not-http"),
        (request(headers=HOST + "Content-Length: 1\r\n"), 400, "not-http"),
        (request(headers=HOST + "X: " + "y" * 9_000 + "\r\n"), 400, "not-http"),
        (request("GET /" + "y" * 9_000), 400, "not-http"),
        (request(headers=CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"), 400, "not-http"),
        (request(headers=FOREIGN), 403, "foreign-page"),
        (request("OPTIONS *", body=b""), 404, "no-such-route"),
        (request("CONNECT localhost:80", body=b""), 404, "no-such-route"),
        (request("GET //tasks", body=b""), 404, "no-such-route"),
        (request(headers=HOST + "Content-Encoding: gzip\r\n", body=gzip.compress(TASK)),
         415, "encoded-body"),
        (request(headers=HOST + "Content-Encoding: gzip\r\n", body=b"no gzip"),
         415, "encoded-body"),
        (request(headers=HOST + "Expect: a-miracle\r\n"), 417, "expectation-failed"),
        (request(headers=HOST + "Idempotency-Key: a\r\nIdempotency-Key: b\r\n"), 422, "invalid"),
        (request(headers=HOST + "Idempotency-Key: a\r\nIdempotency-Key: a\r\n"), 422, "invalid"),
    ],
    ids=itertools.count(),
)  # fmt: skip
async def test_a_request_that_cannot_be_served_is_a_problem_of_the_one_shape(
    sent: bytes, status: int, slug: str
) -> None:
    async with listening(handler) as port:
        (said,) = await say(port, sent)
    is_problem(said, status)
    assert said.doc["type"] == f"urn:ftq:problem:{slug}"


async def test_a_body_beyond_the_gateways_own_limit_is_a_413(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "MOST_BYTES", 10_000)
    sent = request(headers=HOST + "X-Correlation-Id: c-1\r\n", body=b"x" * 20_000)
    async with listening(handler) as port:
        (said,) = await say(port, sent)
    is_problem(said, 413)
    assert said.headers["x-correlation-id"] == "c-1"


async def test_a_function_that_fails_is_a_500_of_the_one_shape() -> None:
    def broken(event: Mapping[str, object], context: object) -> object:
        raise RuntimeError("a secret")

    async with listening(broken) as port:
        (said,) = await say(port, request())
    is_problem(said, 500)
    assert b"secret" not in said.body


async def test_whoever_waits_to_be_told_to_continue_is_told() -> None:
    async with listening(handler) as port:
        first, last = await say(port, request(headers=HOST + "Expect: 100-continue\r\n"))
    assert (first.status, last.status) == (100, 202)


async def test_chunks_make_one_body() -> None:
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(TASK), TASK)
    async with listening(handler) as port:
        (said,) = await say(port, request(headers=CHUNKED, body=body))
    assert said.status == 202
