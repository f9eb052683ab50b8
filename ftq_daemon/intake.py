"""Asks the queue for what can start now, and hands each message to an attempt of its own.

One poller always asks, with a long poll: an idle queue costs three requests a minute. When its
receives come back full, more pollers join it, and leave again at the first empty one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from ftq.errors import CallError
from ftq.limits import SQS_BATCH_ENTRIES
from ftq_daemon.breakers import Breakers
from ftq_daemon.clock import Backoff, World
from ftq_daemon.events import Events, Failed
from ftq_daemon.queue import Queue, Received
from ftq_daemon.settings import RECEIVE_SECONDS

MOST_POLLERS: Final = 8
# A joined poller asks for a backlog that is there: it need not wait long for one to appear.
JOINED_WAIT_SECONDS: Final = 1
# With fewer slots free than one receive can fill, wait this long for some more.
GATHER_SECONDS: Final = 0.005
# While every breaker is open, see this often whether one has closed.
LOOK_SECONDS: Final = 1.0


class Slots:
    """Counts what may be in hand at once: received, running, or being settled.

    Args:
        total: How many.
    """

    def __init__(self, total: int) -> None:
        """All are free."""
        self.total = total
        self.free = total
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def taken(self) -> int:
        """How many are in use."""
        return self.total - self.free

    async def take(self, most: int) -> int:
        """Take up to `most` slots, as soon as there is one; 0 once closed."""
        await self._one_free()
        if self.free < min(most, self.total) and not self._closed:
            await asyncio.sleep(GATHER_SECONDS)
            await self._one_free()
        if self._closed:
            return 0
        count = min(most, self.free)
        self.free -= count
        return count

    def give(self, count: int) -> None:
        """Give slots back."""
        self.free += count
        self._changed.set()

    def resize(self, total: int) -> None:
        """Have so many from now on; what is taken beyond that is not taken away."""
        self.free += total - self.total
        self.total = total
        self._changed.set()

    def close(self) -> None:
        """No slot any more: whoever waits for one gets none."""
        self._closed = True
        self._changed.set()

    async def _one_free(self) -> None:
        while self.free <= 0 and not self._closed:
            self._changed.clear()
            await self._changed.wait()


class Intake:
    """Polls one queue.

    Args:
        queue: The queue.
        handle: Takes a message to its end; never raises.
        breakers: When all are open, polling pauses.
        concurrency: Messages in hand at once at most.
        wait_seconds: How long a poll waits for a first message.
        world: For the dice.
        events: Where faults are told.

    Attributes:
        slots: What may be in hand.
        attempts: The messages in hand.
        answered: Whether the last receive was answered; readiness looks at it.
    """

    def __init__(
        self,
        queue: Queue,
        handle: Callable[[Received], Awaitable[None]],
        breakers: Breakers,
        concurrency: int,
        wait_seconds: int,
        world: World,
        events: Events,
    ) -> None:
        """Set up; `run` does the work."""
        self.slots = Slots(concurrency)
        self.attempts: set[asyncio.Task[None]] = set()
        self.answered = True
        self._receiving: dict[object, float] = {}
        self._queue = queue
        self._handle = handle
        self._breakers = breakers
        self._wait_seconds = wait_seconds
        self._world = world
        self._events = events
        self._pollers = max(1, min(MOST_POLLERS, concurrency // SQS_BATCH_ENTRIES))
        self._busy = asyncio.Event()
        self._stop = asyncio.Event()

    @property
    def stalled_for(self) -> float:
        """Seconds that the oldest receive under way is overdue, beyond the long poll itself.

        A daemon that has nothing to ask for, its slots all taken, is not stalled.
        """
        now = asyncio.get_running_loop().time()
        began = min(self._receiving.values(), default=now)
        return max(0.0, now - began - self._wait_seconds)

    @property
    def longest_receive(self) -> float:
        """Seconds after which a receive under way has come back or failed."""
        return self._wait_seconds + RECEIVE_SECONDS

    def stop(self) -> None:
        """Start no further receive; those under way are awaited by `run`."""
        self._stop.set()
        self.slots.close()
        self._busy.set()

    async def run(self) -> None:
        """Poll until stopped; returns when the last receive has come back."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._poll(self._wait_seconds, joined=False))
            for _ in range(self._pollers - 1):
                wait = min(JOINED_WAIT_SECONDS, self._wait_seconds)
                group.create_task(self._poll(wait, joined=True))

    async def _poll(self, wait_seconds: int, *, joined: bool) -> None:
        backoff = Backoff(self._world, float("inf"))
        while not self._stop.is_set():
            if joined:
                await self._busy.wait()
            if pause := self._breakers.pause():
                # Nothing could start: the queue is not even asked until a probe is due, or until
                # the one under way is through.
                await self._stopped_within(min(pause, LOOK_SECONDS))
                continue
            if joined and self._breakers.only_probes:
                self._busy.clear()
                continue
            slots = await self.slots.take(1 if self._breakers.only_probes else SQS_BATCH_ENTRIES)
            if slots == 0:
                return  # closed
            try:
                received = await self._receive(slots, wait_seconds)
            except CallError as error:
                self.slots.give(slots)
                self._events.emit(Failed("receive", str(error)))
                await backoff.pause()
                continue
            backoff = Backoff(self._world, float("inf"))
            self._note(len(received), slots)
            self.slots.give(slots - len(received))
            for each in received:
                self._start(each)

    async def _receive(self, slots: int, wait_seconds: int) -> list[Received]:
        poller = asyncio.current_task()
        self._receiving[poller] = asyncio.get_running_loop().time()
        try:
            received = await self._queue.receive(slots, wait_seconds)
        except CallError:
            self.answered = False
            raise
        finally:
            del self._receiving[poller]
        self.answered = True
        return received

    async def _stopped_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def _note(self, count: int, asked: int) -> None:
        if self._stop.is_set():
            return
        if count == asked:
            self._busy.set()
        elif count == 0:
            self._busy.clear()

    def _start(self, received: Received) -> None:
        task = asyncio.get_running_loop().create_task(self._attempt(received))
        self.attempts.add(task)
        task.add_done_callback(self.attempts.discard)

    async def _attempt(self, received: Received) -> None:
        try:
            await self._handle(received)
        finally:
            self.slots.give(1)
