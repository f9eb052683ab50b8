"""What users put around attempts: functions that get the context, and the rest of the attempt.

Async ones go around async handlers, on the loop; sync ones around sync handlers, in their thread or
process. There is no third way: what blocks must not run on the loop, and what a thread opened is
often good in that thread only.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Protocol, TypeAlias, cast

from ftq.context import Context
from ftq.errors import RegistryError


class Next(Protocol):
    """The rest of an attempt, for an async middleware to await: once, and it gives the result."""

    def __call__(self) -> Awaitable[object]:
        """Run it.

        Raises:
            RuntimeError: It was called before.
        """


class NextSync(Protocol):
    """The rest of an attempt, for a sync middleware to call: once, and it returns the result."""

    def __call__(self) -> object:
        """Run it.

        Raises:
            RuntimeError: It was called before.
        """


AsyncMiddleware: TypeAlias = Callable[[Context, Next], Awaitable[object]]
"""Goes around async handlers."""
SyncMiddleware: TypeAlias = Callable[[Context, NextSync], object]
"""Goes around sync handlers."""
Middleware: TypeAlias = AsyncMiddleware | SyncMiddleware
Work: TypeAlias = "partial[object]"
"""A handler's function with all that it is called with."""


def is_async(function: object) -> bool:
    """Whether this is an ``async def``, or an object that is called as one.

    A middleware that is goes around async handlers, one that is not around sync ones.
    """
    return any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))


def check(middleware: Middleware, whose: str = "middleware") -> None:
    """See that this can be a middleware.

    Args:
        middleware: What was given.
        whose: What the message begins with.

    Raises:
        RegistryError: It cannot.
    """
    if not callable(middleware):
        raise RegistryError(f"{whose} {middleware!r}: must be a function of (context, call)")
    name = name_of(middleware)
    if inspect.isgeneratorfunction(middleware) or inspect.isasyncgenfunction(middleware):
        raise RegistryError(f"{whose} {name}: one with yield does not run when it is called")
    try:
        inspect.signature(middleware).bind(None, None)
    except (TypeError, ValueError) as error:
        raise RegistryError(f"{whose} {name}: must take (context, call): {error}") from None


def wrap(middleware: Sequence[Middleware], context: Context, work: Work) -> Work:
    """The work of an attempt with middleware around it, the first one outermost."""
    for each in reversed(middleware):
        # All are of the handler's kind: around what gives an awaitable is what wants one.
        around = cast("SyncMiddleware", each)
        work = partial(around, context, _Once(work, each))
    return work


def of_kind(several: Iterable[Middleware], *, of_async: bool) -> tuple[Middleware, ...]:
    """Those of them that go around async handlers, or those that go around sync ones."""
    return tuple(each for each in several if is_async(each) is of_async)


def name_of(function: object) -> str:
    """What people call a function, or an object that is called as one."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{getattr(named, '__qualname__', named)}"


class _Once:
    """The rest of an attempt: a handler must not run twice under one claim."""

    __slots__ = ("_by", "_work")

    def __init__(self, work: Work, by: Middleware) -> None:
        self._work: Work | None = work
        self._by = by

    def __call__(self) -> object:
        work, self._work = self._work, None
        if work is None:
            raise RuntimeError(f"{name_of(self._by)} ran its attempt a second time")
        return work()
