"""Four bad hours of a fleet, on the fakes: what CloudWatch would hold of them.

What ftq says of itself comes from the real daemon by its real sink; SQS's metrics are read off the
queues in memory; those of services that have no stand-in here are drawn.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel

from ftq import Registry, Reject
from ftq.ports import Call
from ftq.testing import MemoryAws, ProcessLoop, now_ms
from ftq.testing.clock import run
from ftq.wire import queue
from ftq_daemon.clock import World
from ftq_daemon.listeners import listening
from ftq_daemon.settings import DaemonSettings
from tests.deploy.cloudwatch import Store
from tests.deploy.watched import GIVEN
from tests.emf import Kept, points
from tests.unit.daemon.bench import TABLE, Bench, Worker

# Minutes, from and to.
DEPENDENCY_DOWN: Final = (40, 65)
BAD_TASKS: Final = (95, 115)
OPERATOR: Final = (70, 125)
"""When somebody empties the dead-letter queue."""
NO_DAEMONS: Final = (145, 166)
CRASHES: Final = (190, 210)
END: Final = 240
BEGAN: Final = 1_800_000_000
"""When it all begins, in seconds: a full minute."""


class Nothing(BaseModel):
    seconds: float = 0.5


def within(minutes: tuple[int, int], now: float) -> bool:
    return minutes[0] <= now < minutes[1]


@dataclass
class Fleet:
    """Daemons that are killed and started, and what they said."""

    bench: Bench
    lines: list[bytes] = field(default_factory=list)
    _up: list[tuple[Worker, Kept]] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def minute(self) -> float:
        return (now_ms() / 1000 - BEGAN) / 60

    def registry(self) -> Registry:
        registry = Registry()

        @registry.handler("work", timeout=120)
        async def work(asked: Nothing) -> None:
            await asyncio.sleep(asked.seconds)
            if within(DEPENDENCY_DOWN, self.minute()):
                raise ConnectionError("the dependency is down")

        @registry.handler("bad")
        async def bad(_: Nothing) -> None:
            raise Reject("nobody can do that")

        return registry

    async def start(self) -> None:
        registry, out = self.registry(), Kept(self.lines)
        worker = await self.bench.start(registry)
        events = worker.daemon.events
        settings = DaemonSettings(
            queue_url=self.bench.url,
            dlq_url=self.bench.dlq_url,
            table=TABLE,
            handlers="x:y",
            service=GIVEN["MetricsService"],
        )

        world = World(now_ms, random.random, lambda: "")
        listeners = self._stack.enter_context(
            listening(worker.daemon, registry, settings, events, "d", out, world)
        )
        worker.daemon.background = listeners.background
        self._up.append((worker, out))

    async def kill(self) -> None:
        while self._up:
            worker, out = self._up.pop()
            out.full = True  # who was killed says nothing any more
            worker.kill()
            with suppress(asyncio.CancelledError):
                await worker.run


async def _submit(fleet: Fleet) -> None:
    while True:
        minute = fleet.minute()
        seconds = 40.0 if within(CRASHES, minute) else 0.5
        for _ in range(2):
            await fleet.bench.submit("work", {"seconds": seconds})
        if within(BAD_TASKS, minute):
            await fleet.bench.submit("bad", {})
        await asyncio.sleep(20)


async def _look(fleet: Fleet, store: Store) -> None:
    """What SQS publishes each minute."""
    bench, empty_at = fleet.bench, now_ms()
    while True:
        at = now_ms() // 1000
        for url, name in ((bench.url, "tasks"), (bench.dlq_url, "dead")):
            depth = queue.read_attributes(await bench.aws.call(queue.depth(url)))
            visible = int(depth["ApproximateNumberOfMessages"])
            where = [("QueueName", name)]
            store.put("AWS/SQS", "ApproximateNumberOfMessagesVisible", where, at, visible)
            if name == "tasks":
                empty_at = empty_at if visible else now_ms()
                age = (now_ms() - empty_at) / 1000
                store.put("AWS/SQS", "ApproximateAgeOfOldestMessage", where, at, age)
        await asyncio.sleep(60)


async def _live(fleet: Fleet) -> None:
    async def until(minute: float) -> None:
        await asyncio.sleep(max(0.0, (minute - fleet.minute()) * 60))

    purge = Call("sqs", "PurgeQueue", {"QueueUrl": fleet.bench.dlq_url})
    for _ in range(2):
        await fleet.start()
    for minute in OPERATOR:
        await until(minute)
        await fleet.bench.aws.call(purge)
    await until(NO_DAEMONS[0])
    await fleet.kill()
    await until(NO_DAEMONS[1])
    for _ in range(2):
        await fleet.start()
    await until(CRASHES[0])
    while within(CRASHES, fleet.minute()):
        await fleet.kill()
        for _ in range(2):
            await fleet.start()
        await asyncio.sleep(55)
    await until(END)


def play() -> Store:
    """Live through it."""
    store = Store()

    async def main() -> None:
        async with Bench(MemoryAws()) as bench:
            fleet = Fleet(bench)
            beside = [asyncio.create_task(_submit(fleet)), asyncio.create_task(_look(fleet, store))]
            await _live(fleet)
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await fleet.kill()
            for point in points(fleet.lines):
                if len(point.values) == 1:  # alarms watch no timings
                    store.put("ftq", point.name, point.dimensions, point.at // 1000, point.sum)

    run(main, limit_seconds=24 * 3600, loop_factory=ProcessLoop)
    _drawn(store)
    return store


def _drawn(store: Store) -> None:
    """What other services say: Lambda each time it is called, DynamoDB of trouble alone."""
    table = ("TableName", "table")
    for minute in range(END):
        at, down = BEGAN + minute * 60, within(DEPENDENCY_DOWN, minute)
        store.put("AWS/ApiGateway", "5xx", [("ApiId", "api")], at, 3 if down else 0)
        store.put("AWS/Lambda", "Throttles", [("FunctionName", "function")], at, 5 * down)
        store.put("AWS/Lambda", "Errors", [("FunctionName", "sweeper")], at, 1 * down)
        if down:
            store.put("AWS/DynamoDB", "WriteThrottleEvents", [table], at, 50)
            where = [table, ("Operation", "BatchExecuteStatement")]
            store.put("AWS/DynamoDB", "SystemErrors", where, at, 2)
