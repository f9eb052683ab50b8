"""What the small programs of this directory share: where they work, and their clients."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from ftq.ports import Port
from ftq_daemon.aws.port import AioPort


@dataclass(frozen=True, slots=True)
class Place:
    """Where to work, and the clients for it."""

    queue_url: str
    table: str
    sqs: Port
    dynamodb: Port


@asynccontextmanager
async def place(config: AioConfig) -> AsyncIterator[Place]:
    """Open plain aiobotocore clients."""
    session = get_session()
    async with (
        session.create_client("sqs", config=config) as sqs,
        session.create_client("dynamodb", config=config) as dynamodb,
    ):
        yield Place(
            os.environ["FTQ_QUEUE_URL"], os.environ["FTQ_TABLE"], AioPort(sqs), AioPort(dynamodb)
        )
