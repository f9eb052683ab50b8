"""The aiobotocore clients: how long they wait, how often they repeat, how many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from ftq.ports import Port
from ftq_daemon.aws.port import AioPort, Watch
from ftq_daemon.settings import RECEIVE_SECONDS

CONNECT_SECONDS: Final = 3
READ_SECONDS: Final = 10
# The first try and two more, with the SDK's own backoff and retry quota ("standard" mode of the
# AWS SDKs and Tools reference); the daemon's own patience begins where this ends.
TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports a daemon needs.

    Attributes:
        receiver: For receives: its reads may take as long as a long poll.
        queue: For the other SQS calls.
        table: For DynamoDB.
    """

    receiver: Port
    queue: Port
    table: Port


def region_of(queue_url: str, environ_region: str | None) -> str:
    """The region: as set, or as in the queue's URL (``sqs.REGION.amazonaws.com``)."""
    if environ_region:
        return environ_region
    labels = (urlsplit(queue_url).hostname or "").split(".")
    return labels[1] if len(labels) > 3 and labels[0] == "sqs" else "us-east-1"


@asynccontextmanager
async def connect(
    region: str, wait_seconds: int, pollers: int, watch: Watch
) -> AsyncIterator[Ports]:
    """Open the clients for as long as the context lasts.

    Credentials and endpoints (``AWS_ENDPOINT_URL``) are the SDK's own business.

    Args:
        region: The AWS region.
        wait_seconds: The longest long poll.
        pollers: Receives at once.
        watch: Told of each call.
    """
    session = get_session()

    def config(read: float, connections: int, tries: int = TRIES) -> AioConfig:
        return AioConfig(
            region_name=region,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read,
            retries={"mode": "standard", "total_max_attempts": tries},
            max_pool_connections=connections,
            tcp_keepalive=True,
            # The SDK's own is put together anew for each call, at a price that shows.
            user_agent=f"ftq/{version('ftq')}",
            # Requests are built by ftq.wire, and tested against the services' models: checking
            # each of them again costs a quarter of the call.
            parameter_validation=False,
        )

    # One try: the poller asks again by itself, and a stop waits for no more than one.
    polling = config(wait_seconds + RECEIVE_SECONDS - CONNECT_SECONDS, pollers, tries=1)
    # Four batchers for the queue, one for the table, each with a few calls in flight.
    async with (
        session.create_client("sqs", config=polling) as receiver,
        session.create_client("sqs", config=config(READ_SECONDS, 16)) as queue,
        session.create_client("dynamodb", config=config(READ_SECONDS, 16)) as table,
    ):
        yield Ports(AioPort(receiver, watch), AioPort(queue, watch), AioPort(table, watch))
