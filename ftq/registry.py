"""Where users register their handlers."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, ParamSpec, TypeAlias, TypeVar

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from ftq.context import Context
from ftq.errors import RegistryError
from ftq.limits import SQS_VISIBILITY_SECONDS, TYPE_PATTERN
from ftq.retry import RetryPolicy
from ftq.schedule import Missed, Schedule, check, next_after

P = ParamSpec("P")
R = TypeVar("R")

Function: TypeAlias = Callable[..., object]
"""A handler's function, whatever it takes and gives."""
RunIn: TypeAlias = Literal["loop", "thread", "process"]
# A name of its own, for within `Handler` the word `type` is a field.
Errors: TypeAlias = tuple[type[Exception], ...]
DEFAULT_TIMEOUT: Final = 300.0


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


@dataclass(slots=True)
class Registry:
    """The handlers of one program, by type."""

    _handlers: dict[str, Handler] = field(default_factory=dict)
    _schedules: list[Schedule] = field(default_factory=list)

    def handler(
        self,
        type_: str,
        /,
        *,
        retry: RetryPolicy | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        breaker: str | Literal[False] | None = None,
        permanent: Errors = (),
        run_in: RunIn | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Register the decorated function as the handler of a task type.

        The function takes the payload, annotated with anything pydantic can validate (a
        `BaseModel`, a dataclass, ``dict[str, int]``), and the `Context` as an optional second
        parameter. What it returns is the task's result.

        Args:
            type_: The task type.
            retry: When it is tried again; three attempts if None.
            timeout: Seconds after which an attempt is cancelled and counts as failed.
            breaker: Name of the circuit breaker; the type itself if None, no breaker if False.
                Handlers that lean on one dependency share a name.
            permanent: Exceptions after which the task is dead-lettered at once.
            run_in: ``loop`` for async functions; ``thread`` for sync ones, or ``process`` for
                those that compute, or that a timeout must be able to kill. None picks ``loop``
                or ``thread``.

        Raises:
            RegistryError: The declaration cannot work; the message says why.
        """
        _check_type(type_)

        def register(function: Callable[P, R]) -> Callable[P, R]:
            self._add(
                _declare(type_, function, retry, timeout, breaker, permanent, run_in),
            )
            return function

        return register

    def every(
        self,
        cron: str,
        /,
        *,
        zone: str = "UTC",
        payload: object = None,
        missed: Missed = "latest",
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Have the decorated handler's task submitted by the clock; stands above `handler`.

        Each tick is one task in the whole fleet, however many daemons there are. A schedule
        begins when a daemon first sees it, and is a new one when its expression, zone or payload
        changes.

        Args:
            cron: Minute, hour, day of month, month and day of week, as in crontab(5).
            zone: The time zone in which that is meant, by its IANA name.
            payload: The payload of each task; a `Tick` if None.
            missed: What is made up for when no daemon was there at the time: the ``latest`` of
                the ticks that were missed, ``all`` of them (the latest 100), or none (``skip``).

        Raises:
            RegistryError: It cannot work; the message says why.
        """

        def register(function: Callable[P, R]) -> Callable[P, R]:
            handler = next((each for each in self if each.function is function), None)
            if handler is None:
                raise RegistryError(f"every {cron!r}: put it above @registry.handler(…)")
            self._schedules.append(_schedule(handler, cron, zone, payload, missed))
            return function

        return register

    @property
    def schedules(self) -> Sequence[Schedule]:
        """What is submitted by the clock."""
        return self._schedules

    def _add(self, handler: Handler) -> None:
        if handler.type in self._handlers:
            raise RegistryError(f"type {handler.type!r} has a handler already")
        self._handlers[handler.type] = handler

    def get(self, type_: str) -> Handler | None:
        """The handler of a type, or None."""
        return self._handlers.get(type_)

    def __iter__(self) -> Iterator[Handler]:
        """All handlers, in order of registration."""
        return iter(self._handlers.values())

    def __len__(self) -> int:
        """How many handlers there are."""
        return len(self._handlers)


def _declare(
    type_: str,
    function: Function,
    retry: RetryPolicy | None,
    timeout: float,
    breaker: str | Literal[False] | None,
    permanent: Errors,
    run_in: RunIn | None,
) -> Handler:
    if not 0 < timeout <= SQS_VISIBILITY_SECONDS - 3600:
        # A claim can be renewed until 12 h after receipt; the last hour is for settling late.
        limit = SQS_VISIBILITY_SECONDS - 3600
        raise RegistryError(f"{type_}: timeout={timeout!r}: must be above 0 and at most {limit} s")
    _check_permanent(type_, permanent)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise RegistryError(f"{type_}: a function with yield does not run when it is called")
    is_async = inspect.iscoroutinefunction(function)
    places: tuple[RunIn, ...] = ("loop",) if is_async else ("thread", "process")
    if run_in is not None and run_in not in places:
        kind = "an async" if is_async else "a sync"
        allowed = " or ".join(map(repr, places))
        raise RegistryError(f"{type_}: run_in={run_in!r}: {kind} function runs in {allowed}")
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
    )


def _schedule(handler: Handler, cron: str, zone: str, payload: object, missed: Missed) -> Schedule:
    text = None
    if payload is not None:
        try:
            text = to_json(payload).decode()
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise RegistryError(f"{handler.type}: every {cron!r}: payload: {error}") from error
    schedule = Schedule(handler.type, cron, zone, missed, text)
    check(schedule)
    try:
        handler.payload.validate_json(schedule.payload_at(next_after(schedule, 0)))
    except ValidationError as error:
        where = "its payload" if payload is not None else "an ftq.Tick (give a payload otherwise)"
        why = f"the handler does not take {where}: {error.errors()[0]['msg']}"
        raise RegistryError(f"{handler.type}: every {cron!r}: {why}") from None
    return schedule


def _check_type(type_: object) -> None:
    # Without the parentheses of @registry.handler("…") the function itself comes in here.
    if not (isinstance(type_, str) and TYPE_PATTERN.fullmatch(type_)):
        raise RegistryError(f"type {type_!r}: must match {TYPE_PATTERN.pattern}")


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


def load(path: str) -> Registry:
    """The registry that a setting such as ``shop.tasks:registry`` names.

    Raises:
        RegistryError: There is no such module or attribute, the module cannot be imported, or
            what it names is no Registry.
    """
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise RegistryError(f"{path}: there is no module {missing!r}") from error
        raise RegistryError(f"{path}: {module_name} needs {missing!r}, not found") from error
    except RegistryError:  # a declaration in it; the message says which
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise RegistryError(f"{path}: {module_name} cannot be imported: {why}") from error
    registry: object = getattr(module, attribute, None)
    if registry is None:
        raise RegistryError(f"{path}: {module_name} has no {attribute!r}")
    if not isinstance(registry, Registry):
        kind = type(registry).__name__
        raise RegistryError(f"{path}: {attribute} is a {kind}, not an ftq.Registry")
    for handler in registry:
        if handler.run_in == "process" and handler.function.__module__ == "__main__":
            why = "run_in='process': a function of the main program cannot be found from a child"
            raise RegistryError(f"{path}: {handler.type}: {why}; put it in a module")
        # A name that was not defined yet as the handler was declared must be by now.
        if not handler.payload.pydantic_complete and not handler.payload.rebuild(
            raise_errors=False
        ):
            raise RegistryError(f"{path}: {handler.type}: its payload names a type not defined")
    return registry
