"""The table, as the daemon uses it: statements in group commits, repeated until they are known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ftq.errors import CallError, CallRefused, Throttled, Unavailable
from ftq.limits import STATEMENTS_PER_BATCH
from ftq.ports import Port
from ftq.report import Report
from ftq.sweep import Overdue
from ftq.task import Task
from ftq.wire import index, reports, schedules
from ftq.wire import table as wire
from ftq.wire.item import Item
from ftq.wire.statements import Statement, Statements
from ftq.wire.table import Beside, Duplicate, Failed, Refused, Written
from ftq_daemon.batcher import Batcher
from ftq_daemon.clock import Backoff, World


class Store:
    """Writes of records, batched; reads of the few things a message does not carry.

    Attributes:
        statements: The builders of what may be written.
        answered: Whether the last call was answered; readiness looks at it.
    """

    def __init__(self, port: Port, table: str, world: World) -> None:
        """Set up the batcher; nothing is called yet."""
        self.statements = Statements(table)
        self.answered = True
        self._port = port
        self._table = table
        self._world = world
        self._batcher: Batcher[Statement, wire.Result] = Batcher(
            self._flush, size=STATEMENTS_PER_BATCH, key=lambda statement: statement.key
        )

    async def write(self, statement: Statement, until: float) -> Written | Refused | Duplicate:
        """Write one statement, repeating it while its fate is not known or it was throttled.

        A repeat after a lost reply is refused by its own first success; the caller tells that
        from a loss by what the refusal brings (PROTOCOL R5).

        Args:
            statement: What to write.
            until: Loop time after which it is not tried again.

        Raises:
            Unavailable: Nobody knows whether it was written.
            CallError: It was not.
        """
        backoff = Backoff(self._world, until)
        unknown: Unavailable | None = None
        while True:
            try:
                result = await self._batcher.submit(statement)
            except (Throttled, Unavailable) as error:
                # Once a try went unanswered, no later refusal to try tells what became of it.
                unknown = error if isinstance(error, Unavailable) else unknown
                if await backoff.pause():
                    continue
                raise unknown or error from None
            if not isinstance(result, Failed):
                return result
            if not result.transient:
                raise CallRefused("BatchExecuteStatement", result.code, result.message)
            if not await backoff.pause():
                raise unknown or Throttled("BatchExecuteStatement", result.code, result.message)

    async def put_beside(self, key: str, payload: str, expires_at: int) -> None:
        """Store a large payload beside its record (PROTOCOL R11); there already is as good.

        Raises:
            CallError: It could not be stored.
        """
        try:
            await self._port.call(wire.put_beside(self._table, key, payload, expires_at))
        except CallError as error:
            if error.code != wire.CONDITION_FAILED:
                raise

    async def put(self, task: Task) -> bool:
        """Store a record if its id is free; whether it was.

        Raises:
            CallError: It is not known to be stored.
        """
        try:
            await self._port.call(wire.put(self._table, task))
        except CallError as error:
            if error.code != wire.CONDITION_FAILED:
                raise
            return False
        return True

    async def mark(self, key: str) -> int | None:
        """The last tick of a schedule that was taken care of; None if the schedule is new.

        Raises:
            CallError: It could not be read.
        """
        return schedules.read_mark(await self._port.call(schedules.read(self._table, key)))

    async def get_beside(self, key: str, until: float) -> Beside | None:
        """Read a large payload; None if it is not there.

        Args:
            key: Its key.
            until: Loop time after which it is not tried again.

        Raises:
            CallError: It could not be read.
        """
        backoff = Backoff(self._world, until)
        while True:
            try:
                return wire.read_beside(await self._port.call(wire.get(self._table, key)))
            except (Throttled, Unavailable):
                if not await backoff.pause():
                    raise

    async def overdue(
        self, bucket: str, now: int, limit: int, start: Item | None
    ) -> tuple[list[Overdue], Item | None]:
        """A page of the overdue tasks of a shard, oldest first, and where the next begins.

        Raises:
            CallError: It could not be read.
        """
        reply = await self._port.call(wire.overdue(self._table, bucket, now, limit, start))
        items, following = wire.read_page(reply)
        found = map(wire.read_overdue, items)
        return [each for each in found if each is not None], following

    async def get_many(self, keys: Sequence[str]) -> list[Task]:
        """Read records; what was not read this time is missing.

        Raises:
            CallError: They could not be read.
        """
        reply = await self._port.call(wire.get_many(self._table, keys))
        return wire.read_get_many(reply, self._table)

    async def report(self, report: Report) -> None:
        """Store what a daemon says about itself.

        Raises:
            CallError: It could not be stored.
        """
        await self._port.call(reports.write(self._table, report))

    async def forget_report(self, daemon: str) -> None:
        """Take a daemon's report away.

        Raises:
            CallError: It could not be taken away.
        """
        await self._port.call(reports.remove(self._table, daemon))

    async def reports(self, since: int) -> list[Report]:
        """What daemons said since then, the newest if there are many.

        Raises:
            CallError: It could not be read.
        """
        asked = index.page(
            self._table, reports.BUCKET, wire.KEYS_PER_READ, newest_first=True, since=since
        )
        items, _ = wire.read_page(await self._port.call(asked))
        keys = [row.id for row in map(index.read_row, items) if row is not None]
        if not keys:
            return []
        reply = await self._port.call(reports.get_many(self._table, keys))
        return reports.read_get_many(reply, self._table)

    async def probe(self) -> None:
        """See that the table answers.

        Raises:
            CallError: It does not.
        """
        await self._port.call(wire.get(self._table, "probe"))

    async def close(self) -> None:
        """Write what is pending."""
        await self._batcher.close()

    async def _flush(self, statements: Sequence[Statement]) -> list[wire.Result]:
        try:
            reply = await self._port.call(wire.execute(statements))
        except CallError:
            self.answered = False
            raise
        self.answered = True
        return wire.read_execute(reply, len(statements))


def in_seconds(seconds: float) -> float:
    """The loop time that many seconds from now."""
    return asyncio.get_running_loop().time() + seconds
