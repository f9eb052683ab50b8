"""Submits the demo's tasks and follows them to their ends, over HTTP and the queue only."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import aiohttp

from ftq.client import AsyncClient, ClientError
from ftq.lifecycle import FINAL
from ftq.text import Document, Json, NotJson, parse
from ftq.wire import queue as wire
from ftq_cli.exits import CommandError, Exit
from ftq_cli.local import Local, health_url
from ftq_cli.metrics import Totals, totals

SUBMITTERS: Final = 16
# Tasks asked after at once, and how often: at most a hundred a second.
ASKED_AT_ONCE: Final = 10
PAUSE_SECONDS: Final = 0.1
# The last counted success may be told a moment after the table shows it, a copy sent after it.
SETTLE_SECONDS: Final = 10.0
# Nothing moved for this long: whatever is missing will not come. Well above the visibility
# timeout, after which the tasks of a killed daemon come back.
STALLED_SECONDS: Final = 150.0
BUSY_SHARE: Final = 0.9


@dataclass(slots=True)
class Seen:
    """What was seen of the tasks.

    Attributes:
        tasks: Their records as the API last showed them, by id.
        calls_per_task: AWS calls of the daemons for each task that had ended, when nine in ten
            had; None if a daemon did not answer.
        stalled: Whether they were given up.
    """

    tasks: dict[str, Document] = field(default_factory=dict)
    calls_per_task: float | None = None
    stalled: bool = False

    @property
    def counts(self) -> Counter[str]:
        """How many are in each state."""
        return Counter(str(task.get("state")) for task in self.tasks.values())

    @property
    def unfinished(self) -> list[str]:
        """Those that have not ended."""
        return [key for key, task in self.tasks.items() if task.get("state") not in FINAL]

    @property
    def dead(self) -> int:
        """How many are dead."""
        return self.counts["dead"]


class Watch:
    """Follows tasks.

    Args:
        it: The local ftq.
        api: Its API.
        session: For the daemons' metrics.
        before: What the daemons had counted at the beginning.
    """

    def __init__(
        self, it: Local, api: AsyncClient, session: aiohttp.ClientSession, before: Totals
    ) -> None:
        """Keep all four."""
        self._it = it
        self._api = api
        self._session = session
        self._before = before

    @classmethod
    @asynccontextmanager
    async def over(cls, it: Local) -> AsyncIterator[Watch]:
        """A watch over a local ftq for as long as the context lasts.

        Raises:
            CommandError: The API could not be reached, or refused a task.
        """
        try:
            async with AsyncClient(it.api_url) as api, aiohttp.ClientSession() as session:
                before = await totals(session, _urls(it)) or Totals()
                yield cls(it, api, session, before)
        except ClientError as error:
            raise CommandError(str(error), Exit.UNREACHABLE) from error

    async def follow(
        self, keys: Sequence[str], payload: Json, show: Callable[[Mapping[str, int]], None]
    ) -> Seen:
        """Submit a task for each key, and follow all of them to their ends."""
        seen = Seen()
        submitting = asyncio.create_task(self._submit(keys, payload, seen))
        moved_at, before = time.monotonic(), seen.counts
        try:
            while not submitting.done() or seen.unfinished:
                await self._look(seen)
                counts = seen.counts
                show(counts)
                await self._measure(seen, counts, len(keys))
                if counts != before:
                    moved_at, before = time.monotonic(), counts
                elif time.monotonic() - moved_at > STALLED_SECONDS:
                    seen.stalled = True
                    break
            await submitting
        finally:
            submitting.cancel()
        return seen

    async def _submit(self, keys: Sequence[str], payload: Json, seen: Seen) -> None:
        waiting = iter(keys)

        async def one_by_one() -> None:
            for key in waiting:
                task = await self._api.submit("demo.flaky", payload, key=key)
                seen.tasks[task.id] = task.document

        submitters = [asyncio.create_task(one_by_one()) for _ in range(SUBMITTERS)]
        try:
            await asyncio.gather(*submitters)
        finally:
            for each in submitters:
                each.cancel()

    async def _look(self, seen: Seen) -> None:
        """Ask after each task that has not ended, a few at a time."""
        unfinished = iter(seen.unfinished)
        while some := list(islice(unfinished, ASKED_AT_ONCE)):
            answers = await asyncio.gather(*(self._api.get(key) for key in some))
            seen.tasks.update((task.id, task.document) for task in answers)
            await asyncio.sleep(PAUSE_SECONDS)
        await asyncio.sleep(PAUSE_SECONDS)

    async def _measure(self, seen: Seen, counts: Mapping[str, int], total: int) -> None:
        ended = sum(counts.get(state, 0) for state in FINAL)
        if seen.calls_per_task is None and ended >= BUSY_SHARE * total:
            now = await totals(self._session, _urls(self._it))
            if now is not None:
                seen.calls_per_task = round((now.calls - self._before.calls) / ended, 3)

    async def successes(self, seen: Seen) -> int | None:
        """How many successes the daemons counted; None if the count of one is gone."""
        expected = seen.counts["succeeded"]
        until = time.monotonic() + SETTLE_SECONDS
        while not self._it.deaths:
            now = await totals(self._session, _urls(self._it))
            if now is None:
                return None
            counted = now.succeeded - self._before.succeeded
            if counted >= expected or time.monotonic() > until:
                return counted
            await asyncio.sleep(PAUSE_SECONDS)
        return None


def _urls(it: Local) -> Iterable[str]:
    return [health_url(child) for child in it.daemons.values()]


async def dead_letters(it: Local, expected: int) -> list[tuple[str, str, str]]:
    """Take what is in the dead-letter queue: (id, claim_no, cause) each.

    Args:
        it: The local ftq.
        expected: How many to wait for; should there be more, they are found too.
    """
    found: list[tuple[str, str, str]] = []
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        # Hidden for longer than this takes: each is counted once.
        reply = await it.aws.call(wire.receive(it.made.dlq_url, 10, 1, 300))
        messages = wire.read_receive(reply)
        found += [
            (_id(each.body), _attribute(each, wire.CLAIM_NO), _attribute(each, wire.CAUSE))
            for each in messages
        ]
        if not messages and (len(found) >= expected or time.monotonic() > until):
            return found


def _id(body: str) -> str:
    try:
        said = parse(body)
    except NotJson:
        return ""
    return str(said.get("id")) if isinstance(said, dict) else ""


def _attribute(message: wire.Message, name: str) -> str:
    return str(message.attributes.get(name, {}).get("StringValue", ""))
