"""Queue, dead-letter queue and table of the local mode, and the calls that make them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import botocore.session
from botocore.config import Config

from api_lambda.aws import BotoPort
from ftq.errors import CallRefused
from ftq.ports import Call, Reply
from ftq.wire import create
from ftq.wire.queue import depth, read_attributes

REGION: Final = "us-east-1"
READY_SECONDS: Final = 60.0
# What a stand-in takes for an account. Real credentials never reach one that we started.
_STAND_IN: Final = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
_CREDENTIALS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@dataclass(frozen=True, slots=True)
class Names:
    """What queue, dead-letter queue and table are called."""

    queue: str = "ftq"
    dlq: str = "ftq-dlq"
    table: str = "ftq"


@dataclass(frozen=True, slots=True)
class Resources:
    """Where they are."""

    queue_url: str
    dlq_url: str
    table: str


def embedded_environment(environ: Mapping[str, str], endpoint: str) -> dict[str, str]:
    """The environment of a program that uses the embedded AWS: nothing of a real account."""
    kept = {k: v for k, v in environ.items() if not k.startswith("AWS_")}
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or REGION
    return kept | _STAND_IN | {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": region}


def given_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that uses the AWS that the user named.

    Only what is missing is filled in: a stand-in asks for some credentials and some region.
    """
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or REGION
    home = Path(environ.get("HOME", "~")).expanduser() / ".aws"
    known = any(environ.get(name) for name in _CREDENTIALS) or home.is_dir()
    return {**environ, **({} if known else _STAND_IN), "AWS_REGION": region}


class Aws:
    """Makes AWS calls for the command itself.

    Args:
        environ: The environment to take endpoint, region and credentials from.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Make the clients."""
        session = botocore.session.get_session()
        config = Config(connect_timeout=3, read_timeout=30, retries={"mode": "standard"})
        self._port = BotoPort(
            {
                service: session.create_client(
                    service,
                    config=config,
                    region_name=environ.get("AWS_REGION"),
                    endpoint_url=environ.get("AWS_ENDPOINT_URL"),
                    aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID"),
                    aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY"),
                    aws_session_token=environ.get("AWS_SESSION_TOKEN"),
                )
                for service in ("sqs", "dynamodb")
            }
        )

    async def call(self, call: Call) -> Reply:
        """Make one call; raises as `ftq.ports.Port.call` does."""
        return await asyncio.to_thread(self._port.call, call)


async def make(aws: Aws, names: Names) -> Resources:
    """Create what is not there yet, and wait until all of it can be used.

    Raises:
        CallError: It could not be done.
    """
    dlq_url = await _queue(aws, names.dlq, None)
    attributes = read_attributes(await aws.call(depth(dlq_url)))
    queue_url = await _queue(aws, names.queue, attributes["QueueArn"])
    await _table(aws, names.table)
    return Resources(queue_url, dlq_url, names.table)


async def remove(aws: Aws, made: Resources) -> None:
    """Delete them."""
    for call in (
        Call("sqs", "DeleteQueue", {"QueueUrl": made.queue_url}),
        Call("sqs", "DeleteQueue", {"QueueUrl": made.dlq_url}),
        Call("dynamodb", "DeleteTable", {"TableName": made.table}),
    ):
        try:
            await aws.call(call)
        except CallRefused:
            continue  # gone already


async def _queue(aws: Aws, name: str, dlq_arn: str | None) -> str:
    try:
        reply = await aws.call(create.queue(name, dlq_arn))
    except CallRefused as error:
        # There already, with attributes of its own: they are the owner's choice.
        if not error.code.endswith(("QueueNameExists", "QueueAlreadyExists")):
            raise
        reply = await aws.call(Call("sqs", "GetQueueUrl", {"QueueName": name}))
    return str(reply["QueueUrl"])


async def _table(aws: Aws, name: str) -> None:
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


async def _status(aws: Aws, name: str) -> str:
    try:
        reply = await aws.call(Call("dynamodb", "DescribeTable", {"TableName": name}))
    except CallRefused as error:
        if error.code == "ResourceNotFoundException":  # not quite there yet
            return ""
        raise
    table = reply.get("Table")
    return str(table.get("TableStatus")) if isinstance(table, Mapping) else ""
