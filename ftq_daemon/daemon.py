"""The daemon's life: start, work, and a stop in phases that strands nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from ftq_daemon.attempt import Attempts
from ftq_daemon.beat import Beat
from ftq_daemon.events import Draining, Events, Failed, Stopped
from ftq_daemon.intakes import Intakes
from ftq_daemon.pace import Pace
from ftq_daemon.queue import Queue
from ftq_daemon.reporter import Reporter
from ftq_daemon.settings import FLUSH_SECONDS, GRACE_SECONDS
from ftq_daemon.store import Store
from ftq_daemon.sweeper import Sweeper
from ftq_daemon.ticker import Ticker
from ftq_daemon.work import Work


@dataclass(slots=True)
class Daemon:
    """One worker process, wired.

    Attributes:
        intake: Brings messages.
        attempts: Handles them.
        work: Runs their handlers.
        beat: Keeps their claims alive.
        sweeper: Sends again what the queue lost.
        ticker: Submits what is scheduled by the clock.
        reporter: Tells the table how it is.
        store: The table.
        queues: The queues.
        events: Where facts are told.
        drain_seconds: How long running handlers are waited for at a stop.
        pace: Sets the slots, if they follow what handlers take.
        background: What else runs beside, until the very end.
        draining: Whether the stop has begun.
    """

    intake: Intakes
    attempts: Attempts
    work: Work
    beat: Beat
    sweeper: Sweeper
    ticker: Ticker
    reporter: Reporter
    store: Store
    queues: Sequence[Queue]
    events: Events
    drain_seconds: float
    pace: Pace | None = None
    background: Sequence[Callable[[], Coroutine[object, None, None]]] = ()
    draining: bool = False

    async def run(self, stop: asyncio.Event) -> int:
        """Work until `stop` is set, then drain.

        Returns:
            How many attempts were still under way at the very end: 0 unless something hung.
        """
        self.attempts.breakers.adopt(await self.reporter.listen())
        sweeps = asyncio.create_task(self.sweeper.run(), name="sweeper")
        ticks = asyncio.create_task(self.ticker.run(), name="ticker")
        polls = asyncio.create_task(self.intake.run(), name="intake")
        stopped = asyncio.create_task(_set(stop), name="stop")
        services = {sweeps, ticks, polls, asyncio.create_task(self.beat.run(), name="beat")}
        services |= {asyncio.create_task(run()) for run in (self.reporter.run, *self.background)}
        try:
            await asyncio.wait({stopped, *services}, return_when=asyncio.FIRST_COMPLETED)
            for service in services:
                if service.done():
                    service.result()  # none ends by itself: let its error end the daemon
            sweeps.cancel()
            ticks.cancel()
            return await self._drain(polls)
        finally:
            for task in (stopped, *services):
                task.cancel()
            await asyncio.gather(stopped, *services, return_exceptions=True)
            await self.work.runner.close()

    async def _drain(self, polls: asyncio.Task[None]) -> int:
        self.draining = True
        self.events.emit(Draining(len(self.intake.attempts)))
        # Nothing new: receives under way are awaited, and what they bring is shown to others.
        self.intake.stop()
        self.attempts.stopping = True
        self.work.stop()
        await asyncio.wait({polls, *self.intake.attempts}, timeout=self.drain_seconds)
        # Out of time: handlers are cancelled, and their claims given back.
        self.work.interrupt()
        left_to_receive = max(0.0, self.intake.longest_receive - self.drain_seconds)
        await asyncio.wait({polls}, timeout=left_to_receive)
        if self.intake.attempts:
            await asyncio.wait(self.intake.attempts, timeout=GRACE_SECONDS + FLUSH_SECONDS / 2)
        left = len(self.intake.attempts)
        await self._flush()
        self.events.emit(Stopped(left))
        return left

    async def _flush(self) -> None:
        """Finish what is being written, within limits: what AWS does not answer comes back."""
        try:
            async with asyncio.timeout(FLUSH_SECONDS / 2):
                await self.store.close()
                for queue in self.queues:
                    await queue.close()
                await self.reporter.leave()
        except TimeoutError:
            self.events.emit(Failed("flush", "some writes were still unanswered at the end"))


async def _set(event: asyncio.Event) -> None:
    await event.wait()
