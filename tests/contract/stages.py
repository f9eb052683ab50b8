"""What a contract test plays on: one backend behind its port, with a fresh table or queue."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from ftq.ports import Call, Port, Service
from ftq.task import Task
from ftq.testing import MemoryAws
from ftq.testing.clock import run
from ftq.wire import create, queue, table
from ftq.wire.queue import EntryFault, Message, Outgoing
from ftq.wire.statements import Statement, Statements
from ftq.wire.table import Result
from ftq_daemon.aws.clients import client_of
from ftq_daemon.aws.port import AioPort
from tests.contract.lies import truth

VISIBILITY: Final = 30
"""Seconds: long enough that nothing comes back while a test looks."""
SHORT: Final = 1
"""Seconds: short enough to wait for it on a real clock."""
PATIENCE: Final = 5
"""Seconds that a poll waits for what must come; a stand-in may be a second late."""


@dataclass(frozen=True, slots=True)
class TableStage:
    """A fresh table behind a port."""

    backend: str
    port: Port
    table: str

    @property
    def statements(self) -> Statements:
        return Statements(self.table)

    def truth(self, sentence: str) -> AbstractContextManager[None]:
        return truth(self.backend, sentence)

    async def execute(self, *statements: Statement) -> list[Result]:
        reply = await self.port.call(table.execute(statements))
        return table.read_execute(reply, len(statements))

    async def one(self, statement: Statement) -> Result:
        (result,) = await self.execute(statement)
        return result

    async def written(self, statement: Statement) -> Task | None:
        """Execute a statement that must be applied; the record before it, if it returns that."""
        result = await self.one(statement)
        assert isinstance(result, table.Written), result
        return result.old

    async def refused(self, statement: Statement) -> Task:
        """Execute a statement that must be refused; the record that stands in its way."""
        before = await self.get(statement.key)
        result = await self.one(statement)
        assert isinstance(result, table.Refused), result
        assert result.current is not None
        assert result.current == before == await self.get(statement.key)
        return result.current

    async def put(self, task: Task) -> None:
        await self.port.call(table.put(self.table, task))

    async def get(self, task_id: str) -> Task | None:
        return table.read_get(await self.port.call(table.get(self.table, task_id)))

    async def record(self, task_id: str) -> Task:
        task = await self.get(task_id)
        assert task is not None
        return task


@dataclass(frozen=True, slots=True)
class QueueStage:
    """A fresh queue, and one for its dead letters, behind a port."""

    backend: str
    port: Port
    url: str
    arn: str
    dlq_url: str
    dlq_arn: str

    def truth(self, sentence: str) -> AbstractContextManager[None]:
        return truth(self.backend, sentence)

    async def send(self, *messages: Outgoing) -> list[EntryFault | None]:
        reply = await self.port.call(queue.send_batch(self.url, messages))
        return queue.read_batch(reply, len(messages))

    async def sent(self, *bodies: str) -> None:
        """Send messages that must all be taken."""
        assert await self.send(*map(Outgoing, bodies)) == [None] * len(bodies)

    async def receive(
        self,
        limit: int = 10,
        *,
        wait: int = 0,
        visibility: int = VISIBILITY,
        url: str = "",
    ) -> list[Message]:
        call = queue.receive(url or self.url, limit, wait, visibility)
        return queue.read_receive(await self.port.call(call))

    async def one(self, *, wait: int = PATIENCE, visibility: int = VISIBILITY) -> Message:
        """Receive the one message that must be there, or come."""
        (message,) = await self.receive(wait=wait, visibility=visibility)
        return message

    async def delete(self, *messages: Message) -> list[EntryFault | None]:
        handles = [message.handle for message in messages]
        reply = await self.port.call(queue.delete_batch(self.url, handles))
        return queue.read_batch(reply, len(handles))

    async def hide(self, message: Message, seconds: int) -> EntryFault | None:
        reply = await self.port.call(queue.hide_batch(self.url, [(message.handle, seconds)]))
        (fault,) = queue.read_batch(reply, 1)
        return fault

    async def attributes(self, url: str = "") -> dict[str, str]:
        return queue.read_attributes(await self.port.call(queue.depth(url or self.url)))


TableStory: TypeAlias = Callable[[TableStage], Coroutine[object, None, None]]
QueueStory: TypeAlias = Callable[[QueueStage], Coroutine[object, None, None]]


class Backend(Protocol):
    """Plays stories, each with a table or a queue of its own."""

    def play_table(self, story: TableStory) -> None: ...

    def play_queue(self, story: QueueStory) -> None: ...


@asynccontextmanager
async def table_stage(backend: str, port: Port) -> AsyncIterator[TableStage]:
    name = f"contract-{uuid.uuid4().hex}"
    await port.call(create.table(name))
    while True:
        # On AWS a table takes some seconds to be made; the stand-ins have it at once.
        described = await port.call(Call("dynamodb", "DescribeTable", {"TableName": name}))
        match described:
            case {"Table": {"TableStatus": "ACTIVE"}}:
                break
    try:
        yield TableStage(backend, port, name)
    finally:
        await port.call(Call("dynamodb", "DeleteTable", {"TableName": name}))


@asynccontextmanager
async def queue_stage(backend: str, port: Port) -> AsyncIterator[QueueStage]:
    name = f"contract-{uuid.uuid4().hex}"
    dlq_url, dlq_arn = await _queue(port, create.queue(f"{name}-dead"))
    url, arn = await _queue(port, create.queue(name, dlq_arn))
    try:
        yield QueueStage(backend, port, url, arn, dlq_url, dlq_arn)
    finally:
        for each in (url, dlq_url):
            await port.call(Call("sqs", "DeleteQueue", {"QueueUrl": each}))


async def _queue(port: Port, call: Call) -> tuple[str, str]:
    reply = await port.call(call)
    url = str(reply["QueueUrl"])
    attributes = queue.read_attributes(await port.call(queue.depth(url)))
    return url, attributes["QueueArn"]


class Memory:
    """The fake, on a virtual clock."""

    name: Final = "memory"

    def play_table(self, story: TableStory) -> None:
        async def main() -> None:
            async with table_stage(self.name, MemoryAws()) as stage:
                await story(stage)

        run(main)

    def play_queue(self, story: QueueStory) -> None:
        async def main() -> None:
            async with queue_stage(self.name, MemoryAws()) as stage:
                await story(stage)

        run(main)


class Wire:
    """An endpoint, behind the daemon's own adapter. One loop and one client serve all stories.

    A first story may find the hot lane still learning: all that follow are told on it.
    """

    def __init__(self, name: str, url: str, *, hot: bool) -> None:
        self.name = name
        self._url = url
        self._hot = hot
        self._runner = asyncio.Runner()
        self._clients = AsyncExitStack()
        self._ports: dict[Service, Port] = {}

    def play_table(self, story: TableStory) -> None:
        async def main() -> None:
            async with table_stage(self.name, await self._port("dynamodb")) as stage:
                await story(stage)

        self._runner.run(main())

    def play_queue(self, story: QueueStory) -> None:
        async def main() -> None:
            async with queue_stage(self.name, await self._port("sqs")) as stage:
                await story(stage)

        self._runner.run(main())

    def close(self) -> None:
        self._runner.run(self._clients.aclose())
        self._runner.close()

    async def _port(self, service: Service) -> Port:
        if service not in self._ports:
            session = AioSession()
            session.set_credentials(
                os.environ.get("AWS_ACCESS_KEY_ID", "test"),
                os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
            )
            config = AioConfig(
                region_name=os.environ.get("AWS_REGION", "eu-central-1"),
                # Neither may hide what the service itself answers.
                parameter_validation=False,
                retries={"total_max_attempts": 1},
            )
            client = client_of(session, service, config, hot=self._hot, endpoint_url=self._url)
            self._ports[service] = AioPort(await self._clients.enter_async_context(client))
        return self._ports[service]


def on_tables(story: TableStory) -> Callable[[Backend], None]:
    """Make a story a test that is played on every backend that has tables."""

    def test(table_backend: Backend) -> None:
        table_backend.play_table(story)

    return _named(test, story)


def on_queues(story: QueueStory) -> Callable[[Backend], None]:
    """Make a story a test that is played on every backend that has queues."""

    def test(queue_backend: Backend) -> None:
        queue_backend.play_queue(story)

    return _named(test, story)


def _named(
    test: Callable[[Backend], None], story: TableStory | QueueStory
) -> Callable[[Backend], None]:
    test.__name__ = story.__name__
    test.__doc__ = story.__doc__
    return test
