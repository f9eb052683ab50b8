"""Where a run takes place: a stand-in for AWS, freshly started, with queues and a table."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from benchmarks.machine import AWS_CPU, clean_environment
from ftq.ports import Port
from ftq.wire import create, queue
from ftq_cli.embedded import StandIn, embedded_aws, running
from ftq_daemon.aws.clients import client_of
from ftq_daemon.aws.port import AioPort

REGION: Final = "us-east-1"
TABLE: Final = "tasks"
ACCESS_KEY: Final = "bench"
DLQ_ARN: Final = "arn:aws:sqs:us-east-1:000000000000:bench-dlq"
Counts: TypeAlias = dict[str, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the stand-in has seen so far.

    Attributes:
        at: When it was asked, in seconds of the monotonic clock.
        done: Messages deleted.
        calls: Calls by operation; empty where the stand-in does not count.
        entries: Entries of calls by operation.
        last: When the last message was deleted, or when it was asked where nobody knows.
        cpu: CPU seconds of the stand-in; 0 where it does not say.
        left: Messages in the queues; 0 where it does not say.
    """

    at: float
    done: int
    calls: Counts = field(default_factory=dict)
    entries: Counts = field(default_factory=dict)
    last: float = 0.0
    cpu: float = 0.0
    left: int = 0


@dataclass(slots=True)
class Stage(ABC):
    """A stand-in with the queues and the table of one run.

    Attributes:
        url: Its endpoint.
        queue: Makes SQS calls.
        table: Makes DynamoDB calls.
        queue_url: The queue.
        dlq_url: Its dead-letter queue.
        table_name: The table.
    """

    url: str
    queue: Port
    table: Port
    queue_url: str
    dlq_url: str
    table_name: str = TABLE

    def environment(self) -> dict[str, str]:
        """What a worker on this stage is told."""
        return clean_environment() | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
            "FTQ_QUEUE_URL": self.queue_url,
            "FTQ_DLQ_URL": self.dlq_url,
            "FTQ_TABLE": self.table_name,
        }

    @abstractmethod
    async def look(self, count: int) -> Seen:
        """What was seen so far, of so many tasks that were loaded."""

    @abstractmethod
    async def states(self) -> Counts:
        """How many records are in each state; empty where nobody counts."""


class StubStage(Stage):
    """On our own stub, which counts."""

    async def look(self, count: int) -> Seen:
        """As the stub tells it."""
        told = await self.told("stats")
        seen = _Told(told)
        return Seen(
            at=seen.number("now") / 1e9,
            done=seen.number("deleted"),
            calls=seen.counts("calls"),
            entries=seen.counts("entries"),
            last=seen.number("last_deleted") / 1e9,
            cpu=seen.seconds("cpu"),
            left=seen.number("waiting") + seen.number("hidden"),
        )

    async def states(self) -> Counts:
        """As the stub tells it."""
        return _counts(await self.told("states"))

    async def told(self, what: str) -> Mapping[str, object]:
        """One of the stub's own pages."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/_stub/{what}") as page,
        ):
            found = await page.json()
        assert isinstance(found, dict)
        return found


class MinistackStage(Stage):
    """On ministack: progress is what is missing from the queue."""

    async def look(self, count: int) -> Seen:
        """By the queue's own counts."""
        found = queue.read_attributes(await self.queue.call(queue.depth(self.queue_url)))
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        now = time.monotonic()
        return Seen(at=now, done=count - sum(int(found[name]) for name in names), last=now)

    async def states(self) -> Counts:
        """Nobody counts."""
        return {}


@dataclass(frozen=True, slots=True)
class _Told:
    page: Mapping[str, object]

    def number(self, name: str) -> int:
        value = self.page[name]
        assert isinstance(value, int)
        return value

    def seconds(self, name: str) -> float:
        value = self.page[name]
        assert isinstance(value, float)
        return value

    def counts(self, name: str) -> Counts:
        return _counts(self.page[name])


def _counts(value: object) -> Counts:
    assert isinstance(value, dict)
    return dict(value)


def _stub_environment(port: int, _mark: str) -> Mapping[str, str]:
    return clean_environment() | {"FTQ_STUB_PORT": str(port), "FTQ_STUB_CPU": str(AWS_CPU)}


KINDS: Final[Mapping[str, type[StubStage | MinistackStage]]] = {
    "stub": StubStage,
    "ministack": MinistackStage,
}
POLL_SECONDS: Final = {"stub": 0.02, "ministack": 0.2}


@asynccontextmanager
async def stage_of(kind: str) -> AsyncIterator[Stage]:
    """Start a stand-in and make queues and table on it."""
    stub = StandIn("benchmarks.stub", "/_stub/health", _stub_environment)
    async with running(stub) if kind == "stub" else embedded_aws() as url:
        session = get_session()
        session.set_credentials(ACCESS_KEY, ACCESS_KEY)
        config = AioConfig(region_name=REGION, parameter_validation=False)
        async with (
            # The hot lane: hundreds of thousands of tasks are to be loaded.
            client_of(session, "sqs", config, hot=True, endpoint_url=url) as sqs,
            client_of(session, "dynamodb", config, hot=True, endpoint_url=url) as dynamodb,
        ):
            ports = AioPort(sqs), AioPort(dynamodb)
            made = [await ports[0].call(create.queue("bench-dlq"))]
            made.append(await ports[0].call(create.queue("bench", DLQ_ARN)))
            await ports[1].call(create.table(TABLE))
            dlq_url, queue_url = (str(reply["QueueUrl"]) for reply in made)
            yield KINDS[kind](url, *ports, queue_url, dlq_url)
