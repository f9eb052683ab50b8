"""Tells the table how this daemon is, so that the API can say how the fleet is.

Nothing that a daemon does hangs on reports: one that cannot be written is told of, and the next
one tries again; where those of others cannot be read, a daemon starts as if there were none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from ftq.errors import CallError
from ftq.report import ADOPTED, REPORT_SECONDS, BreakerNote, Report, troubled
from ftq_daemon.clock import World
from ftq_daemon.events import Events, Failed
from ftq_daemon.store import Store

# Breakers that open together are reported together, and one that flaps not at every turn.
GATHER_SECONDS: Final = 1.0
# A start waits no longer than this for what others said.
LISTEN_SECONDS: Final = 5.0


class Reporter:
    """Reports every ``REPORT_SECONDS``, and soon after a breaker has moved.

    Args:
        store: The table.
        describe: What there is to say now.
        world: For the dice.
        events: Where faults are told.
    """

    def __init__(
        self, store: Store, describe: Callable[[], Report], world: World, events: Events
    ) -> None:
        """Nothing is said yet."""
        self._store = store
        self._describe = describe
        self._world = world
        self._events = events
        self._moved = asyncio.Event()
        self._writing = asyncio.Lock()
        self._left = False

    async def listen(self) -> Mapping[str, BreakerNote]:
        """The breakers that other daemons of this queue have seen open; read once, at start."""
        queue, now = self._describe().queue, self._world.now()
        try:
            async with asyncio.timeout(LISTEN_SECONDS):
                return troubled(await self._store.reports(now - ADOPTED), queue, now)
        except (CallError, TimeoutError) as error:
            self._events.emit(Failed("report", str(error) or "what others said was not answered"))
            return {}

    def hurry(self) -> None:
        """Something has changed that should not wait for the next report."""
        self._moved.set()

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await self._say()
            # Daemons started together do not report together.
            spread = 0.75 + self._world.dice() / 2
            try:
                async with asyncio.timeout(REPORT_SECONDS * spread):
                    await self._moved.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(GATHER_SECONDS)

    async def leave(self) -> None:
        """Take the report away: who has stopped is not shown as stale.

        With a breaker that is not closed, it stays as a last word to those who start next.
        """
        async with self._writing:  # a report under way would come back after it
            self._left = True
            last = replace(self._describe(), stopped=True)
            if last.troubled:
                await self._try(self._store.report(last))
            else:
                await self._try(self._store.forget_report(last.name))

    async def _say(self) -> None:
        self._moved.clear()
        async with self._writing:
            if not self._left:
                await self._try(self._store.report(self._describe()))

    async def _try(self, call: Awaitable[None]) -> None:
        try:
            await call
        except CallError as error:
            self._events.emit(Failed("report", str(error)))
