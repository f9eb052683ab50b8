"""A process of a fleet is heard until it ends, whatever else holds on to its leash."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys

import pytest

from ftq_daemon.fleet.member import Member

WITHIN_SECONDS = 20
STARTED = b'{"health_url": "http://h", "handlers": 3}\n'


@pytest.mark.parametrize("last", [b'{"busy": true}\n', b'{"busy": tr'])
async def test_one_that_is_killed_has_ended_though_what_it_forked_holds_its_leash(
    last: bytes,
) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=-1)
    member, up = Member(1, process), asyncio.Event()
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    with theirs:
        theirs.sendall(STARTED)
        listening = asyncio.create_task(member.listen(reader, lambda _: up.set()))
        async with asyncio.timeout(WITHIN_SECONDS):
            await up.wait()
            theirs.sendall(last)
            member.send(signal.SIGKILL)
            assert await listening == -signal.SIGKILL
    assert (member.health_url, member.handlers) == ("http://h", 3)
    assert member.busy is last.endswith(b"\n")
    writer.close()


async def test_one_whose_last_line_is_torn_has_just_ended() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    with theirs:
        theirs.sendall(STARTED + b'{"bus')
    async with asyncio.timeout(WITHIN_SECONDS):
        assert await Member(1, process).listen(reader, lambda _: None) == 0
    writer.close()
