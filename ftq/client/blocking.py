"""The client for threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Generic, TypeVar, Unpack, overload

import httpx

from ftq.client import many, talks
from ftq.client.answers import Accepted, Cancelled, Health, Redriven, Task
from ftq.client.asked import NewTask, Options, What
from ftq.client.auth import Auth
from ftq.client.carriers import Carrier, Token
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


class Client(Carrier):
    """Speaks to ftq's API; safe to share among threads. Close it, or use it in a ``with``.

    What may have been lost on the way is sent again, with full jitter, where that cannot do
    anything twice: connections that fail, timeouts, 429, 502, 503, 504.

    Args:
        url: Where the API answers.
        registry: Your handlers: with it `submit` takes their functions, and payloads are
            validated before they are sent.
        auth: A function that gives a bearer token, asked anew for each try; or `SigV4`.
        timeout: Seconds to wait for an answer.
        retry: How often, and how far apart, a request is tried.
        transport: What carries the requests, instead of the network.
        world: Clock and dice, for tests.
        sleep: Waits for so many seconds.

    Raises:
        SettingsError: The URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        registry: Registry | None = None,
        auth: Auth | Token | None = None,
        timeout: float = TIMEOUT_SECONDS,
        retry: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
        world: World | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Set the connections up; nothing is sent yet."""
        super().__init__(url, auth, timeout, transport, sleep)
        self._registry = registry
        self._world = world or world_of(retry)

    @overload
    def submit(
        self, what: Callable[[T], object], payload: T, **options: Unpack[Options]
    ) -> Accepted: ...

    @overload
    def submit(
        self, what: Callable[[T, Context], object], payload: T, **options: Unpack[Options]
    ) -> Accepted: ...

    @overload
    def submit(self, what: str, payload: object, **options: Unpack[Options]) -> Accepted: ...

    def submit(self, what: What, payload: object, **options: Unpack[Options]) -> Accepted:
        """Submit a task.

        Args:
            what: A task type, or a handler of the registry.
            payload: What its handler takes: a model, a dataclass, or anything that is JSON.
            options: See `Options`; give a `key` of your own to be able to repeat the call.

        Raises:
            InvalidField: A field or the payload is not valid.
            PayloadTooLarge: The payload is over its limit.
            KeyTaken: The key stands for a task of another type or payload.
            Unreachable: It is not known to be accepted; repeat with its ``idempotency_key``.
            ClientError: The API answered with another problem.
            RegistryError: The function is no handler of the registry.
        """
        return self.walk(talks.submit(what, payload, options, self._registry, self._world))

    def submit_many(self, tasks: Iterable[NewTask]) -> Results:
        """Submit any number of tasks, up to 100 in a request; a result for each, in order.

        Never raises for one of them: its result is then the error that `submit` would raise.
        Tasks that were not sent because the API could not be reached are `Unreachable` too; each
        of those says with which key to repeat it. Those that share a request, and were given no
        `correlation_id`, share the one that the API makes.
        """
        return self.walk(many.submit_many(tasks, self._registry, self._world))

    @overload
    def bind(self, handler: Callable[[T], object]) -> Submitter[T]: ...

    @overload
    def bind(self, handler: Callable[[T, Context], object]) -> Submitter[T]: ...

    def bind(self, handler: Callable[[T], object] | Callable[[T, Context], object]) -> Submitter[T]:
        """A submitter of one handler's tasks: ``client.bind(send).submit(Email(...))``."""
        return Submitter(self, handler)

    def get(self, task_id: str) -> Task:
        """The task as it is now.

        Raises:
            NotFound: There is none.
            ClientError: The API did not answer, or with another problem.
        """
        return self.walk(talks.get(task_id, self._world))

    def wait(
        self,
        task_id: str,
        timeout: float | None = None,
        *,
        raise_on_failure: bool = False,
        progress: Callable[[Task], None] = lambda task: None,
    ) -> Task:
        """The task once it has ended; asks after it at growing intervals, 5 s at most.

        Args:
            task_id: The task.
            timeout: Seconds to wait at most; None waits for ever.
            raise_on_failure: Whether an end without success is an error.
            progress: Called with the task at each look before the last.

        Raises:
            StillOpen: It has not ended in time; a TimeoutError. It goes on.
            TaskFailed: It is dead or cancelled, and that was to be an error.
            ClientError: As `get`.
        """
        return self.walk(talks.wait(task_id, timeout, raise_on_failure, progress, self._world))

    def list(
        self,
        *,
        state: State | str | None = None,
        type: str | None = None,
        tenant: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Task]:
        """Tasks, the newest first, page by page as they are wanted.

        Args:
            state: Only those in this state.
            type: Only those of this type.
            tenant: Only this tenant's.
            limit: So many at most.

        Raises:
            Refused: A filter is not valid.
            ClientError: The API did not answer, or with another problem.
        """
        wanted, cursor, left = Filter(state, type, tenant), None, limit
        while left is None or left > 0:
            size = talks.PAGE if left is None else min(left, talks.PAGE)
            page = self.walk(talks.page(wanted, size, cursor, self._world))
            yield from page.tasks
            left = None if left is None else left - len(page.tasks)
            cursor = page.cursor
            if cursor is None:
                return

    def cancel(self, task_id: str) -> Cancelled:
        """Cancel a task: at once if it waits, at its next beat if it runs.

        Raises:
            NotFound: There is none.
            Conflict: It has ended; its ``state`` says how.
            ClientError: The API did not answer, or with another problem.
        """
        return self.walk(talks.cancel(task_id, self._world))

    def redrive(self, task_id: str, *, claim_no: int | None = None) -> Redriven:
        """Give a dead task one more life. The request names its death, and repeats safely.

        Called again after the task died once more, this is another life, unless `claim_no` says
        that the first death is meant.

        Args:
            task_id: The task.
            claim_no: The death that is meant, such as a task's `claim_no` while it is dead; the
                one that is read first if None.

        Raises:
            NotFound: There is none.
            Conflict: It is not dead.
            ClientError: The API did not answer, or with another problem.
        """
        return self.walk(talks.redrive(task_id, claim_no, self._world))

    def redrive_all(
        self,
        *,
        type: str | None = None,
        error: str | None = None,
        before: datetime | None = None,
        rate: float | None = None,
        dry_run: bool = False,
        progress: Progress = lambda sums: None,
    ) -> Redriven:
        """Give all dead tasks that fit one more life each; the sums of all pages.

        Args:
            type: Only those of this type.
            error: Only those whose last error has this fingerprint.
            before: Only what had died by this moment; by now if None. To begin again after a
                crash, give the ``before`` of the first time.
            rate: Tasks a second; None goes as fast as it can.
            dry_run: Whether they are only counted.
            progress: Called with the sums so far, before the first page and after each.

        Raises:
            ClientError: The API did not answer, or with a problem: `progress` has the sums.
        """
        meant = Deaths(type, error, before)
        return self.walk(talks.redrive_all(meant, rate, dry_run, progress, self._world))

    def stats(self) -> Stats:
        """How everything is at this moment.

        It costs the API up to a hundred reads: do not poll it more often than every few seconds.

        Raises:
            ClientError: The API did not answer, or with a problem.
        """
        return self.walk(talks.stats(self._world))

    def dead_letters(self, window: str | None = None) -> DeadLetters:
        """What died in a window of time, by type and error.

        Args:
            window: Such as ``15m``, ``24h`` (the default) or ``7d``.

        Raises:
            Refused: The window is none.
            ClientError: The API did not answer, or with another problem.
        """
        return self.walk(talks.dead_letters(window, self._world))

    def health(self) -> Health:
        """Whether tasks can be accepted: whether the API and its table answer.

        Raises:
            ClientError: They do not.
        """
        return self.walk(talks.health(self._world))


class Submitter(Generic[T]):
    """Submits the tasks of one handler, with its payload's type checked.

    It stands beside the handler, and is no attribute of it: a decorated function stays the
    function it was, and no checker knows of attributes that were put on one.

    Args:
        client: Sends them.
        handler: The handler.
    """

    def __init__(
        self, client: Client, handler: Callable[[T], object] | Callable[[T, Context], object]
    ) -> None:
        """Keep both."""
        self._client = client
        self._handler = handler

    def submit(self, payload: T, **options: Unpack[Options]) -> Accepted:
        """Submit a task; as `Client.submit`."""
        client = self._client
        return client.walk(
            talks.submit(self._handler, payload, options, client._registry, client._world)
        )

    def submit_many(self, payloads: Iterable[T], **options: Unpack[Options]) -> Results:
        """Submit a task for each; as `Client.submit_many`. A `key` would stand for all of them."""
        return self._client.submit_many(
            NewTask(self._handler, payload, **options) for payload in payloads
        )
