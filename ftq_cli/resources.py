"""Queue, dead-letter queue and table of the local mode, and the calls that make them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import botocore.session
from botocore.config import Config

from ftq.aws.boto import BotoPort
from ftq.errors import CallError, CallRefused
from ftq.ports import Call, Port, Reply
from ftq.wire import create
from ftq.wire.queue import depth, read_attributes
from ftq_cli.environment import applied

READY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Names:
    """What queue, dead-letter queue and table are called.

    Attributes:
        queue: The default queue.
        dlq: The dead-letter queue of all.
        table: The table.
        more: Further queues, each called as the default one and this.
    """

    queue: str = "ftq"
    dlq: str = "ftq-dlq"
    table: str = "ftq"
    more: tuple[str, ...] = ()

    @classmethod
    def of(cls, prefix: str) -> Names:
        """Names that begin with a prefix."""
        return cls(prefix, f"{prefix}-dlq", prefix)


@dataclass(frozen=True, slots=True)
class Resources:
    """Where they are.

    Attributes:
        queue_url: The default queue.
        dlq_url: The dead-letter queue.
        table: The table's name.
        queues: Further queues by name.
    """

    queue_url: str
    dlq_url: str
    table: str
    queues: Mapping[str, str] = field(default_factory=dict)


class Aws:
    """Makes AWS calls for the command itself.

    Args:
        environ: The environment of the programs: endpoints, region, credentials and proxies are
            found in it as they find them.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Make the clients."""
        config = Config(connect_timeout=3, read_timeout=30, retries={"mode": "standard"})
        region = environ.get("AWS_REGION")
        with applied(environ):
            session = botocore.session.get_session()
            self._port = BotoPort(
                {
                    service: session.create_client(service, region_name=region, config=config)
                    for service in ("sqs", "dynamodb")
                }
            )

    async def call(self, call: Call) -> Reply:
        """Make one call; raises as `ftq.ports.Port.call` does."""
        return await asyncio.to_thread(self._port.call, call)


@asynccontextmanager
async def resources(aws: Port, names: Names, temporary: bool) -> AsyncIterator[Resources]:
    """Create what is not there yet, and wait until all of it can be used.

    Args:
        aws: Makes the calls.
        names: What they are called.
        temporary: Whether to delete them when the context ends, or could not be entered.

    Raises:
        CallError: It could not be done.
    """
    try:
        yield await _make(aws, names)
    finally:
        if temporary:
            # Shielded: what costs money is not left behind by a second signal.
            await asyncio.shield(_remove(aws, names))


async def _make(aws: Port, names: Names) -> Resources:
    dlq_url = await _queue(aws, names.dlq, None)
    attributes = read_attributes(await aws.call(depth(dlq_url)))
    arn = attributes["QueueArn"]
    queue_url = await _queue(aws, names.queue, arn)
    more = {name: await _queue(aws, f"{names.queue}-{name}", arn) for name in names.more}
    await _table(aws, names.table)
    return Resources(queue_url, dlq_url, names.table, more)


async def _remove(aws: Port, names: Names) -> None:
    more = (f"{names.queue}-{name}" for name in names.more)
    for name in (names.queue, *more, names.dlq):
        with suppress(CallError):  # gone already, or out of reach
            reply = await aws.call(Call("sqs", "GetQueueUrl", {"QueueName": name}))
            await aws.call(Call("sqs", "DeleteQueue", {"QueueUrl": str(reply["QueueUrl"])}))
    with suppress(CallError, TimeoutError):
        async with asyncio.timeout(READY_SECONDS):
            # One that is still being made refuses.
            while await _status(aws, names.table) == "CREATING":  # noqa: ASYNC110  # AWS tells nobody
                await asyncio.sleep(0.2)
        await aws.call(Call("dynamodb", "DeleteTable", {"TableName": names.table}))


async def _queue(aws: Port, name: str, dlq_arn: str | None) -> str:
    try:
        reply = await aws.call(create.queue(name, dlq_arn))
    except CallRefused as error:
        # There already, with attributes of its own: they are the owner's choice.
        if not error.code.endswith(("QueueNameExists", "QueueAlreadyExists")):
            raise
        reply = await aws.call(Call("sqs", "GetQueueUrl", {"QueueName": name}))
    return str(reply["QueueUrl"])


async def _table(aws: Port, name: str) -> None:
    try:
        await aws.call(create.table(name))
    except CallRefused as error:
        if error.code != "ResourceInUseException":
            raise
    async with asyncio.timeout(READY_SECONDS):
        while await _status(aws, name) != "ACTIVE":  # noqa: ASYNC110  # AWS tells nobody
            await asyncio.sleep(0.2)
    try:
        await aws.call(create.ttl(name))
    except CallRefused as error:
        if error.code != "ValidationException":  # it is on already
            raise


async def _status(aws: Port, name: str) -> str:
    try:
        reply = await aws.call(Call("dynamodb", "DescribeTable", {"TableName": name}))
    except CallRefused as error:
        if error.code == "ResourceNotFoundException":  # not quite there yet
            return ""
        raise
    table = reply.get("Table")
    return str(table.get("TableStatus")) if isinstance(table, Mapping) else ""
