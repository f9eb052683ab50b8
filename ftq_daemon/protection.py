"""ECS scale-in protection: while handlers run, the service must not end this task to scale in.

Set on the edge from idle to busy, renewed while busy, taken off once idle for a while. It ends
by itself if the daemon dies. That the agent fails is harmless: the daemon would then drain on
SIGTERM as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from ftq_daemon.events import Events, Failed

# Beyond the longest drain and well within ECS's bounds of 1 to 2,880 minutes ("Amazon ECS task
# scale-in protection endpoint").
EXPIRES_MINUTES: Final = 30
RENEW_SECONDS: Final = EXPIRES_MINUTES * 60 / 2
# Short gaps between tasks are no idleness: each change is a call to a rate-limited API.
IDLE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 30.0

Protect: TypeAlias = Callable[[bool, int], Awaitable[None]]
"""Switch protection on or off, for so many minutes; raises `OSError` if the agent fails."""


class ScaleInProtection:
    """Keeps protection in step with the work.

    Args:
        protect: Tells the ECS agent.
        busy: Whether any attempt is under way.
        events: Where faults are told.
    """

    def __init__(self, protect: Protect, busy: Callable[[], bool], events: Events) -> None:
        """Not protected, until `run` finds work."""
        self.protected = False
        self._protect = protect
        self._busy = busy
        self._events = events
        self._renew_at = 0.0
        self._retry_at = 0.0

    async def run(self) -> None:
        """Follow the work until cancelled, then take protection off."""
        loop = asyncio.get_running_loop()
        busy_at = loop.time() - IDLE_SECONDS
        try:
            while True:
                now = loop.time()
                if self._busy():
                    busy_at = now
                wanted = now - busy_at < IDLE_SECONDS
                on = wanted and (not self.protected or now >= self._renew_at)
                off = self.protected and not wanted
                if (on or off) and now >= self._retry_at:
                    await self._tell(wanted)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            if self.protected:
                await self._tell(False)

    async def _tell(self, wanted: bool) -> None:
        now = asyncio.get_running_loop().time()
        try:
            await self._protect(wanted, EXPIRES_MINUTES)
        except OSError as error:
            self._events.emit(Failed("scale-in protection", str(error)))
            self._retry_at = now + RETRY_SECONDS
            return
        self.protected = wanted
        self._renew_at = now + RENEW_SECONDS
