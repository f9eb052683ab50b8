"""Runs a handler and turns every way it can end into an Outcome.

Async handlers run as a task of their own on the loop, sync ones in a daemon thread or a child
process, and those of suspects in a child of their own, of whatever kind they are. A handler that
does not end when it is told to is killed with its process, or left behind in its thread or task:
its claim is settled without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from ftq.context import Context, Signals
from ftq.handler import Handler
from ftq.middleware import Work
from ftq.outcome import (
    CancelAsked,
    Crashed,
    Interrupted,
    Lost,
    Outcome,
    Raised,
    Returned,
)
from ftq.task import failure
from ftq_daemon.children.child import NoChild
from ftq_daemon.children.pool import KILL_SECONDS, Children
from ftq_daemon.endings import Endings, timed_out

# A suspect's process is not blamed if its daemon dies as well: whoever kills a whole container
# need not do it in one stroke.
ALIBI_SECONDS: Final = 1.0


@dataclass(slots=True, eq=False)
class Attempt:
    """A run under way, and how it is told to end before its time.

    Attributes:
        signals: What the handler sees change.
        ended: Done once the run must end.
        why: Why it must.
    """

    signals: Signals = field(default_factory=Signals)
    ended: asyncio.Future[object] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    why: Interrupted | CancelAsked | Lost | None = None

    def end(self, why: Interrupted | CancelAsked | Lost) -> None:
        """Tell the run to end; the first reason stands."""
        if isinstance(why, Lost):
            self.signals.tell(lost=True)
        if self.why is None:
            self.why = why
            self.ended.set_result(None)


@dataclass(slots=True)
class Runner:
    """Runs handlers.

    Attributes:
        grace: Seconds that a handler has to end after it was told to.
        children: The processes for handlers with ``run_in="process"``.
        suspects: The processes for suspects, each for one of them.
        endings: Reads how handlers end.
        thread: Calls a function in a thread of that name.
        left_behind: Handlers that did not, and may be running still.
    """

    grace: float
    children: Children
    suspects: Children
    endings: Endings = field(default_factory=Endings)
    thread: Callable[[Callable[[], object], str], asyncio.Future[object]] = field(
        default_factory=lambda: in_thread
    )
    left_behind: set[asyncio.Future[object]] = field(default_factory=set)

    async def run(
        self,
        handler: Handler,
        payload: str,
        context: Context,
        attempt: Attempt,
        *,
        suspect: bool = False,
    ) -> tuple[Outcome, bool]:
        """Run one attempt to its end.

        Args:
            handler: What to run.
            payload: The payload as JSON text.
            context: What the handler is told.
            attempt: How it is told to end early.
            suspect: Whether it must have a process of its own.

        Returns:
            How it ended, and whether the handler was left behind running.

        Raises:
            NoChild: No process could be had for it.
        """
        if suspect:
            run = await self._run_in_child(self.suspects, handler, payload, context, attempt)
            return await _blamed(run, handler, attempt)
        if handler.run_in == "process":
            run = await self._run_in_child(self.children, handler, payload, context, attempt)
            return await _blamed(run, handler, attempt)
        work = self.endings.work(handler, payload, context)
        if not isinstance(work, partial):
            return work, False
        call = self._start(handler, work, context)
        if await self._ends(call, handler, attempt):
            return self._ended(call, handler), False
        return await self._stop(call, handler, attempt)

    async def _ends(
        self,
        call: asyncio.Future[object] | asyncio.Task[Outcome],
        handler: Handler,
        attempt: Attempt,
    ) -> bool:
        """Wait until a call has ended by itself, or has to."""
        loop = call.get_loop()
        over: asyncio.Future[None] = loop.create_future()

        def wake(_: object = None) -> None:
            if not over.done():
                over.set_result(None)

        # What asyncio.wait() does, for the two that there are.
        timer = loop.call_later(handler.timeout, wake)
        call.add_done_callback(wake)
        attempt.ended.add_done_callback(wake)
        try:
            await over
        except asyncio.CancelledError:
            call.cancel()  # whoever ends an attempt from outside ends its handler
            raise
        finally:
            timer.cancel()
        return call.done()

    def _start(self, handler: Handler, work: Work, context: Context) -> asyncio.Future[object]:
        if handler.run_in == "loop":
            # The name is what the watchdog tells of whoever holds the loop.
            name = f"{handler.type} {context.task_id}"
            return asyncio.get_running_loop().create_task(_contained(work), name=name)
        return self.thread(work, handler.type)

    async def _stop(
        self, call: asyncio.Future[object], handler: Handler, attempt: Attempt
    ) -> tuple[Outcome, bool]:
        why: Outcome = attempt.why or timed_out(handler)
        if handler.run_in == "loop":
            call.cancel()
        await asyncio.wait({call}, timeout=self.grace)
        if not call.done():
            # Nothing it does counts any more, and it can look that up.
            attempt.signals.tell(lost=True)
            self.left_behind.add(call)
            call.add_done_callback(self._forget)
            return why, True
        return _told(why, self._ended(call, handler)), False

    async def _run_in_child(
        self, pool: Children, handler: Handler, payload: str, context: Context, attempt: Attempt
    ) -> tuple[Outcome, bool]:
        child = await pool.take(attempt.ended)
        if child is None:
            return attempt.why or Interrupted(), False
        if context.type not in child.types:
            pool.give(child)
            raise NoChild(f"a process that loaded the handlers has none for {context.type!r}")
        signals, told = attempt.signals, True
        signals.listener = partial(child.tell, signals)
        call = asyncio.get_running_loop().create_task(
            child.run(payload, context, signals, handler.timeout)
        )
        try:
            told = not await self._ends(call, handler, attempt)
            if not told:
                return call.result(), False
            why: Outcome = attempt.why or timed_out(handler)
            child.end()
            await asyncio.wait({call}, timeout=self.grace)
            # It may have swallowed that, or be half undone: nothing else runs there any more.
            ended = call.result() if call.done() else None
            child.kill()
            await asyncio.wait({child.exited}, timeout=KILL_SECONDS)
            return _told(why, ended), not child.exited.done()
        finally:
            signals.listener = None
            if told:
                child.kill()
                call.cancel()
            pool.give(child)

    def _ended(self, call: asyncio.Future[object], handler: Handler) -> Outcome:
        if call.cancelled():
            return Raised(failure("exception", "CancelledError", "the handler cancelled itself"))
        error = call.exception()
        if error is None:
            return self.endings.returned(call.result())
        return self.endings.raised(error.error if isinstance(error, _Exit) else error, handler)

    async def close(self) -> None:
        """Kill all processes."""
        await self.children.close()
        await self.suspects.close()

    def _forget(self, call: asyncio.Future[object]) -> None:
        self.left_behind.discard(call)
        if not call.cancelled():
            call.exception()  # looked at, so that the loop does not complain


class _Exit(Exception):
    """Carries what must not pass through the event loop, such as SystemExit."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


async def _contained(work: Callable[[], object]) -> object:
    try:
        returned = work()
        return await returned if isinstance(returned, Awaitable) else returned
    except (SystemExit, KeyboardInterrupt) as error:
        # asyncio lets these two end the loop: a handler must not take its neighbours along.
        raise _Exit(error) from None


def in_thread(work: Callable[[], object], name: str) -> asyncio.Future[object]:
    """Run `work` in a daemon thread, which no executor's exit waits for if it hangs."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[object] = loop.create_future()
    context = contextvars.copy_context()

    def finish(value: object, error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def body() -> None:
        value: object = None
        failed: Exception | None = None
        try:
            value = context.run(work)
        except StopIteration as error:
            failed = _Exit(error)  # a future refuses to carry it
        except Exception as error:
            failed = error
        except BaseException as error:
            failed = _Exit(error)
        # A closed loop means that the daemon is gone, and with it whoever waited.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(finish, value, failed)

    threading.Thread(target=body, name=f"ftq {name}", daemon=True).start()
    return future


async def _blamed(
    run: tuple[Outcome, bool], handler: Handler, attempt: Attempt
) -> tuple[Outcome, bool]:
    """What the death of a handler's process makes of the attempt."""
    outcome, left = run
    if not isinstance(outcome, Crashed):
        return run
    if handler.run_in == "process":
        # It chose to run where it can die alone: this is one of the ways to fail. It says nothing
        # of what the handler leans on, no more than the death of a daemon does.
        return Raised(outcome.failure, trips=False), left
    await asyncio.wait({attempt.ended}, timeout=ALIBI_SECONDS)
    return attempt.why or outcome, left


def _told(why: Outcome, ended: Outcome | None) -> Outcome:
    """How an attempt ended that was told to: it may have finished its work all the same."""
    finished = isinstance(why, Interrupted | CancelAsked) and isinstance(ended, Returned)
    return ended if finished and ended is not None else why
