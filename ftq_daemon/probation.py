"""Keeps a suspect apart (PROTOCOL R4): whoever dies with it must not be blamed for it.

A suspect is one crash short of quarantine. It starts when nothing else runs, and nothing else
starts beside it, for its first while: a killer shows itself soon, and a long task must not hold
up its daemon for hours. Whoever waits here holds its claim, and its beats go on.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ftq_daemon.runner import Attempt

# How long a suspect waits for the others to end, and how long they then wait for it.
ALONE_SECONDS: Final = 30.0


class Probation:
    """The gate that every handler passes.

    Attributes:
        taken: Whether a suspect is here: a second one is given back.
    """

    def __init__(self) -> None:
        """Nobody is here."""
        self.taken = False
        self._running = 0
        self._alone = False
        self._timer: asyncio.TimerHandle | None = None
        # A dict for its order: who waited first starts first, in every run.
        self._waiting: dict[asyncio.Future[object], None] = {}

    async def enter(self, attempt: Attempt, *, suspect: bool) -> None:
        """Wait until the attempt may start, or is told to end; `leave` must follow.

        Args:
            attempt: Who wants to start.
            suspect: Whether it must be alone.
        """
        loop = asyncio.get_running_loop()
        if suspect:
            self.taken = self._alone = True
            until = loop.time() + ALONE_SECONDS
            while self._running and attempt.why is None and loop.time() < until:
                await self._change(attempt, until - loop.time())
            self._timer = loop.call_later(ALONE_SECONDS, self._open)
        else:
            while self._alone and attempt.why is None:
                await self._change(attempt, ALONE_SECONDS)
        self._running += 1

    def leave(self, *, suspect: bool) -> None:
        """The attempt has ended."""
        self._running -= 1
        if suspect:
            self.taken = self._alone = False
            if self._timer is not None:
                self._timer.cancel()
        self._wake()

    def _open(self) -> None:
        self._alone = False
        self._wake()

    async def _change(self, attempt: Attempt, seconds: float) -> None:
        turn: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = None
        try:
            ends = {turn, attempt.ended}
            await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._waiting[turn]

    def _wake(self) -> None:
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
