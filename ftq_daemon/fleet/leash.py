"""What a process of a fleet and the one that started it tell each other, over a socket.

A line of JSON each: where its health is asked for, once it takes work, and whether any attempt is
under way. The socket's end is a message too: a process whose fleet is gone drains.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from typing import Final

# Set for the processes of a fleet only, by the fleet.
VARIABLE: Final = "FTQ_LEASH_FD"


class Leash:
    """A process's end.

    Args:
        end: The socket that was handed to this process.
    """

    def __init__(self, end: socket.socket) -> None:
        """Keep the socket; nothing is said yet."""
        self._end = end
        end.setblocking(False)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Leash | None:
        """The leash of this process; None if it belongs to no fleet."""
        given = environ.get(VARIABLE)
        return cls(socket.socket(fileno=int(given))) if given else None

    def on_loss(self, call: Callable[[], None]) -> None:
        """Have a function called, from the running loop, when the fleet is gone."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self._end)
            call()

        loop.add_reader(self._end, ended)

    def started(self, health_url: str, handlers: int) -> None:
        """Say that this process takes work."""
        self._say({"health_url": health_url, "handlers": handlers})

    async def protect(self, on: bool, minutes: int) -> None:
        """Ask for protection from scale-in, as `ftq_daemon.protection.Protect`; the fleet asks ECS.

        Raises:
            OSError: The fleet is gone.
        """
        self._say({"busy": on})

    def _say(self, said: Mapping[str, object]) -> None:
        self._end.sendall(json.dumps(said).encode() + b"\n")
