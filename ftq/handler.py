"""A handler: a function, and all that was said of it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pydantic import PydanticUserError, TypeAdapter

from ftq.breaker import BreakerPolicy
from ftq.context import Context
from ftq.errors import RegistryError
from ftq.limits import QUEUE_PATTERN, SQS_VISIBILITY_SECONDS, TYPE_PATTERN
from ftq.middleware import Middleware, check, is_async, name_of
from ftq.retry import RetryPolicy

Function: TypeAlias = Callable[..., object]
"""A handler's function, whatever it takes and gives."""
RunIn: TypeAlias = Literal["loop", "thread", "process"]
# A name of its own, for within `Handler` the word `type` is a field.
Errors: TypeAlias = tuple[type[Exception], ...]
DEFAULT_TIMEOUT: Final = 300.0
DEFAULT_BREAKER: Final = BreakerPolicy()


@dataclass(frozen=True, slots=True)
class Handler:
    """A function and all that was said of it.

    Attributes:
        type: The task type that it runs.
        function: The user's function.
        payload: Validates the payload into what the function's first parameter asks for.
        wants_context: Whether the function takes the context as its second parameter.
        run_in: ``loop`` for async functions, ``thread`` or ``process`` for the others.
        retry: Its retry policy.
        timeout: Seconds after which an attempt is cancelled.
        breaker: The name of the breaker that its attempts count for; '' for none.
        permanent: Exceptions that no further attempt can help.
        breaker_policy: When that breaker opens.
        queue: The name of the queue for its tasks, unless a submission says another; '' for the
            default one.
        middleware: What goes around each attempt, the first one outermost.
    """

    type: str
    function: Function
    payload: TypeAdapter[object]
    wants_context: bool
    run_in: RunIn
    retry: RetryPolicy
    timeout: float
    breaker: str
    permanent: Errors
    breaker_policy: BreakerPolicy = DEFAULT_BREAKER
    queue: str = ""
    middleware: tuple[Middleware, ...] = ()

    @property
    def is_async(self) -> bool:
        """Whether its function, and with it what goes around that, is async."""
        return self.run_in == "loop"


def declare(
    type_: str,
    function: Function,
    retry: RetryPolicy | None,
    timeout: float,
    breaker: str | Literal[False] | None,
    permanent: Errors,
    run_in: RunIn | None,
    queue: str,
    middleware: Iterable[Middleware] = (),
) -> Handler:
    """The handler, as `ftq.Registry.handler` describes it.

    Raises:
        RegistryError: The declaration cannot work; the message says why.
    """
    if not 0 < timeout <= SQS_VISIBILITY_SECONDS - 3600:
        # A claim can be renewed until 12 h after receipt; the last hour is for settling late.
        limit = SQS_VISIBILITY_SECONDS - 3600
        raise RegistryError(f"{type_}: timeout={timeout!r}: must be above 0 and at most {limit} s")
    _check_permanent(type_, permanent)
    _check_named(type_, breaker)
    if queue and not QUEUE_PATTERN.fullmatch(queue):
        raise RegistryError(f"{type_}: queue={queue!r}: must match {QUEUE_PATTERN.pattern}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise RegistryError(f"{type_}: a function with yield does not run when it is called")
    is_async_function = inspect.iscoroutinefunction(function)
    places: tuple[RunIn, ...] = ("loop",) if is_async_function else ("thread", "process")
    if run_in is not None and run_in not in places:
        kind = "an async" if is_async_function else "a sync"
        allowed = " or ".join(map(repr, places))
        raise RegistryError(f"{type_}: run_in={run_in!r}: {kind} function runs in {allowed}")
    around = tuple(middleware)
    for each in around:
        _check_around(type_, each, of_async=is_async_function)
    adapter, wants_context = _signature(type_, function)
    return Handler(
        type=type_,
        function=function,
        payload=adapter,
        wants_context=wants_context,
        run_in=run_in or places[0],
        retry=retry or RetryPolicy(),
        timeout=timeout,
        breaker=type_ if breaker is None else breaker or "",
        permanent=permanent,
        queue=queue,
        middleware=around,
    )


def check_type(type_: object) -> None:
    """See that this can be a task type.

    Raises:
        RegistryError: It cannot.
    """
    # Without the parentheses of @registry.handler("…") the function itself comes in here.
    if not (isinstance(type_, str) and TYPE_PATTERN.fullmatch(type_)):
        raise RegistryError(f"type {type_!r}: must match {TYPE_PATTERN.pattern}")


def _check_named(type_: str, breaker: object) -> None:
    if not (breaker is None or breaker is False or isinstance(breaker, str)):
        why = "must be a name or False; registry.breaker(name, policy) says when it opens"
        raise RegistryError(f"{type_}: breaker={breaker!r}: {why}")


def _check_around(type_: str, middleware: Middleware, *, of_async: bool) -> None:
    check(middleware, f"{type_}: middleware")
    if is_async(middleware) is not of_async:
        is_, must = ("sync", "async def") if of_async else ("async", "def")
        why = f"is {is_}, and goes around handlers that are; here it must be {must}"
        raise RegistryError(f"{type_}: middleware {name_of(middleware)}: {why}")


def _check_permanent(type_: str, permanent: object) -> None:
    fits = isinstance(permanent, tuple) and all(
        isinstance(each, type) and issubclass(each, Exception) for each in permanent
    )
    if not fits:
        raise RegistryError(
            f"{type_}: permanent={permanent!r}: must be a tuple of classes of exceptions"
        )


def _signature(type_: str, function: Function) -> tuple[TypeAdapter[object], bool]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
        hints = typing.get_type_hints(function, include_extras=True)
    except (TypeError, ValueError, NameError, AttributeError, SyntaxError) as error:
        raise RegistryError(f"{type_}: its annotations cannot be read: {error}") from error
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    fits = 1 <= len(parameters) <= 2 and all(each.kind in positional for each in parameters)
    if not fits:
        raise RegistryError(f"{type_}: must take (payload) or (payload, context)")
    first, second = parameters[0], parameters[1:]
    if first.name not in hints:
        raise RegistryError(f"{type_}: annotate {first.name!r} with the payload's type")
    if hints[first.name] is Context:
        raise RegistryError(f"{type_}: its first parameter is the payload, not the ftq.Context")
    if second and hints.get(second[0].name, Context) is not Context:
        raise RegistryError(f"{type_}: its second parameter is the ftq.Context")
    try:
        adapter: TypeAdapter[object] = TypeAdapter(hints[first.name])
    except PydanticUserError as error:
        raise RegistryError(f"{type_}: {error.message}") from error
    return adapter, bool(second)
