"""AWS in memory: DynamoDB and SQS behind the ports of `ftq.ports`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ftq.errors import CallRefused, Throttled
from ftq.ports import Call, Reply
from ftq.testing.clock import now_ms
from ftq.testing.dynamodb import MemoryDynamo
from ftq.testing.params import words
from ftq.testing.queue import IN_FLIGHT_LIMIT, MemoryQueue
from ftq.testing.sqs import MemorySqs
from ftq.testing.table import MemoryTable
from ftq.wire.faults import classify


class MemoryAws:
    """One account of AWS in memory. It is a `Port` for both services.

    It does what AWS documents, not what a stand-in does; where the documentation leaves a
    choice, it takes the less comfortable one.

    Args:
        now: The wall clock, in milliseconds since the epoch. The default follows a
            `VirtualLoop` if one is running.
        index_lag: Milliseconds by which indexes follow their tables.
        in_flight_limit: How many messages of a queue may be in flight.

    Attributes:
        calls: How many calls were made, by operation.
    """

    def __init__(
        self,
        now: Callable[[], int] = now_ms,
        *,
        index_lag: int = 0,
        in_flight_limit: int = IN_FLIGHT_LIMIT,
    ) -> None:
        """Begin with nothing in it."""
        self.calls: Counter[str] = Counter()
        self._dynamo = MemoryDynamo(now, index_lag)
        self._sqs = MemorySqs(now, in_flight_limit)

    async def call(self, call: Call) -> Reply:
        """Make one call.

        Raises:
            Throttled: The service refuses it for now.
            CallRefused: The service refuses it.
        """
        # A call takes at least a turn of the loop each way: others get in between, as always.
        await asyncio.sleep(0)
        if call.operation == "ReceiveMessage":
            self.calls[call.operation] += 1
            with _as_ports_say():
                return await self._sqs.receive(call)
        reply = self.apply(call)
        await asyncio.sleep(0)
        return reply

    def apply(self, call: Call) -> Reply:
        """Make one call at once; a receive does not wait for messages. Raises as `call` does."""
        self.calls[call.operation] += 1
        with _as_ports_say():
            return (self._sqs if call.service == "sqs" else self._dynamo).apply(call)

    def table(self, name: str) -> MemoryTable:
        """A table, to look inside.

        Raises:
            KeyError: There is none of this name.
        """
        return self._dynamo.tables[name]

    def queue(self, url: str) -> MemoryQueue:
        """A queue, to look inside.

        Raises:
            KeyError: There is none at this URL.
        """
        return self._sqs.account.at(url)


@contextmanager
def _as_ports_say() -> Iterator[None]:
    """Read error codes by the same table as the real adapters."""
    try:
        yield
    except CallRefused as error:
        if classify(error.code, 400) != "throttled":
            raise
        raise Throttled(error.operation, error.code, words(error)) from None


class MemorySyncPort:
    """The same account as a `SyncPort`: the Lambda's side of it."""

    def __init__(self, aws: MemoryAws) -> None:
        """Stand in front of the account."""
        self._aws = aws

    def call(self, call: Call) -> Reply:
        """Make one call; raises as `MemoryAws.call` does."""
        return self._aws.apply(call)
