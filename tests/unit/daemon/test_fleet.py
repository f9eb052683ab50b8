"""A fleet's processes are stopped as one, and what kills one of them meanwhile is told."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from ftq_daemon.events import Event, Events, ProcessEnded
from ftq_daemon.fleet import member
from ftq_daemon.fleet.fleet import Fleet

WITHIN_SECONDS = 20
# Takes up work, as a daemon says it; what SIGTERM does is to be filled in.
PROGRAM = """
import os, signal, socket, sys
signal.signal(signal.SIGTERM, {on_term})
leash = socket.socket(fileno=int(os.environ["FTQ_LEASH_FD"]))
leash.sendall(b'{{"health_url": "http://h", "handlers": 1}}\\n')
while True:
    signal.pause()
"""
DRAINS = PROGRAM.format(on_term="lambda *_: sys.exit(0)")
HANGS = PROGRAM.format(on_term="signal.SIG_IGN")


async def stopped(
    program: str, killed: bool, late: float, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[Event]]:
    """What a fleet of two comes to, and tells, once it was told to stop."""
    monkeypatch.setattr(member, "_COMMAND", (sys.executable, "-c", program))
    told: list[Event] = []
    fleet = Fleet(2, late, Events([told.append]))
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            running = asyncio.create_task(fleet.run())
            await fleet.started.wait()
            first = fleet.members[1]
            if killed:
                first.send(signal.SIGKILL)
            fleet.stop()
            return await running, told
    finally:
        fleet.kill()


async def test_processes_that_drain_end_well_and_nothing_is_told_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await stopped(DRAINS, False, 60, monkeypatch) == (0, [])


async def test_processes_that_do_not_end_in_time_are_killed_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, told = await stopped(HANGS, False, 0.05, monkeypatch)
    assert code == 1
    assert set(told) == {ProcessEnded(n, -signal.SIGKILL) for n in (1, 2)}


async def test_one_that_is_killed_as_it_should_drain_is_told_and_not_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = [ProcessEnded(1, -signal.SIGKILL)]
    assert await stopped(DRAINS, True, 60, monkeypatch) == (1, told)
