"""The aiobotocore clients: how long they wait, how often they repeat, how many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, cast
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession, get_session

from ftq.ports import Port, Service
from ftq_daemon.aws.direct import Direct
from ftq_daemon.aws.hot import HotClient, Sleep
from ftq_daemon.aws.port import AioPort, Watch
from ftq_daemon.aws.sdk import Source
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


def config_of(region: str, read: float, connections: int, tries: int = TRIES) -> AioConfig:
    """The configuration of a client: what it waits for, how often it tries, how many at once."""
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


@asynccontextmanager
async def client_of(
    session: AioSession,
    service: Service,
    config: AioConfig,
    *,
    hot: bool,
    endpoint_url: str | None = None,
    sleep: Sleep = asyncio.sleep,
) -> AsyncIterator[object]:
    """An aiobotocore client, its hot operations on the hot lane or not."""
    kept: list[AIOHTTPSession] = []

    class Kept(AIOHTTPSession):
        """aiobotocore's own, in sight: the hot lane sends as its client was told to."""

        async def __aenter__(self) -> Kept:
            kept.append(self)
            return await super().__aenter__()

    if hot:
        config = config.merge(AioConfig(http_session_cls=Kept))
    source = await session.get_credentials()
    async with session.create_client(service, config=config, endpoint_url=endpoint_url) as client:
        # Without credentials nothing can be signed; that too is for aiobotocore to say.
        if hot and source is not None:
            async with aclosing(Direct(kept[0])) as http:
                yield HotClient(client, http, cast("Source", source), sleep)
        else:
            yield client


@asynccontextmanager
async def connect(
    region: str, wait_seconds: int, pollers: int, watch: Watch, *, hot: bool = True
) -> AsyncIterator[Ports]:
    """Open the clients for as long as the context lasts.

    Credentials and endpoints (``AWS_ENDPOINT_URL``) are the SDK's own business.

    Args:
        region: The AWS region.
        wait_seconds: The longest long poll.
        pollers: Receives at once.
        watch: Told of each call.
        hot: Whether the hot calls take the hot lane.
    """
    session = get_session()
    # One try: the poller asks again by itself, and a stop waits for no more than one.
    polling = config_of(region, wait_seconds + RECEIVE_SECONDS - CONNECT_SECONDS, pollers, tries=1)
    # Four batchers for the queue, one for the table, each with a few calls in flight.
    calling = config_of(region, READ_SECONDS, 16)
    async with (
        client_of(session, "sqs", polling, hot=hot) as receiver,
        client_of(session, "sqs", calling, hot=hot) as queue,
        client_of(session, "dynamodb", calling, hot=hot) as table,
    ):
        yield Ports(AioPort(receiver, watch), AioPort(queue, watch), AioPort(table, watch))
