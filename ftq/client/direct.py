"""Submitting past the API, for producers that may write to the table and the queue themselves.

The same plan, the same order and the same guarantees as the API has, by the same code
(`ftq.accept`): stored means accepted; a message that cannot be sent is left to the sweeper; a key
stands for one task however often it is submitted, here or through the API.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias, TypeVar, Unpack, overload

import anyio

from ftq.accept import accept
from ftq.client.answers import Accepted
from ftq.client.asked import NewTask, Options, What, prepare
from ftq.client.exchange import Pause, World
from ftq.client.http import world_of
from ftq.client.many import TASKS, Results
from ftq.context import Context
from ftq.errors import CallError, CallRefused, FtqError, KeyConflict, SubmissionError, Unreachable
from ftq.ports import Call, Port, Reply, SyncPort
from ftq.registry import Registry
from ftq.retry import RetryPolicy
from ftq.settings import DEFAULT_QUEUE
from ftq.store import Stored
from ftq.submission import Plan, Terms, accepted_state, plan, same_task
from ftq.task import Task
from ftq.wire.statements import Statements

T = TypeVar("T")
Moves: TypeAlias = Generator[Call | Pause, Reply | None, T]

DAY: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Place:
    """Where tasks go. All of it must be what the API and the daemons of this service have.

    Attributes:
        table: FTQ_TABLE.
        queue_url: FTQ_QUEUE_URL.
        sweep_grace_seconds: FTQ_SWEEP_GRACE_SECONDS.
        retention_days: FTQ_RETENTION_DAYS.
        queues: The URLs of FTQ_QUEUES by name.
    """

    table: str
    queue_url: str
    sweep_grace_seconds: int = 900
    retention_days: int = 30
    queues: Mapping[str, str] = field(default_factory=dict)

    @property
    def terms(self) -> Terms:
        """What the service adds to each submission."""
        named = {DEFAULT_QUEUE: self.queue_url, **self.queues}
        grace, retention = self.sweep_grace_seconds * 1000, self.retention_days * DAY
        return Terms(self.queue_url, grace, retention, named)


@dataclass(frozen=True, slots=True)
class Producer:
    """What both clients submit with; pure but for its world."""

    place: Place
    registry: Registry | None
    world: World

    def submit(self, what: What, payload: object, options: Options) -> Moves[Accepted]:
        """Submit one task."""
        key, planned = self._planned(what, payload, options)
        (result,) = yield from self._accept([(key, planned)])
        if isinstance(result, FtqError):
            raise result
        return result

    def submit_many(self, tasks: Iterable[NewTask]) -> Moves[Results]:
        """Submit any number of tasks."""
        results: Results = []
        left = iter(tasks)
        while chunk := [*itertools.islice(left, TASKS)]:
            entries = [self._tried(new) for new in chunk]
            ready = [each for each in entries if not isinstance(each, FtqError)]
            found = iter((yield from self._accept(ready)))
            results += [each if isinstance(each, FtqError) else next(found) for each in entries]
        return results

    def _tried(self, new: NewTask) -> tuple[str, Plan] | SubmissionError:
        try:
            return self._planned(new.what, new.payload, new.options)
        except SubmissionError as error:
            return error

    def _planned(self, what: What, payload: object, options: Options) -> tuple[str, Plan]:
        now, fresh = self.world.now(), self.world.fresh()
        asked = prepare(what, payload, options, self.registry, now, fresh).submission
        handler = self.registry.get(asked.type) if self.registry is not None else None
        if handler is not None and not asked.queue:
            asked = replace(asked, queue=handler.queue)
        return asked.key, plan(asked, self.place.terms, now)

    def _accept(self, entries: list[tuple[str, Plan]]) -> Moves[Results]:
        to = Statements(self.place.table)
        first: dict[str, Plan] = {}
        for _, planned in entries:
            first.setdefault(planned.task.id, planned)
        found: dict[str, Stored] = {}
        left, tried = [*first.values()], 0
        while left:
            done = yield from accept(to, left, self.world.now)
            found |= {each.task.id: has for each, has in zip(left, done.stored, strict=True)}
            left = [each for each in left if _may_pass(found[each.task.id])]
            tried += 1
            if tried >= self.world.retry.attempts:
                break
            if left:
                yield Pause(self.world.retry.delay(tried, self.world.dice()))
        return [_result(key, each, first, found) for key, each in entries]


def _may_pass(found: Stored) -> bool:
    return isinstance(found, CallError) and not isinstance(found, CallRefused)


def _result(
    key: str, planned: Plan, first: dict[str, Plan], found: dict[str, Stored]
) -> Accepted | FtqError:
    stored = found[planned.task.id]
    try:
        # Two of one key in one call are one task, or one of them is wrong.
        same_task(first[planned.task.id].task, planned.task)
    except KeyConflict as conflict:
        return conflict
    if isinstance(stored, Task):
        return _accepted(stored)
    if _may_pass(stored):
        return Unreachable(f"not known to be stored: {stored}", 0, key)
    return stored


def _accepted(task: Task) -> Accepted:
    return Accepted.of(
        {
            "id": task.id,
            "type": task.type,
            "state": str(accepted_state(task)),
            "created_at": datetime.fromtimestamp(task.created_at / 1000, UTC).isoformat(),
            "correlation_id": task.correlation_id,
        }
    )


class DirectClient:
    """Submits past the API, from threads.

    Args:
        port: The way to AWS, such as ``ftq.aws.connect(region)``.
        place: Where tasks go.
        registry: Your handlers, as for `Client`.
        retry: How often, and how far apart, what may pass by itself is tried.
        world: Clock and dice, for tests.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        port: SyncPort,
        place: Place,
        *,
        registry: Registry | None = None,
        retry: RetryPolicy | None = None,
        world: World | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep all of it; nothing is sent yet."""
        self._port = port
        self._producer = Producer(place, registry, world or world_of(retry))
        self._sleep = sleep

    @overload
    def submit(
        self, what: Callable[[T], object], payload: T, **options: Unpack[Options]
    ) -> Accepted: ...

    @overload
    def submit(
        self, what: Callable[[T, Context], object], payload: T, **options: Unpack[Options]
    ) -> Accepted: ...

    @overload
    def submit(self, what: str, payload: object, **options: Unpack[Options]) -> Accepted: ...

    def submit(self, what: What, payload: object, **options: Unpack[Options]) -> Accepted:
        """Submit a task; as `Client.submit`.

        Raises:
            SubmissionError: A field or the payload is not valid, or the key is another task's.
            Unreachable: It is not known to be stored; repeat with its ``idempotency_key``.
            CallRefused: AWS refused it, such as for a permission that is missing.
        """
        return self._walk(self._producer.submit(what, payload, options))

    def submit_many(self, tasks: Iterable[NewTask]) -> Results:
        """Submit any number of tasks; a result for each, in order, as `Client.submit_many`."""
        return self._walk(self._producer.submit_many(tasks))

    def _walk(self, moves: Moves[T]) -> T:
        reply: Reply | None = None
        try:
            step = next(moves)
            while True:
                if isinstance(step, Pause):
                    self._sleep(step.seconds)
                    step = moves.send(None)
                    continue
                try:
                    reply = self._port.call(step)
                except CallError as error:
                    step = moves.throw(error)
                else:
                    step = moves.send(reply)
        except StopIteration as end:
            found: T = end.value
            return found


class AsyncDirectClient:
    """Submits past the API, from an event loop; else as `DirectClient`.

    A call that is cancelled may have been done: repeat it with the same ``key``.
    """

    def __init__(
        self,
        port: Port,
        place: Place,
        *,
        registry: Registry | None = None,
        retry: RetryPolicy | None = None,
        world: World | None = None,
    ) -> None:
        """Keep all of it; nothing is sent yet."""
        self._port = port
        self._producer = Producer(place, registry, world or world_of(retry))

    @overload
    async def submit(
        self, what: Callable[[T], object], payload: T, **options: Unpack[Options]
    ) -> Accepted: ...

    @overload
    async def submit(
        self, what: Callable[[T, Context], object], payload: T, **options: Unpack[Options]
    ) -> Accepted: ...

    @overload
    async def submit(self, what: str, payload: object, **options: Unpack[Options]) -> Accepted: ...

    async def submit(self, what: What, payload: object, **options: Unpack[Options]) -> Accepted:
        """Submit a task; as `DirectClient.submit`."""
        return await self._walk(self._producer.submit(what, payload, options))

    async def submit_many(self, tasks: Iterable[NewTask]) -> Results:
        """Submit any number of tasks; a result for each, in order."""
        return await self._walk(self._producer.submit_many(tasks))

    async def _walk(self, moves: Moves[T]) -> T:
        try:
            step = next(moves)
            while True:
                if isinstance(step, Pause):
                    await anyio.sleep(step.seconds)
                    step = moves.send(None)
                    continue
                try:
                    reply = await self._port.call(step)
                except CallError as error:
                    step = moves.throw(error)
                else:
                    step = moves.send(reply)
        except StopIteration as end:
            found: T = end.value
            return found
