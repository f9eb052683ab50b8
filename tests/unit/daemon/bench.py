"""A daemon over AWS in memory, on a virtual clock: the real code, wired as bootstrap wires it."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Literal

from ftq import Registry
from ftq.ports import Port
from ftq.redaction import USUAL, Names
from ftq.settings import NamedQueue
from ftq.submission import Plan, Submission, Terms, plan
from ftq.task import Task
from ftq.testing import MemoryAws, Process, current_process, now_ms
from ftq.text import Json
from ftq.wire import create, queue, table
from ftq.wire.queue import Message, Outgoing
from ftq_daemon.aws.clients import Ports
from ftq_daemon.bootstrap import build
from ftq_daemon.checks import check_queues
from ftq_daemon.clock import World
from ftq_daemon.daemon import Daemon
from ftq_daemon.events import Event, Events
from ftq_daemon.settings import DaemonSettings
from ftq_testing.child import starting

TABLE = "tasks"
_WORKER: ContextVar[int] = ContextVar("worker")


@dataclass
class Worker:
    """One daemon that runs."""

    daemon: Daemon
    stop: asyncio.Event
    run: asyncio.Task[int]
    told: list[Event]
    changed: asyncio.Event

    async def tells(self, name: str, count: int = 1) -> None:
        """Wait until it has told of something this often."""
        while self.names().count(name) < count:
            self.changed.clear()
            await self.changed.wait()

    def names(self) -> list[str]:
        return [event.name for event in self.told]

    def kill(self) -> None:
        """As SIGKILL: it does nothing any more, at whatever point it was."""
        self.run.cancel()
        for attempt in self.daemon.intake.attempts:
            attempt.cancel()

    async def drain(self) -> int:
        self.stop.set()
        return await self.run


@dataclass
class Bench:
    """An account of AWS in memory, and daemons on it."""

    aws: MemoryAws = field(default_factory=MemoryAws)
    url: str = ""
    dlq_url: str = ""
    _keys: itertools.count[int] = field(default_factory=itertools.count)
    _workers: list[Worker] = field(default_factory=list)
    children: list[Process] = field(default_factory=list)

    async def __aenter__(self) -> Bench:
        self.dlq_url = str((await self.aws.call(create.queue("dlq")))["QueueUrl"])
        attributes = queue.read_attributes(await self.aws.call(queue.depth(self.dlq_url)))
        made = await self.aws.call(create.queue("tasks", attributes["QueueArn"]))
        self.url = str(made["QueueUrl"])
        await self.aws.call(create.table(TABLE))
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()
        await asyncio.gather(*(worker.run for worker in self._workers), return_exceptions=True)
        for child in self.children:
            child.bury()

    async def die(self) -> None:
        """What a handler does that kills the process that it runs in: worker or child."""
        process = current_process()
        if process is not None:
            process.kill()
        else:
            self._workers[_WORKER.get()].kill()
        await asyncio.sleep(3600)

    async def start(
        self,
        registry: Registry,
        *,
        port: Port | None = None,
        concurrency: int = 64,
        visibility_seconds: int = 60,
        queues: Sequence[NamedQueue] = (),
        queue_order: Literal["weighted", "strict"] = "weighted",
        concurrency_min: int | None = None,
        no_children: Callable[[], bool] = lambda: False,
        suspect_processes: int = 8,
        names: Names = USUAL,
    ) -> Worker:
        """Start a daemon; `port` stands in for the account, to add faults."""
        over = port or self.aws
        ports = Ports(over, over, over)
        n = len(self._workers)
        dice = random.Random(n)
        tokens = itertools.count()
        world = World(now_ms, dice.random, lambda: f"token-{n}-{next(tokens)}")
        values = DaemonSettings(
            queue_url=self.url,
            dlq_url=self.dlq_url,
            table=TABLE,
            handlers="x:y",
            concurrency=concurrency,
            concurrency_min=concurrency_min,
            visibility_seconds=visibility_seconds,
            queues=tuple(queues),
            queue_order=queue_order,
            suspect_processes=suspect_processes,
            redact=names,
        )
        told: list[Event] = []
        changed = asyncio.Event()
        events = Events([told.append, lambda _: changed.set()])
        limit = await check_queues(values, self.aws)
        start = starting(registry, self.children.append, no_children)
        daemon = build(values, registry, ports, world, events, f"daemon-{n}", limit, start)
        stop = asyncio.Event()
        context = copy_context()
        context.run(_WORKER.set, n)
        run = asyncio.create_task(daemon.run(stop), context=context)
        worker = Worker(daemon, stop, run, told, changed)
        self._workers.append(worker)
        return worker

    async def make_queue(self, name: str) -> str:
        """Make another queue with the same dead-letter queue; its URL."""
        attributes = queue.read_attributes(await self.aws.call(queue.depth(self.dlq_url)))
        made = await self.aws.call(create.queue(name, attributes["QueueArn"]))
        return str(made["QueueUrl"])

    async def submit_to(self, url: str, type_: str, payload: Json = None) -> Task:
        """Put and send to another queue than the default one."""
        asked = Submission(type_, payload, f"key-{next(self._keys)}")
        planned = plan(asked, Terms(url, 900_000, 30 * 86_400_000), now_ms())
        await self.aws.call(table.put(TABLE, planned.task))
        sent = Outgoing(planned.body, queue.mark(queue.STORED, "1"))
        await self.aws.call(queue.send(url, sent))
        return planned.task

    async def submit(self, type_: str, payload: Json = None, *, not_before: int = 0) -> Task:
        """What the API does: put, then send."""
        planned = self.plan(type_, payload, not_before=not_before)
        if planned.beside:
            await self.aws.call(
                table.put_beside(TABLE, planned.beside, planned.payload, planned.beside_expires_at)
            )
        await self.aws.call(table.put(TABLE, planned.task))
        marks = queue.mark(queue.STORED, "1")
        await self.send(planned.body, marks, planned.delay_seconds(now_ms()))
        return planned.task

    def plan(self, type_: str, payload: Json = None, *, not_before: int = 0) -> Plan:
        asked = Submission(type_, payload, f"key-{next(self._keys)}", not_before=not_before)
        return plan(asked, Terms(self.url, 900_000, 30 * 86_400_000), now_ms())

    async def send(
        self, body: str, marks: dict[str, queue.Attribute] | None = None, delay: int = 0
    ) -> None:
        await self.aws.call(queue.send(self.url, Outgoing(body, marks or {}, delay)))

    def now(self) -> int:
        return now_ms()

    async def task(self, task_id: str) -> Task:
        found = table.read_get(await self.aws.call(table.get(TABLE, task_id)))
        assert found is not None
        return found

    async def ended(self, *task_ids: str) -> list[Task]:
        """Wait until these tasks are final; the virtual loop's limit bounds it."""
        found: dict[str, Task] = {}
        pause = 0.1
        while True:
            for task_id in task_ids:
                if task_id not in found and (task := await self.task(task_id)).final:
                    found[task_id] = task
            if len(found) == len(task_ids):
                return [found[task_id] for task_id in task_ids]
            await asyncio.sleep(pause)
            pause = min(5.0, pause * 1.1)

    async def emptied(self) -> None:
        """Wait until the queue holds nothing."""
        while True:
            if not await self.backlog():
                return
            await asyncio.sleep(1)

    async def dead_letters(self) -> Sequence[Message]:
        """What is in the dead-letter queue now."""
        found: list[Message] = []
        while True:
            got = queue.read_receive(await self.aws.call(queue.receive(self.dlq_url, 10, 0, 600)))
            if not got:
                return found
            found += got

    async def backlog(self) -> int:
        """Messages in the queue: visible, hidden and delayed."""
        counts = queue.read_attributes(await self.aws.call(queue.depth(self.url)))
        names = ("", "NotVisible", "Delayed")
        return sum(int(counts[f"ApproximateNumberOfMessages{name}"]) for name in names)
