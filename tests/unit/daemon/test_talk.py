"""The hot lane's own HTTP: whatever a server may say, in whatever pieces it comes."""

from __future__ import annotations

import asyncio
import itertools
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq_daemon.aws.talk import HEAD_BYTES, Spoken, Talk, TornError

BODY = b'{"a":"\r\n\r\n0\r\n"}'
HEAD = b"HTTP/1.1 200 OK\r\nX-Amzn-RequestId:  r1 \r\n"
BY_LENGTH = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = HEAD + b"Transfer-Encoding: Chunked\r\n\r\n"
BY_CHUNKS = CHUNKED + b"8;x=1\r\n%b\r\n00007\r\n%b\r\n0\r\n\r\n" % (BODY[:8], BODY[8:])
WITH_TRAILER = BY_CHUNKS[:-2] + b"x-trailer: 1\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that leads nowhere."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__()
        self.end = end
        self.aborted = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.end if name == "socket" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


async def heard(
    *pieces: bytes, closed: bool = False, error: Exception | None = None
) -> tuple[Spoken, Talk]:
    """What a reply in these pieces comes to, and the connection after it."""
    with socket.socket() as end:
        talk, wire = Talk(), Wire(end)
        talk.connection_made(wire)
        asked = asyncio.get_running_loop().create_task(talk.ask(b"", None))
        await asyncio.sleep(0)
        for piece in pieces:
            talk.data_received(piece)
        if closed or error:
            talk.connection_lost(error)
        spoken = await asked
        assert wire.aborted is not talk.open
        return spoken, talk


def cut(whole: bytes, places: set[int]) -> list[bytes]:
    marks = [0, *sorted(place for place in places if place < len(whole)), len(whole)]
    return [whole[a:b] for a, b in itertools.pairwise(marks)]


@pytest.mark.parametrize("whole", [BY_LENGTH, BY_CHUNKS, WITH_TRAILER, INTERIM + BY_LENGTH])
@given(places=st.sets(st.integers(1, 150)))
def test_a_reply_is_the_same_in_whatever_pieces_it_comes(whole: bytes, places: set[int]) -> None:
    spoken, talk = asyncio.run(heard(*cut(whole, places)))
    assert spoken == Spoken(200, {**spoken.headers, "x-amzn-requestid": "r1"}, BODY)
    assert talk.open


@pytest.mark.parametrize(
    ("whole", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200", b"{}"),
    ],
)
async def test_a_connection_that_is_not_to_be_used_again_ends(whole: bytes, body: bytes) -> None:
    spoken, talk = await heard(whole)
    assert (spoken.body, talk.open) == (body, False)


async def test_a_body_without_a_length_lasts_until_the_connection_ends() -> None:
    spoken, _ = await heard(b"HTTP/1.1 200 OK\r\n\r\n{", b"}", closed=True)
    assert spoken.body == b"{}"


async def test_a_reply_without_content_has_no_body() -> None:
    spoken, talk = await heard(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (spoken.status_code, spoken.body, talk.open) == (204, b"", True)


@pytest.mark.parametrize(
    "whole",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: \xff\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"1\r\n{}\r\n",
        CHUNKED + b"1" * (HEAD_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * HEAD_BYTES,
    ],
)
async def test_what_is_no_http_ends_the_connection_at_once(whole: bytes) -> None:
    with pytest.raises(TornError, match="not HTTP"):
        await heard(whole)


@given(st.binary(max_size=200))
def test_garbage_is_torn(garbage: bytes) -> None:
    with pytest.raises(TornError):
        asyncio.run(heard(garbage, closed=True))


@pytest.mark.parametrize("whole", [BY_LENGTH, BY_CHUNKS])
@given(missing=st.integers(1, 90))
def test_half_a_reply_is_torn(whole: bytes, missing: int) -> None:
    with pytest.raises(TornError):
        asyncio.run(heard(whole[:-missing], closed=True))


async def test_a_connection_that_breaks_says_how_before_a_reply_and_is_torn_within_one() -> None:
    with pytest.raises(ConnectionResetError):
        await heard(error=ConnectionResetError())
    with pytest.raises(TornError):
        await heard(BY_LENGTH[:-1], error=ConnectionResetError())


async def test_who_does_not_wait_any_more_takes_the_connection_along() -> None:
    with socket.socket() as end:
        talk, wire = Talk(), Wire(end)
        talk.connection_made(wire)
        asked = asyncio.get_running_loop().create_task(talk.ask(b"", None))
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert wire.aborted
    assert not talk.open


async def test_words_that_nobody_asked_for_end_the_connection() -> None:
    with socket.socket() as end:
        talk, wire = Talk(), Wire(end)
        talk.connection_made(wire)
        talk.data_received(BY_LENGTH)
    assert wire.aborted
