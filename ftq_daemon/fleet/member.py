"""One process of a fleet, seen by the one that started it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ftq_daemon.fleet.leash import VARIABLE

LAST_WORDS_SECONDS: Final = 0.5
_COMMAND: Final = (sys.executable, "-m", "ftq_daemon")


def environ_of_member(environ: Mapping[str, str], descriptor: int) -> dict[str, str]:
    """The environment of a process of a fleet.

    One daemon, asked about on loopback alone; its leash stands for the ECS agent, for it is the
    busiest process that decides whether the container may go.
    """
    own = {key: value for key, value in environ.items() if key != "ECS_AGENT_URI"}
    return own | {
        "FTQ_PROCESSES": "1",
        "FTQ_HEALTH_HOST": "127.0.0.1",
        "FTQ_HEALTH_PORT": "0",
        VARIABLE: str(descriptor),
    }


@dataclass(slots=True, eq=False)
class Member:
    """A process.

    Attributes:
        number: Which of the fleet's places it fills, from 1.
        process: The process itself.
        health_url: Where it answers; empty until it takes work.
        handlers: How many handlers it has.
        busy: Whether it has attempts under way, or had until a moment ago.
    """

    number: int
    process: asyncio.subprocess.Process
    health_url: str = ""
    handlers: int = 0
    busy: bool = False

    async def listen(self, reader: asyncio.StreamReader, up: Callable[[Member], None]) -> int:
        """Take in what it says until it has ended.

        Args:
            reader: Our end of its leash.
            up: Called as it takes up work.

        Returns:
            Its exit code; the number of the signal that ended it, negative.
        """
        hearing = asyncio.create_task(self._hear(reader, up))
        try:
            code = await self.process.wait()
            # Its last words are there already. The leash itself may be held open for longer, by
            # what a handler forked.
            await asyncio.wait([hearing], timeout=LAST_WORDS_SECONDS)
            return code
        finally:
            hearing.cancel()

    async def _hear(self, reader: asyncio.StreamReader, up: Callable[[Member], None]) -> None:
        with contextlib.suppress(ConnectionError):
            # Half a line is the last: it was killed while it spoke.
            while (line := await reader.readline()).endswith(b"\n"):
                said = json.loads(line)
                if "busy" in said:
                    self.busy = said["busy"]
                else:
                    self.health_url, self.handlers = said["health_url"], said["handlers"]
                    up(self)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


async def start(number: int) -> tuple[Member, asyncio.StreamReader, asyncio.StreamWriter]:
    """Start a process of the fleet, and hold its leash by the writer."""
    ours, theirs = socket.socketpair()
    with theirs:
        # In a session of its own: Ctrl-C is for the fleet, which passes it on once.
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            env=environ_of_member(os.environ, theirs.fileno()),
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    return Member(number, process), reader, writer
