"""The client for event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Generic, TypeVar, Unpack, overload

import httpx

from ftq.client import many, talks
from ftq.client.answers import Accepted, Cancelled, Health, Redriven, Task
from ftq.client.asked import NewTask, Options, What
from ftq.client.auth import Auth
from ftq.client.carriers import AsyncCarrier, AsyncToken
from ftq.client.deaths import DeadLetters
from ftq.client.exchange import World
from ftq.client.http import TIMEOUT_SECONDS, world_of
from ftq.client.many import Results
from ftq.client.statistics import Stats
from ftq.client.talks import Deaths, Filter, Progress
from ftq.context import Context
from ftq.lifecycle import State
from ftq.registry import Registry
from ftq.retry import RetryPolicy

T = TypeVar("T")


class AsyncClient(AsyncCarrier):
    """Speaks to ftq's API from an event loop, asyncio's or trio's; else as `Client`.

    A call that is cancelled may have been done: give a `key` of your own to be able to repeat a
    submission.

    Args:
        url: Where the API answers.
        registry: Your handlers.
        auth: A function that gives a bearer token, async or quick; or `SigV4`.
        timeout: Seconds to wait for an answer.
        retry: How often, and how far apart, a request is tried.
        transport: What carries the requests, instead of the network.
        world: Clock and dice, for tests.

    Raises:
        SettingsError: The URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        registry: Registry | None = None,
        auth: Auth | AsyncToken | None = None,
        timeout: float = TIMEOUT_SECONDS,
        retry: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        world: World | None = None,
    ) -> None:
        """Set the connections up; nothing is sent yet."""
        super().__init__(url, auth, timeout, transport)
        self._registry = registry
        self._world = world or world_of(retry)

    @overload
    async def submit(
        self, what: Callable[[T], object], payload: T, **options: Unpack[Options]
    ) -> Accepted: ...

    @overload
    async def submit(
        self, what: Callable[[T, Context], object], payload: T, **options: Unpack[Options]
    ) -> Accepted: ...

    @overload
    async def submit(self, what: str, payload: object, **options: Unpack[Options]) -> Accepted: ...

    async def submit(self, what: What, payload: object, **options: Unpack[Options]) -> Accepted:
        """Submit a task; as `Client.submit`."""
        return await self.walk(talks.submit(what, payload, options, self._registry, self._world))

    async def submit_many(self, tasks: Iterable[NewTask]) -> Results:
        """Submit any number of tasks; as `Client.submit_many`."""
        return await self.walk(many.submit_many(tasks, self._registry, self._world))

    @overload
    def bind(self, handler: Callable[[T], object]) -> AsyncSubmitter[T]: ...

    @overload
    def bind(self, handler: Callable[[T, Context], object]) -> AsyncSubmitter[T]: ...

    def bind(
        self, handler: Callable[[T], object] | Callable[[T, Context], object]
    ) -> AsyncSubmitter[T]:
        """A submitter of one handler's tasks: ``await client.bind(send).submit(Email(...))``."""
        return AsyncSubmitter(self, handler)

    async def get(self, task_id: str) -> Task:
        """The task as it is now; as `Client.get`."""
        return await self.walk(talks.get(task_id, self._world))

    async def wait(
        self,
        task_id: str,
        timeout: float | None = None,
        *,
        raise_on_failure: bool = False,
        progress: Callable[[Task], None] = lambda task: None,
    ) -> Task:
        """The task once it has ended; as `Client.wait`."""
        return await self.walk(
            talks.wait(task_id, timeout, raise_on_failure, progress, self._world)
        )

    async def list(
        self,
        *,
        state: State | str | None = None,
        type: str | None = None,
        tenant: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Task]:
        """Tasks, the newest first, page by page as they are wanted; as `Client.list`."""
        wanted, cursor, left = Filter(state, type, tenant), None, limit
        while left is None or left > 0:
            size = talks.PAGE if left is None else min(left, talks.PAGE)
            page = await self.walk(talks.page(wanted, size, cursor, self._world))
            for task in page.tasks:
                yield task
            left = None if left is None else left - len(page.tasks)
            cursor = page.cursor
            if cursor is None:
                return

    async def cancel(self, task_id: str) -> Cancelled:
        """Cancel a task; as `Client.cancel`."""
        return await self.walk(talks.cancel(task_id, self._world))

    async def redrive(self, task_id: str, *, claim_no: int | None = None) -> Redriven:
        """Give a dead task one more life; as `Client.redrive`."""
        return await self.walk(talks.redrive(task_id, claim_no, self._world))

    async def redrive_all(
        self,
        *,
        type: str | None = None,
        error: str | None = None,
        before: datetime | None = None,
        rate: float | None = None,
        dry_run: bool = False,
        progress: Progress = lambda sums: None,
    ) -> Redriven:
        """Give all dead tasks that fit one more life each; as `Client.redrive_all`."""
        meant = Deaths(type, error, before)
        return await self.walk(talks.redrive_all(meant, rate, dry_run, progress, self._world))

    async def stats(self) -> Stats:
        """How everything is at this moment; as `Client.stats`."""
        return await self.walk(talks.stats(self._world))

    async def dead_letters(self, window: str | None = None) -> DeadLetters:
        """What died in a window of time; as `Client.dead_letters`."""
        return await self.walk(talks.dead_letters(window, self._world))

    async def health(self) -> Health:
        """Whether tasks can be accepted; as `Client.health`."""
        return await self.walk(talks.health(self._world))


class AsyncSubmitter(Generic[T]):
    """Submits the tasks of one handler, with its payload's type checked.

    It stands beside the handler, and is no attribute of it: a decorated function stays the
    function it was, and no checker knows of attributes that were put on one.

    Args:
        client: Sends them.
        handler: The handler.
    """

    def __init__(
        self, client: AsyncClient, handler: Callable[[T], object] | Callable[[T, Context], object]
    ) -> None:
        """Keep both."""
        self._client = client
        self._handler = handler

    async def submit(self, payload: T, **options: Unpack[Options]) -> Accepted:
        """Submit a task; as `Client.submit`."""
        client = self._client
        return await client.walk(
            talks.submit(self._handler, payload, options, client._registry, client._world)
        )

    async def submit_many(self, payloads: Iterable[T], **options: Unpack[Options]) -> Results:
        """Submit a task for each; as `Client.submit_many`. A `key` would stand for all of them."""
        return await self._client.submit_many(
            NewTask(self._handler, payload, **options) for payload in payloads
        )
