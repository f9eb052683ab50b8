"""Runs a handler and turns every way it can end into an Outcome.

Async handlers run as a task of their own on the loop, sync ones in a daemon thread. A handler
that does not end when it is told to is left behind: its claim is settled without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from ftq.context import Context, Signals
from ftq.errors import Reject, Retry
from ftq.limits import RESULT_BYTES
from ftq.outcome import (
    AskedRetry,
    CancelAsked,
    Interrupted,
    Invalid,
    Lost,
    Outcome,
    Raised,
    Rejected,
    Returned,
    TimedOut,
)
from ftq.registry import Handler
from ftq.task import Failure, failure


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
            self.signals.lost = True
        if self.why is None:
            self.why = why
            self.ended.set_result(None)


@dataclass(slots=True)
class Runner:
    """Runs handlers.

    Attributes:
        grace: Seconds that a handler has to end after it was told to.
        left_behind: Handlers that did not, and may be running still.
    """

    grace: float
    left_behind: set[asyncio.Future[object]] = field(default_factory=set)

    async def run(
        self, handler: Handler, payload: str, context: Context, attempt: Attempt
    ) -> tuple[Outcome, bool]:
        """Run one attempt to its end.

        Args:
            handler: What to run.
            payload: The payload as JSON text.
            context: What the handler is told.
            attempt: How it is told to end early.

        Returns:
            How it ended, and whether the handler was left behind running.
        """
        try:
            argument = handler.payload.validate_json(payload)
        except ValidationError as error:
            return Invalid(_invalid(error)), False
        except Exception as error:  # a validator of the user's own that breaks
            return _raised(error, handler), False
        arguments = (argument, context) if handler.wants_context else (argument,)
        call = self._start(handler, arguments, context)
        ends: set[asyncio.Future[object]] = {call, attempt.ended}
        try:
            await asyncio.wait(ends, timeout=handler.timeout, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            call.cancel()  # whoever ends an attempt from outside ends its handler
            raise
        if call.done():
            return _ended(call, handler), False
        return await self._stop(call, handler, attempt)

    def _start(
        self, handler: Handler, arguments: tuple[object, ...], context: Context
    ) -> asyncio.Future[object]:
        work = partial(handler.function, *arguments)
        if handler.run_in == "loop":
            # The name is what the watchdog tells of whoever holds the loop.
            name = f"{handler.type} {context.task_id}"
            return asyncio.get_running_loop().create_task(_contained(work), name=name)
        return in_thread(work, handler.type)

    async def _stop(
        self, call: asyncio.Future[object], handler: Handler, attempt: Attempt
    ) -> tuple[Outcome, bool]:
        why: Outcome = attempt.why or _timed_out(handler)
        if handler.run_in == "loop":
            call.cancel()
        await asyncio.wait({call}, timeout=self.grace)
        if not call.done():
            # Nothing it does counts any more, and it can look that up.
            attempt.signals.lost = True
            self.left_behind.add(call)
            call.add_done_callback(self._forget)
            return why, True
        ended = _ended(call, handler)
        if isinstance(why, Interrupted | CancelAsked) and isinstance(ended, Returned):
            return ended, False  # told to stop, but it had finished its work
        return why, False

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


def _ended(call: asyncio.Future[object], handler: Handler) -> Outcome:
    if call.cancelled():
        return Raised(failure("exception", "CancelledError", "the handler cancelled itself"))
    error = call.exception()
    if error is None:
        return _returned(call.result())
    return _raised(error.error if isinstance(error, _Exit) else error, handler)


def _returned(value: object) -> Outcome:
    try:
        text = to_json(value, inf_nan_mode="null")
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        # No further attempt would return anything else.
        return Raised(failure("exception", "ResultNotJson", str(error)), permanent=True)
    if len(text) > RESULT_BYTES:
        size = f"the result has {len(text)} bytes of JSON, the limit is {RESULT_BYTES}"
        return Raised(failure("exception", "ResultTooLarge", size), permanent=True)
    return Returned(text.decode())


def _raised(error: BaseException, handler: Handler) -> Outcome:
    name, message = _name(type(error)), _message(error)
    if isinstance(error, Retry):
        return AskedRetry(failure("retry", name, message), error.after, error.counts)
    if isinstance(error, Reject):
        return Rejected(failure("rejected", name, message))
    permanent = isinstance(error, handler.permanent)
    return Raised(failure("exception", name, message), permanent)


def _timed_out(handler: Handler) -> TimedOut:
    text = f"still running after {handler.timeout:g} s"
    return TimedOut(failure("timeout", "TimeoutError", text))


def _name(kind: type) -> str:
    plain = kind.__module__ in ("builtins", "__main__")
    return kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # not even this may end the loop
        return "(its message cannot be read)"


def _invalid(error: ValidationError) -> Failure:
    # Without the input: a payload is nobody's business but the handler's.
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg']}" for fault in faults]
    return failure("invalid_payload", "ValidationError", "; ".join(lines[:5]))
