"""The whole engine in memory, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar, Unpack, overload

from ftq.accept import accept
from ftq.client.asked import Options, What, prepare
from ftq.context import Context
from ftq.control import Operator, RedriveAnswer, cancel, redrive
from ftq.lifecycle import State
from ftq.registry import Registry
from ftq.steps import Steps, walk
from ftq.submission import plan
from ftq.task import Task
from ftq.testing.aws import MemoryAws, MemorySyncPort
from ftq.testing.process import Process, ProcessLoop
from ftq.wire.item import read_task
from ftq_daemon.aws.clients import Ports
from ftq_daemon.bootstrap import build
from ftq_daemon.checks import check_queues
from ftq_daemon.clock import World
from ftq_daemon.daemon import Daemon
from ftq_daemon.events import Event, Events, Settled
from ftq_daemon.hearing import Ear, hearing
from ftq_testing.account import TABLE, furnish, terms_of
from ftq_testing.child import starting
from ftq_testing.loops import in_seen_thread, where_no_loop_runs

P = TypeVar("P")
T = TypeVar("T")

DAY: Final = 86_400.0
# Far beyond what a test waits for: `drain` has a limit of its own, which says what it waits for.
_YEARS: Final = 100 * 366 * 86_400.0
_A_MOMENT: Final = 0.05


class Harness:
    """A daemon with your handlers over AWS in memory, on a virtual clock that you move.

    Claims, retries, delays, schedules, breakers and dead letters are those of production, for it
    is the same code. Time stands still but in `advance` and `drain`, which take as long as the
    handlers compute: an hour of retries is over at once. Submitting and looking take no time.

    Async handlers run on the virtual loop. Sync ones run in threads, for as long as they really
    take, and the clock waits for them. Those with ``run_in="process"`` run in this very process,
    on the loop: nothing is pickled, and no timeout interrupts them.

    Args:
        registry: The handlers.
        concurrency: How many handlers run at once.

    Attributes:
        registry: As given.
        aws: The account, to look inside, or to break.
        events: What the daemon has told of so far.
    """

    def __init__(self, registry: Registry, *, concurrency: int = 64) -> None:
        """Start the daemon."""
        self.registry = registry
        self.events: list[Event] = []
        self._loop = ProcessLoop(_YEARS)
        self._runner = asyncio.Runner(loop_factory=lambda: self._loop)
        self._driver = 0
        self._fresh = itertools.count(1)
        self._children: list[Process] = []
        self.aws = MemoryAws(self._loop.now_ms)
        self._port = MemorySyncPort(self.aws)
        self._stop, self._settled = asyncio.Event(), asyncio.Event()
        self._open = AsyncExitStack()
        self._ears: Sequence[Ear] = ()
        self._daemon = self._wire(concurrency)
        self._run = self._drive(self._started)

    def __enter__(self) -> Harness:
        """It runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """As `close`."""
        self.close()

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return datetime.fromtimestamp(self._loop.now_ms() / 1000, UTC)

    @property
    def tasks(self) -> list[Task]:
        """All tasks as they are now, in the order in which they were stored."""
        found = map(read_task, self.aws.table(TABLE).items().values())
        return [task for task in found if task is not None]

    @overload
    def submit(
        self, what: Callable[[P], object], payload: P, **options: Unpack[Options]
    ) -> str: ...

    @overload
    def submit(
        self, what: Callable[[P, Context], object], payload: P, **options: Unpack[Options]
    ) -> str: ...

    @overload
    def submit(self, what: str, payload: object = None, **options: Unpack[Options]) -> str: ...

    def submit(self, what: What, payload: object = None, **options: Unpack[Options]) -> str:
        """Submit a task, as the client does; it runs when time goes on. Handlers may do so too.

        Args:
            what: The handler, or its type.
            payload: The payload; held against the handler's model.
            **options: As `ftq.client`'s: ``key``, ``delay_seconds``, ``tenant``, ``queue``…

        Returns:
            The task's id.

        Raises:
            RegistryError: The function is no handler of the registry.
            SubmissionError: It cannot be accepted; the message says why.
        """
        now = self._loop.now_ms()
        key = f"harness-{next(self._fresh)}"
        asked = prepare(what, payload, options, self.registry, now, key).submission
        handler = self.registry.get(asked.type)
        if handler is not None and not asked.queue:
            asked = replace(asked, queue=handler.queue)
        planned = plan(asked, self._terms, now)
        steps = accept(self._daemon.store.statements, [planned], self._loop.now_ms)
        (stored,) = self._walk(steps).stored
        if not isinstance(stored, Task):
            raise stored
        return stored.id

    def advance(self, seconds: float) -> None:
        """Let so much time pass, with all that happens in it."""
        if not seconds >= 0:
            raise ValueError(f"seconds={seconds!r}: time does not go back")
        self._drive(lambda: asyncio.sleep(seconds))

    def drain(self, *, within: float = DAY) -> None:
        """Let time pass until every task has ended, those that are submitted meanwhile included.

        Args:
            within: Virtual seconds that this may take; each day is some seconds of yours.

        Raises:
            AssertionError: Some have not ended by then; the message names them.
        """
        self._drive(lambda: self._drained(within))

    def task(self, task_id: str) -> Task:
        """A task's record as it is now.

        Raises:
            KeyError: There is none of this id.
        """
        found = read_task(self.aws.table(TABLE).get(task_id))
        if found is None:
            raise KeyError(task_id)
        return found

    def dead_letters(self) -> list[Task]:
        """The tasks that are dead now."""
        return [task for task in self.tasks if task.state is State.DEAD]

    def redrive(self, task_id: str) -> None:
        """Give a dead task one more life, as an operator does.

        Raises:
            KeyError: There is none of this id.
            ValueError: It is not dead.
        """
        done = self._walk(redrive(self._daemon.store.statements, task_id, None, self._operator()))
        if done is None:
            raise KeyError(task_id)
        if done.answer is not RedriveAnswer.REDRIVEN:
            raise ValueError(f"task {task_id} is {done.task.state}, not dead")

    def cancel(self, task_id: str) -> None:
        """Ask for a task to be cancelled; one that runs is told at its next beat.

        Raises:
            KeyError: There is none of this id.
        """
        if self._walk(cancel(self._daemon.store.statements, task_id, self._operator())) is None:
            raise KeyError(task_id)

    def close(self) -> None:
        """Stop the daemon as SIGTERM does; what has not ended stays as it is."""
        if self._loop.is_closed():
            return
        try:
            self._drive(self._stopped)
        finally:
            self._runner.close()

    # --- how it is made -------------------------------------------------------------------------

    def _wire(self, concurrency: int) -> Daemon:
        settings = furnish(self._port, self.registry, concurrency)
        self._terms = terms_of(settings)
        # Equal tests see equal jitter.
        dice, tokens = random.Random(0), itertools.count()
        world = World(self._loop.now_ms, dice.random, lambda: f"token-{next(tokens)}")
        max_receives = self._drive(lambda: check_queues(settings, self.aws))
        daemon = build(
            settings,
            self.registry,
            Ports(self.aws, self.aws, self.aws),
            world,
            Events([self._told]),
            "harness",
            max_receives,
            starting(self.registry, self._children.append),
        )
        daemon.work.runner.thread = in_seen_thread
        return daemon

    def _told(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Settled):
            self._settled.set()

    def _operator(self) -> Operator:
        return Operator("harness", self._loop.now_ms(), self._terms.grace, self._terms.retention)

    # --- how time passes ------------------------------------------------------------------------

    def _drive(self, main: Callable[[], Coroutine[object, None, T]]) -> T:
        """Let the loop run until `main` is done."""
        if self._loop.is_closed():
            raise RuntimeError("this harness is closed")
        if self._loop.is_running():
            raise RuntimeError("time passes already: a handler can submit, but not move the clock")

        def here() -> T:
            self._driver = threading.get_ident()
            try:
                return self._runner.run(main())
            finally:
                self._driver = 0

        return where_no_loop_runs(here)

    def _walk(self, steps: Steps[T]) -> T:
        """Make calls from wherever we are: beside the loop, on it, or in a handler's thread."""
        if self._driver in (0, threading.get_ident()):
            return walk(self._port, steps)

        async def there() -> T:
            return walk(self._port, steps)

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result()

    async def _started(self) -> asyncio.Task[int]:
        told = hearing(self._daemon, self.registry.listeners)
        self._ears = await self._open.enter_async_context(told)
        return asyncio.create_task(self._daemon.run(self._stop), name="daemon")

    async def _drained(self, within: float) -> None:
        until = self._loop.time() + within
        while waiting := await self._waiting():
            left = until - self._loop.time()
            if left <= 0:
                lines = [f"{task.type} {task.id} is {task.state}" for task in waiting[:10]]
                raise AssertionError(f"after {within:g} s {len(waiting)} open: {'; '.join(lines)}")
            self._settled.clear()
            settled = asyncio.create_task(self._settled.wait())
            ways: set[asyncio.Task[bool] | asyncio.Task[int]] = {settled, self._run}
            await asyncio.wait(ways, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            settled.cancel()
            if self._run.done():
                self._run.result()
            # What is settled is then deleted from its queue, and others are settled with it.
            await asyncio.sleep(_A_MOMENT)

    async def _waiting(self) -> list[Task]:
        """The tasks that have not ended; listeners, which may submit more, have heard it all."""
        await asyncio.gather(*(ear.quiet() for ear in self._ears))
        return [task for task in self.tasks if not task.final]

    async def _stopped(self) -> None:
        self._stop.set()
        try:
            async with self._open:
                await self._run
        finally:
            for child in self._children:
                child.bury()
