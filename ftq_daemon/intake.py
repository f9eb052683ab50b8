"""Asks the queue for what can start now, and hands each message to an attempt of its own.

One poller always asks, with a long poll: an idle queue costs three requests a minute. When its
receives come back full, more pollers join it, and leave again at the first empty one.

A queue that has its daemon alone takes slots before it asks. One that shares them holds none while
it is quiet, for its long poll must not keep the others from work: what comes then takes its turn
after it has come.
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
from ftq_daemon.slots import Slots, Turn

MOST_POLLERS: Final = 8
# A joined poller asks for a backlog that is there: it need not wait long for one to appear.
JOINED_WAIT_SECONDS: Final = 1
# While every breaker is open, see this often whether one has closed.
LOOK_SECONDS: Final = 1.0


class Intake:
    """Polls one queue.

    Args:
        queue: The queue.
        handle: Takes a message to its end; never raises.
        breakers: When all are open, polling pauses.
        slots: What may be in hand.
        turn: The queue's place among those that share the slots; None if it has them alone.
        wait_seconds: How long a poll waits for a first message.
        world: For the dice.
        events: Where faults are told.

    Attributes:
        attempts: The messages in hand.
        answered: Whether the last receive was answered; readiness looks at it.
    """

    def __init__(
        self,
        queue: Queue,
        handle: Callable[[Received], Awaitable[None]],
        breakers: Breakers,
        slots: Slots,
        turn: Turn | None,
        wait_seconds: int,
        world: World,
        events: Events,
    ) -> None:
        """Set up; `run` does the work."""
        self.attempts: set[asyncio.Task[None]] = set()
        self.answered = True
        self._receiving: dict[object, float] = {}
        self._queue = queue
        self._handle = handle
        self._breakers = breakers
        self._slots = slots
        self._shares = turn is not None
        self._turn = turn or Turn()
        self._wait_seconds = wait_seconds
        self._world = world
        self._events = events
        self._pollers = max(1, min(MOST_POLLERS, slots.total // SQS_BATCH_ENTRIES))
        self._busy = asyncio.Event()
        # Slots are taken by one poller at a time: two that share what is free would ask for half.
        self._asking = asyncio.Lock()
        # Whether the last receive brought less than it could have.
        self._quiet = True
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
        self._slots.close()
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
            most = 1 if self._breakers.only_probes else SQS_BATCH_ENTRIES
            slots = await self._slots_for(most, joined=joined)
            if slots is None:
                return  # closed
            try:
                # Slots that others want are not held through a wait.
                wait = 0 if self._shares and slots else wait_seconds
                received = await self._receive(slots or most, wait)
            except CallError as error:
                self._slots.give(slots, self._turn)
                self._events.emit(Failed("receive", str(error)))
                await backoff.pause()
                continue
            backoff = Backoff(self._world, float("inf"))
            self._note(len(received), slots or most)
            if slots:
                self._slots.give(slots - len(received), self._turn)
            for each in received:
                self._start(each, has_slot=slots > 0)

    async def _slots_for(self, most: int, *, joined: bool) -> int | None:
        """How many slots the next receive holds; None once they are closed."""
        if self._shares and self._quiet and not joined:
            return 0 if await self._slots.come(self._turn) else None
        async with self._asking:
            return await self._slots.take(most, self._turn) or None

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
        self._quiet = count < asked
        if self._stop.is_set():
            return
        if count == asked:
            self._busy.set()
        elif count == 0:
            self._busy.clear()

    def _start(self, received: Received, *, has_slot: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._attempt(received, has_slot))
        self.attempts.add(task)
        task.add_done_callback(self.attempts.discard)

    async def _attempt(self, received: Received, has_slot: bool) -> None:
        if not has_slot:
            await self._slots.take_one(self._turn)
        try:
            await self._handle(received)
        finally:
            self._slots.give(1)
