"""Where users register their handlers."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, ParamSpec, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from ftq.breaker import BreakerPolicy
from ftq.errors import RegistryError
from ftq.events import Event
from ftq.handler import DEFAULT_TIMEOUT, Errors, Handler, RunIn, check_type, declare
from ftq.listener import Listener, listener
from ftq.middleware import Middleware, is_async, name_of, of_kind
from ftq.middleware import check as check_middleware
from ftq.retry import RetryPolicy
from ftq.schedule import Missed, Schedule, check, next_after

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=Middleware)
E = TypeVar("E", bound=Event)


@dataclass(slots=True)
class Registry:
    """The handlers of one program, by type, and the policies of their breakers, by name."""

    _handlers: dict[str, Handler] = field(default_factory=dict)
    _schedules: list[Schedule] = field(default_factory=list)
    _breakers: dict[str, BreakerPolicy] = field(default_factory=dict)
    _middleware: list[Middleware] = field(default_factory=list)
    _listeners: list[Listener] = field(default_factory=list)

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
        queue: str = "",
        middleware: Iterable[Middleware] = (),
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
                Handlers that lean on one dependency share a name. `breaker` says when it opens.
            permanent: Exceptions after which the task is dead-lettered at once.
            run_in: ``loop`` for async functions; ``thread`` for sync ones, or ``process`` for
                those that compute, or that a timeout must be able to kill. None picks ``loop``
                or ``thread``.
            queue: The name that ``FTQ_QUEUES`` gives the queue for its tasks; the default queue
                if not said. A submission may say another.
            middleware: What goes around each attempt at it, the first one outermost, inside of
                the registry's own: see `middleware`.

        Raises:
            RegistryError: The declaration cannot work; the message says why.
        """
        check_type(type_)

        def register(function: Callable[P, R]) -> Callable[P, R]:
            self._add(
                declare(
                    type_, function, retry, timeout, breaker, permanent, run_in, queue, middleware
                )
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

    def breaker(self, name: str, policy: BreakerPolicy, /) -> None:
        """Say when a circuit breaker opens, for how long, and which errors count.

        Before or after the handlers that name it. A breaker of which nothing is said has the
        default `BreakerPolicy`.

        Args:
            name: The breaker, as handlers name it; a handler that names none has one that is
                called as its type.
            policy: When it opens.

        Raises:
            RegistryError: Another policy was declared for it, or these are no name and policy.
        """
        _check_breaker(name, policy)
        known = self._breakers.setdefault(name, policy)
        if known != policy:
            raise RegistryError(f"breaker {name!r} has a policy already: {known}, not {policy}")
        for type_, handler in self._handlers.items():
            if handler.breaker == name:
                self._handlers[type_] = replace(handler, breaker_policy=policy)

    def middleware(self, middleware: M, /) -> M:
        """Have each attempt run inside the decorated function: a session, a scope, a stopwatch.

        It is the attempt from then on: what it returns is the result, what it raises is why the
        attempt failed. An ``async def`` one goes around all async handlers of this registry, on
        the loop; a ``def`` one around all sync ones, in their thread or process. Said before or
        after the handlers; the first one is the outermost.

        Args:
            middleware: A function of ``(context, call)``, which are an `ftq.Context` and an
                `ftq.Next`, or an `ftq.NextSync`; or an object that is called as one.

        Raises:
            RegistryError: It cannot be one, or it is there already.
        """
        check_middleware(middleware)
        if middleware in self._middleware:
            raise RegistryError(f"middleware {name_of(middleware)} is registered already")
        kind = is_async(middleware)
        place = len(of_kind(self._middleware, of_async=kind))
        self._middleware.append(middleware)
        for type_, handler in self._handlers.items():
            if handler.is_async is kind:
                around = list(handler.middleware)
                around.insert(place, middleware)
                self._handlers[type_] = replace(handler, middleware=tuple(around))
        return middleware

    @property
    def idle_middleware(self) -> list[str]:
        """The middleware that goes around no handler, by name."""
        used = [each for handler in self for each in handler.middleware]
        return [name_of(each) for each in self._middleware if each not in used]

    def listen(self, function: Callable[[E], R], /) -> Callable[[E], R]:
        """Have the decorated function told of what daemons do, after it was done.

        It hears of what its parameter is annotated with: a class of `ftq.events`, several with
        ``|`` between, or ``ftq.events.Event`` for all. It is called beside the work, one event
        after the other: an async function on the loop, which it must not block, a sync one in a
        thread. What it raises is logged, and what it does not keep up with is dropped.

        Raises:
            RegistryError: It cannot be a listener; the message says why.
        """
        # It is only called with what it asks for.
        self._listeners.append(listener(cast("Callable[[Event], object]", function)))
        return function

    @property
    def listeners(self) -> Sequence[Listener]:
        """Who hears of events."""
        return self._listeners

    @property
    def idle_breakers(self) -> list[str]:
        """The breakers that were declared, and that no handler names."""
        named = {handler.breaker for handler in self}
        return [name for name in self._breakers if name not in named]

    def _add(self, handler: Handler) -> None:
        if handler.type in self._handlers:
            raise RegistryError(f"type {handler.type!r} has a handler already")
        policy = self._breakers.get(handler.breaker, handler.breaker_policy)
        around = (*of_kind(self._middleware, of_async=handler.is_async), *handler.middleware)
        self._handlers[handler.type] = replace(handler, breaker_policy=policy, middleware=around)

    def get(self, type_: str) -> Handler | None:
        """The handler of a type, or None."""
        return self._handlers.get(type_)

    def __iter__(self) -> Iterator[Handler]:
        """All handlers, in order of registration."""
        return iter(self._handlers.values())

    def __len__(self) -> int:
        """How many handlers there are."""
        return len(self._handlers)


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


def _check_breaker(name: object, policy: object) -> None:
    if not (isinstance(name, str) and name):
        raise RegistryError(f"breaker {name!r}: its name must be a text that is not empty")
    if not isinstance(policy, BreakerPolicy):
        raise RegistryError(f"breaker {name!r}: {policy!r}: must be an ftq.BreakerPolicy")


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
    _check_loaded(path, registry)
    return registry


def _check_loaded(path: str, registry: Registry) -> None:
    """What can only be seen once all is declared."""
    if idle := registry.idle_breakers:
        raise RegistryError(f"{path}: breaker {idle[0]!r} has a policy, but no handler names it")
    if unused := registry.idle_middleware:
        why = "goes around no handler: an async one needs async handlers, a sync one sync ones"
        raise RegistryError(f"{path}: middleware {unused[0]} {why}")
    for handler in registry:
        if handler.run_in == "process" and handler.function.__module__ == "__main__":
            why = "run_in='process': a function of the main program cannot be found from a child"
            raise RegistryError(f"{path}: {handler.type}: {why}; put it in a module")
        # A name that was not defined yet as the handler was declared must be by now.
        if not handler.payload.pydantic_complete and not handler.payload.rebuild(
            raise_errors=False
        ):
            raise RegistryError(f"{path}: {handler.type}: its payload names a type not defined")
