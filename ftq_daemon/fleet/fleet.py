"""Keeps several processes of one daemon running, and stops them as one.

A core runs one Python process: a container of several cores runs as many daemons, each complete
in itself. What is added here is only what they have in common: one start, one stop, one address
for health and metrics, one voice towards ECS.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Final

from ftq_daemon.events import Events, ProcessEnded
from ftq_daemon.fleet import member
from ftq_daemon.fleet.member import Member

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
# Whoever ran so long before it ended is started again without the pauses of those before it.
STEADY_SECONDS: Final = 60.0


# Exit codes of a daemon that could not even start: bad settings, AWS out of reach.
NOT_STARTED: Final = (2, 3)


class Fleet:
    """Some processes of one daemon.

    Args:
        count: How many.
        stop_timeout: Seconds that they have to stop.
        events: Told of each that ends before its time.

    Attributes:
        count: How many there should be.
        members: Those that run, by their place.
        started: Set once each place has taken up work, or none ever will.
    """

    def __init__(self, count: int, stop_timeout: float, events: Events) -> None:
        """Set up; `run` starts them."""
        self.count = count
        self.members: dict[int, Member] = {}
        self.started = asyncio.Event()
        self._stop_timeout = stop_timeout
        self._events = events
        self._places: set[int] = set()
        self._first = asyncio.Event()
        self._stop = asyncio.Event()
        self._code = 0

    @property
    def busy(self) -> bool:
        """Whether any attempt is under way."""
        return any(each.busy for each in self.members.values())

    def stop(self) -> None:
        """Let all of them drain; `run` returns when they have."""
        self._stop.set()
        self._first.set()
        self.started.set()
        for each in self.members.values():
            each.send(signal.SIGTERM)

    def kill(self) -> None:
        """End all of them at once."""
        for each in self.members.values():
            each.send(signal.SIGKILL)

    async def run(self) -> int:
        """Keep them running until stopped.

        Returns:
            0 if each stopped cleanly; the exit code of the first if it could not start; else 1.
        """
        async with asyncio.TaskGroup() as group:
            places = [group.create_task(self._keep(1))]
            # The first alone: what keeps it from starting would keep them all, and is told once.
            await self._first.wait()
            places += [group.create_task(self._keep(number)) for number in range(2, self.count + 1)]
            late = group.create_task(self._kill_late())
            await asyncio.wait(places)
            late.cancel()
        return self._code

    async def _keep(self, number: int) -> None:
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while not self._stop.is_set():
            began = loop.time()
            code = await self._life(number)
            if self._stop.is_set():
                return
            if code in NOT_STARTED and not self.started.is_set():
                self._code = code
                self.stop()
                return
            self._events.emit(ProcessEnded(number, code))
            if loop.time() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _life(self, number: int) -> int:
        """One process of a place, from its start to its end; its exit code."""
        one, reader, leash = await member.start(number)
        self.members[number] = one
        try:
            if self._stop.is_set():
                one.send(signal.SIGTERM)  # told to stop while it was being started
            code = await one.listen(reader, self._up)
        finally:
            del self.members[number]
            leash.close()
        # Before it takes up work a signal simply ends it: there is nothing to drain.
        if self._stop.is_set() and code and one.health_url:
            self._code = 1
            if code < 0:  # killed while it drained: it could say nothing of it itself
                self._events.emit(ProcessEnded(number, code))
        return code

    def _up(self, one: Member) -> None:
        self._first.set()
        self._places.add(one.number)
        if len(self._places) == self.count:
            self.started.set()

    async def _kill_late(self) -> None:
        await self._stop.wait()
        await asyncio.sleep(self._stop_timeout)
        self.kill()
