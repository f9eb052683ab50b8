"""Sends again what the queue lost, and what was scheduled, when it is due (PROTOCOL R2).

Every daemon sweeps; a conditional write before each send lets one of them win. What decides
whether a message is lost is the queue's mark: everything sent before it was handed out. So a
backlog, however long, is told from a loss without being read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ftq.errors import CallError
from ftq.lifecycle import State
from ftq.limits import SHARDS
from ftq.registry import Registry
from ftq.sweep import Leave, Overdue, Postpone, Send, deserves_a_look, sweep
from ftq.task import Task, bucket_in
from ftq.wire import queue as wire
from ftq.wire.item import Item, number, text
from ftq.wire.table import KEYS_PER_READ, Written
from ftq_daemon.breakers import Breakers
from ftq_daemon.clock import World
from ftq_daemon.events import Events, Failed, Promoted, Swept
from ftq_daemon.queue import Queue
from ftq_daemon.store import Store, in_seconds

# Pages read of one shard in one sweep at most, from its head and again beyond a backlog: the rate
# is bounded.
MOST_PAGES: Final = 10
PATIENCE_SECONDS: Final = 10.0


@dataclass(slots=True)
class Sweeper:
    """Sweeps the tasks of a daemon's queues.

    Attributes:
        store: The table.
        queues: The queues by URL; each knows its mark.
        registry: The handlers, for their breakers.
        breakers: What cannot run now is not sent.
        world: Clock and dice.
        events: Where facts are told.
        grace: Milliseconds that an open task may be overdue.
        interval: Milliseconds between two sweeps.
    """

    store: Store
    queues: Mapping[str, Queue]
    registry: Registry
    breakers: Breakers
    world: World
    events: Events
    grace: int
    interval: int
    # Where reading goes on in each shard that begins with a backlog.
    _beyond: dict[str, Item] = field(default_factory=dict)
    _marks: dict[str, int] = field(default_factory=dict)

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
        self._marks.clear()
        sent = looked = 0
        for n in range(SHARDS):
            in_shard = await self._sweep_shard(bucket_in((first + n) % SHARDS, State.QUEUED))
            sent, looked = sent + in_shard[0], looked + in_shard[1]
        if looked:
            self.events.emit(Swept(sent, looked))

    async def _sweep_shard(self, bucket: str) -> tuple[int, int]:
        """Sweep a shard from its head to its first page that is all backlog, then beyond it.

        The oldest come first, so that beyond such a page there is little to find but what is
        scheduled: it is read once, and from then on only what has come due since.
        """
        sent = looked = 0
        start: Item | None = None
        backlog = False
        for _ in range(MOST_PAGES):
            page, start = await self.store.overdue(bucket, self.world.now(), KEYS_PER_READ, start)
            mine, did = await self._sweep_page(page, bucket)
            sent, looked = sent + did[0], looked + did[1]
            backlog = mine > 0 and did[1] == 0
            if start is None or backlog:
                break
        if start is None:
            self._beyond.pop(bucket, None)
        elif backlog:
            did = await self._sweep_beyond(bucket, self._beyond.get(bucket, start))
            sent, looked = sent + did[0], looked + did[1]
        return sent, looked

    async def _sweep_beyond(self, bucket: str, start: Item) -> tuple[int, int]:
        sent = looked = 0
        for _ in range(MOST_PAGES):
            now = self.world.now()
            page, following = await self.store.overdue(bucket, now, KEYS_PER_READ, start)
            _, did = await self._sweep_page(page, bucket)
            sent, looked = sent + did[0], looked + did[1]
            if page:
                start = key_in(bucket, page[-1])
            if following is None:
                break
            start = following
        self._beyond[bucket] = start
        return sent, looked

    async def _sweep_page(
        self, page: Sequence[Overdue], bucket: str
    ) -> tuple[int, tuple[int, int]]:
        """Sweep a page: how many tasks of it are ours; of those, how many were sent and due."""
        mine = [found for found in page if found.queue in self.queues]
        wanted = [found for found in mine if await self._deserves(found)]
        ready = [found.id for found in wanted if not self._held_back(found)]
        if not ready:
            return len(mine), (0, len(wanted))
        tasks = await self.store.get_many(ready)
        for task in tasks:
            if task.state is not State.SCHEDULED and task.queue in self.queues:
                await self._mark(task.queue)
        sent = sum(await asyncio.gather(*(self._sweep(task, bucket) for task in tasks)))
        return len(mine), (sent, len(wanted))

    def _held_back(self, found: Overdue) -> bool:
        """Whether an open breaker keeps the task, or its message, from being handed out."""
        handler = self.registry.get(found.type)
        if handler is None:
            return False
        hidden = not found.scheduled and self.breakers.hides(handler)
        return hidden or self.breakers.is_open(handler)

    async def _deserves(self, found: Overdue) -> bool:
        # What is scheduled deserves it whatever the queue has handed out.
        return deserves_a_look(found, 0, self.grace) or deserves_a_look(
            found, await self._mark(found.queue), self.grace
        )

    async def _mark(self, url: str) -> int:
        if url not in self._marks:
            self._marks[url] = await self.queues[url].mark()
        return self._marks[url]

    async def _sweep(self, task: Task, bucket: str) -> bool:
        """Do what is due about one task; whether a message was sent."""
        # What is scheduled is due whatever the mark.
        mark, now = self._marks.get(task.queue, 0), self.world.now()
        decision = sweep(task, mark=mark, grace=self.grace, interval=self.interval, now=now)
        match decision:
            case Leave():
                return False
            case Postpone(due_at):
                await self._write(task, bucket, now, due_at, sends=False)
                return False
            case Send(due_at):
                if not await self._write(task, bucket, now, due_at, sends=True):
                    return False
                if task.state is State.SCHEDULED:
                    self.events.emit(Promoted(task))
                return await self._send(task)

    async def _write(self, task: Task, bucket: str, now: int, due_at: int, *, sends: bool) -> bool:
        statement = self.store.statements.sweep(task, bucket, now, due_at, sends=sends)
        result = await self.store.write(statement, in_seconds(PATIENCE_SECONDS))
        return isinstance(result, Written)

    async def _send(self, task: Task) -> bool:
        return await self.queues[task.queue].send(wire.of_task(task, task.payload))


def key_in(bucket: str, found: Overdue) -> Item:
    """The index key of a task: where a page after it begins."""
    return {"id": text(found.id), "bucket": text(bucket), "due_at": number(found.due_at)}
