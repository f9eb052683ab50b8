"""Sends again what the queue lost, and what was scheduled, when it is due (PROTOCOL R2).

Every daemon sweeps; a conditional write before each send lets one of them win. What decides
whether a message is lost is the queue's mark: everything sent before it was handed out. So a
backlog, however long, is told from a loss without being read.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from ftq.codec import encode
from ftq.errors import CallError
from ftq.lifecycle import State
from ftq.limits import SHARDS
from ftq.registry import Registry
from ftq.sweep import Leave, Overdue, Postpone, Send, deserves_a_look, sweep
from ftq.task import Task, bucket_in
from ftq.wire import queue as wire
from ftq.wire.queue import Outgoing
from ftq.wire.table import KEYS_PER_READ, Written
from ftq_daemon.breakers import Breakers
from ftq_daemon.clock import World
from ftq_daemon.events import Events, Failed, Swept
from ftq_daemon.queue import Queue
from ftq_daemon.store import Store, in_seconds

# Overdue tasks looked at in one shard and sweep at most: the rate is bounded.
MOST_PER_SHARD: Final = 1_000
PATIENCE_SECONDS: Final = 10.0


@dataclass(slots=True)
class Sweeper:
    """Sweeps one queue's tasks.

    Attributes:
        store: The table.
        queue: The queue, which knows its mark.
        registry: The handlers, for their breakers.
        breakers: What cannot run now is not sent.
        world: Clock and dice.
        events: Where facts are told.
        grace: Milliseconds that an open task may be overdue.
        interval: Milliseconds between two sweeps.
    """

    store: Store
    queue: Queue
    registry: Registry
    breakers: Breakers
    world: World
    events: Events
    grace: int
    interval: int

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            # Daemons started together do not sweep together.
            await asyncio.sleep(self.interval / 1000 * (0.75 + self.world.dice() / 2))
            try:
                await self.sweep_once()
            except CallError as error:
                self.events.emit(Failed("sweep", str(error)))

    async def sweep_once(self) -> None:
        """Look at all shards once, in an order of our own.

        Raises:
            CallError: The table did not answer; the next sweep begins anew.
        """
        first = int(self.world.dice() * SHARDS)
        sent = looked = 0
        for n in range(SHARDS):
            in_shard = await self._sweep_shard(bucket_in((first + n) % SHARDS, State.QUEUED))
            sent, looked = sent + in_shard[0], looked + in_shard[1]
        if looked:
            self.events.emit(Swept(sent, looked))

    async def _sweep_shard(self, bucket: str) -> tuple[int, int]:
        sent = looked = 0
        start = None
        while looked < MOST_PER_SHARD:
            page, start = await self.store.overdue(bucket, self.world.now(), KEYS_PER_READ, start)
            mine = [found for found in page if found.queue == self.queue.url]
            wanted = [found for found in mine if self._deserves(found)]
            looked += len(wanted)
            if wanted:
                sent += await self._sweep_page([found.id for found in wanted], bucket)
            if start is None or (mine and not wanted):
                break  # the oldest come first: from here on it is all backlog
        return sent, looked

    def _deserves(self, found: Overdue) -> bool:
        return deserves_a_look(found, self.queue.mark, self.grace)

    async def _sweep_page(self, keys: list[str], bucket: str) -> int:
        tasks = await self.store.get_many(keys)
        return sum(await asyncio.gather(*(self._sweep(task, bucket) for task in tasks)))

    async def _sweep(self, task: Task, bucket: str) -> bool:
        """Do what is due about one task; whether a message was sent."""
        handler = self.registry.get(task.type)
        if handler is not None and self.breakers.is_open(handler):
            return False
        now = self.world.now()
        decision = sweep(
            task, mark=self.queue.mark, grace=self.grace, interval=self.interval, now=now
        )
        match decision:
            case Leave():
                return False
            case Postpone(due_at):
                await self._write(task, bucket, now, due_at, sends=False)
                return False
            case Send(due_at):
                written = await self._write(task, bucket, now, due_at, sends=True)
                return written and await self._send(task)

    async def _write(self, task: Task, bucket: str, now: int, due_at: int, *, sends: bool) -> bool:
        statement = self.store.statements.sweep(task, bucket, now, due_at, sends=sends)
        result = await self.store.write(statement, in_seconds(PATIENCE_SECONDS))
        return isinstance(result, Written)

    async def _send(self, task: Task) -> bool:
        # A large payload stays where it is: the daemon that claims the task reads it.
        body = encode(task, task.payload)
        message = Outgoing(body, wire.mark(wire.STORED, "1"), group=task.tenant)
        return await self.queue.send(message)
