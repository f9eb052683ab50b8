"""Plays a schedule: real daemons over AWS in memory, on a virtual clock, and everybody else."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine
from typing import Final, assert_never

from ftq.ports import Call, Request
from ftq.testing import FaultyPort, MemoryAws, Process, ProcessLoop, RemotePort
from ftq.testing.clock import run
from ftq.testing.queue import MemoryQueue
from ftq.text import dump
from ftq.wire import create, queue
from tests.simulation import ops
from tests.simulation.book import Book
from tests.simulation.hand_watch import HandWatch
from tests.simulation.handlers import SCENE, Scene
from tests.simulation.hands import Hands
from tests.simulation.invariants import after_drain, at_the_end
from tests.simulation.node import TABLE, Node
from tests.simulation.operators import Clients, Operators, id_of
from tests.simulation.ops import Op, Submit
from tests.simulation.queue_watch import QueueWatch
from tests.simulation.schedule import Schedule
from tests.simulation.table_watch import TableWatch
from tests.simulation.weather import Weather

# Once all faults have ended, everything accepted is final within this long.
PATIENCE_SECONDS: Final = 12 * 3600.0
_MOST_DAEMONS: Final = 40
_API_LOGGER: Final = logging.getLogger("ftq.api")


def play(schedule: Schedule) -> Book:
    """Play a schedule to its end, and judge it."""

    async def main() -> Book:
        return await World(schedule).run()

    # What the API logs of its failures is of no interest here.
    before, _API_LOGGER.disabled = _API_LOGGER.disabled, True
    try:
        return run(main, debug=False, loop_factory=ProcessLoop)
    finally:
        _API_LOGGER.disabled = before


class World:
    """One run of a schedule."""

    def __init__(self, schedule: Schedule) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_exception)
        self.schedule = schedule
        self.book = Book(loop.time)
        self.nodes: list[Node] = []
        terms = schedule.terms
        self.aws = MemoryAws(index_lag=terms.index_lag, in_flight_limit=terms.in_flight)
        self._submits = {op.task: op for op in schedule.ops if isinstance(op, Submit)}
        self._kinds = {id_of(op): op.kind for op in self._submits.values()}
        self._under_way: set[asyncio.Task[object]] = set()
        self._dice = random.Random(f"{schedule.seed} world")
        self._weathers = [self._weather(who) for who in ("api", "operator")]
        self._calm = False

    async def run(self) -> Book:
        """Play it."""
        SCENE.set(Scene(self.schedule, self.book, self._named))
        await self._set_up()
        supervisor = asyncio.create_task(self._supervise())
        for op in self.schedule.ops:
            await self._until(op.at)
            self._do(op)
        await self._until(self.schedule.length)
        self._clear_up()
        await self._settled()
        supervisor.cancel()
        await self._stop()
        at_the_end(self.schedule, self.book, self._queue, self._dlq, self.watch.id_of)
        self.book.closed = True
        await self._bury()
        return self.book

    # --- the stage ----------------------------------------------------------------------------

    async def _set_up(self) -> None:
        dlq = await self.aws.call(create.queue("dlq"))
        self._dlq_url = str(dlq["QueueUrl"])
        attributes = queue.read_attributes(await self.aws.call(queue.depth(self._dlq_url)))
        arn = attributes["QueueArn"]
        made = await self.aws.call(create.queue("tasks", arn))
        self._url = str(made["QueueUrl"])
        policy = {"deadLetterTargetArn": arn, "maxReceiveCount": self.schedule.terms.receives}
        attributes = {"RedrivePolicy": dump(policy)}
        request: Request = {"QueueUrl": self._url, "Attributes": attributes}
        await self.aws.call(Call("sqs", "SetQueueAttributes", request))
        await self.aws.call(create.table(TABLE))
        await self.aws.call(create.ttl(TABLE))
        self._queue: MemoryQueue = self.aws.queue(self._url)
        self._dlq: MemoryQueue = self.aws.queue(self._dlq_url)
        self._hands = HandWatch(self.book, self.schedule, self._named, self._kind)
        self.watch = QueueWatch(
            self.book, self.schedule, self._named, self._hands, self._stepped, self._kind
        )
        self._queue.watchers.append(self.watch.on_queue)
        self._dlq.watchers.append(self.watch.on_dead_letters)
        watch = TableWatch(self.book, self.schedule, self._named, self._stepped)
        self.aws.table(TABLE).watchers.append(watch)
        grace, (api, operator) = self.schedule.terms.grace * 1000, self._weathers
        self.clients = Clients(self.aws, self.book, api, self._dice, self._url, grace)
        port = RemotePort(Process("operator"), FaultyPort(self.aws, operator))
        self.operators = Operators(port, self.book, self._dice, self._url, grace)
        self.hands = Hands(self.aws, self.book, self._dice, self._url, self._queue, self._dlq)

    def _weather(self, who: str) -> Weather:
        seed, seen = self.schedule.seed, self.book.seen

        def count(what: str) -> None:
            seen[what] += 1

        loop = asyncio.get_running_loop()
        dice = random.Random(f"{seed} {who} weather")
        return Weather(who, dice, self.schedule.rates, self.schedule.bursts, loop.time, count)

    def _named(self, name: str) -> Node | None:
        index = int(name[1:]) if name.startswith("d") and name[1:].isdecimal() else -1
        return self.nodes[index] if 0 <= index < len(self.nodes) else None

    def _stepped(self, what: str, by: str, task_id: str) -> None:
        node = self._named(by)
        if node is not None:
            if what == "claim":
                self._hands.on_claim(by, task_id)
            node.stepped(what)

    def _kind(self, task_id: str) -> str:
        return self._kinds.get(task_id, "")

    def _on_exception(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        self.book.accuse("no daemon breaks", "", f"the loop was told {context}")

    # --- the daemons --------------------------------------------------------------------------

    def _start(self, skew: float = 0.0, *, old: bool = False) -> Node:
        name = f"d{len(self.nodes)}"
        weather = self._weather(name)
        weather.calm = self._calm
        node = Node(name, round(skew * 1000), old, self.book, Process(name), weather)
        self.nodes.append(node)
        node.start(self.schedule, self.aws, self._url, self._dlq_url)
        return node

    def _alive(self) -> list[Node]:
        return [node for node in self.nodes if node.alive]

    async def _supervise(self) -> None:
        """As the service's scheduler: where no daemon is left, one more is started."""
        while len(self.nodes) < _MOST_DAEMONS:
            await asyncio.sleep(1 if self._calm else self.schedule.terms.replace_after)
            if not any(node.alive and not node.old for node in self.nodes):
                self._start()

    async def _drain(self, node: Node, *, calm: bool) -> None:
        hindered = node.excused(self.book.now)
        left = await node.drain(calm=calm)
        if left is not None:
            self.book.seen["drained"] += 1
        if left is not None and calm and not (hindered or node.frozen(node.drained_at)):
            after_drain(self.book, node, left)

    # --- the operations -----------------------------------------------------------------------

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self.book.now))

    def _spawn(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _do(self, op: Op) -> None:
        match op:
            case ops.Submit():
                self._spawn(self.clients.submit(op))
            case ops.Repeat(_, task):
                self._spawn(self.clients.submit(self._submits[task]))
            case ops.Spare(_, task):
                submitted = self._submits[task]
                self._spawn(self.clients.send(submitted, stored=submitted.way != "direct"))
            case ops.Cancel(_, task):
                self._spawn(self.operators.cancel(id_of(self._submits[task])))
            case ops.Redrive(_, task, again_after):
                key = id_of(self._submits[task])
                self._spawn(self.operators.redrive(key, again_after))
            case ops.Kill() | ops.Stall() | ops.Drain() | ops.Start():
                self._do_to_daemon(op)
            case _:
                self.hands.do(op)

    def _do_to_daemon(self, op: ops.Kill | ops.Stall | ops.Drain | ops.Start) -> None:
        if isinstance(op, ops.Start):
            self._start(op.skew, old=op.old)
            return
        alive = self._alive()
        if not alive:
            return
        node = alive[op.daemon % len(alive)]
        match op:
            case ops.Kill(_, _, moment, count):
                node.trip(moment, count)
            case ops.Stall(_, _, seconds, moment, count):
                node.trip(moment, count, seconds)
            case ops.Drain(_, _, calm):
                self._spawn(self._drain(node, calm=calm))
            case _:
                assert_never(op)

    # --- the end ------------------------------------------------------------------------------

    def _clear_up(self) -> None:
        """All faults end: AWS is well, nobody stands still, and one daemon at least works."""
        self._calm = True
        self.book.note("", "faults end")
        for weather in (*self._weathers, *(node.weather for node in self.nodes)):
            weather.calm = True
        for node in self.nodes:
            node.disarm()
        # One works on; the others are told to stop, as a service is that scales in.
        keep = next((node for node in self._alive() if not node.old), None)
        for node in self._alive():
            if node is not keep:
                self._spawn(self._drain(node, calm=True))

    async def _settled(self) -> None:
        """Wait until everything accepted is final and the queue is empty."""
        end = self.book.now + PATIENCE_SECONDS
        while self.book.now < end:
            if not (self._under_way or self.book.open or self._queue.messages()):
                return
            await asyncio.sleep(2)
        for task_id in self.book.open:
            record = self.book.lives[task_id].record
            state = record.state if record else ""
            self.book.accuse("nothing accepted is lost", task_id, f"it is still {state}")
        for copy in self._queue.messages():
            self.book.accuse("the queue empties", self.watch.id_of(copy), f"{copy}")

    async def _stop(self) -> None:
        alive = self._alive()
        await asyncio.gather(*(self._drain(node, calm=True) for node in alive))

    async def _bury(self) -> None:
        for node in self.nodes:
            node.process.bury()
        for _ in range(100):
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1)
