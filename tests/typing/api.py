"""The handler decorator as users write it: only mypy reads this, nothing runs it.

Each `assert_type` says what a checker must see; each silenced line says what it must refuse, for
mypy complains of an ignore that is not needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypedDict, assert_type

from pydantic import BaseModel

from ftq import (
    BreakerPolicy,
    Context,
    Handler,
    Next,
    NextSync,
    Registry,
    Reject,
    Retry,
    RetryPolicy,
)
from ftq.events import Dead, Event, Retrying

registry = Registry()


class Email(BaseModel):
    """A payload as a model."""

    to: str
    subject: str = ""


@dataclass
class Point:
    """A payload as a dataclass."""

    x: int


class Pair(TypedDict):
    """A payload as a typed dictionary."""

    left: int


# --- the four shapes of a handler --------------------------------------------------------------


@registry.handler("async.context")
async def async_with_context(email: Email, context: Context) -> dict[str, int]:
    """Async, with the context."""
    await context.progress({"half": True})
    return {"attempt": context.attempt}


@registry.handler("async.bare")
async def async_without_context(email: Email) -> None:
    """Async, without."""


@registry.handler("sync.context")
def sync_with_context(point: Point, context: Context) -> int:
    """Sync, with the context."""
    assert_type(context.stopping, bool)
    assert_type(context.lost, bool)
    assert_type(context.deadline, float)
    return context.claim_no


@registry.handler("sync.bare")
def sync_without_context(pair: Pair) -> str:
    """Sync, without."""
    return str(pair["left"])


async def calls() -> None:
    """What is decorated is called as it was written: nothing is lost and nothing added."""
    context = the_context()
    assert_type(await async_with_context(Email(to="a"), context), dict[str, int])
    assert_type(await async_with_context(email=Email(to="a"), context=context), dict[str, int])
    await async_without_context(Email(to="a"))
    assert_type(sync_with_context(Point(1), context), int)
    assert_type(sync_without_context({"left": 1}), str)

    await takes_async(async_with_context)
    takes_sync(sync_without_context)


async def takes_async(function: Callable[[Email, Context], Awaitable[dict[str, int]]]) -> None:
    """Something that wants a function of just this type."""


def takes_sync(function: Callable[[Pair], str]) -> None:
    """Something that wants a function of just this type."""


def the_context() -> Context:
    """A context from somewhere."""
    raise NotImplementedError


async def wrong_calls(context: Context) -> None:
    """What a checker must refuse in the callers of handlers."""
    await async_with_context(Email(to="a"))  # type: ignore[call-arg]  # the context is missing
    await async_without_context(Point(1))  # type: ignore[arg-type]  # that is another payload
    sync_with_context(Point(1), 7)  # type: ignore[arg-type]  # seven is no context
    sync_without_context({"right": 1})  # type: ignore[typeddict-item]  # there is no such key


# --- what may be said of a handler -------------------------------------------------------------


@registry.handler(
    "all.said",
    retry=RetryPolicy(attempts=5, base=1, cap=300),
    timeout=30,
    breaker="smtp",
    permanent=(KeyError, ValueError),
    run_in="thread",
)
def all_said(values: list[int]) -> None:
    """Everything said."""
    if not values:
        raise Reject("there is nothing to do")
    raise Retry(after=1.5, counts=False, reason="later")


registry.breaker("smtp", BreakerPolicy(counts=(ConnectionError, TimeoutError)))


def is_network(kind: type[BaseException]) -> bool:
    """Which errors a breaker counts, as a function."""
    return issubclass(kind, OSError)


BreakerPolicy(window=60, minimum=5, failures=5, rate=0.5, in_a_row=3, tasks=2, base=1, cap=60)
BreakerPolicy(counts=is_network)
BreakerPolicy(counts=lambda kind: kind is not KeyError)


@registry.handler("computes", run_in="process")
def computes(values: list[int]) -> int:
    """Runs in a process."""
    return sum(values)


class Mailer:
    """Handlers may be methods of an object that was wired up before."""

    async def send(self, email: Email, context: Context) -> bool:
        """A handler."""
        return True


async def wire(mailer: Mailer) -> None:
    """A method is registered without the decorator's syntax, and keeps its type too."""
    send = registry.handler("mailer.send")(mailer.send)
    assert_type(await send(Email(to="a"), the_context()), bool)


def wrong_declarations() -> None:
    """What a checker must refuse in declarations."""
    registry.handler(7)  # type: ignore[arg-type]  # a type is a text
    registry.handler(sync_without_context)  # type: ignore[arg-type]  # without its parentheses
    registry.handler("a", run_in="moon")  # type: ignore[arg-type]  # nothing runs there
    registry.handler("a", retry=3)  # type: ignore[arg-type]  # a policy, not a number
    registry.handler("a", permanent=(KeyboardInterrupt,))  # type: ignore[arg-type]  # is no Exception
    registry.handler("a", breaker=BreakerPolicy())  # type: ignore[arg-type]  # a name, no policy
    registry.breaker("smtp", 7)  # type: ignore[arg-type]  # a policy, not a number
    BreakerPolicy(counts=ConnectionError("x"))  # type: ignore[arg-type]  # classes, in a tuple
    registry.handler("a", "b")  # type: ignore[call-arg, arg-type]  # what follows the type is named
    registry.handler(type_="a")  # type: ignore[call-arg]  # and the type is not


def lookups() -> None:
    """What comes back out of a registry."""
    assert_type(registry.get("a"), Handler | None)
    for handler in registry:
        assert_type(handler, Handler)
        assert_type(handler.timeout, float)
    assert_type(len(registry), int)


# --- middleware and listeners ------------------------------------------------------------------


@registry.middleware
async def in_session(context: Context, call: Next) -> object:
    """Goes around async handlers."""
    assert_type(context.tenant, str)
    return assert_type(await call(), object)


@registry.middleware
def in_transaction(context: Context, call: NextSync) -> object:
    """Goes around sync handlers."""
    return assert_type(call(), object)


class Scope:
    """An object that is called as a middleware."""

    async def __call__(self, context: Context, call: Next) -> object:
        """Goes around async handlers."""
        return await call()


@registry.handler("with.its.own", middleware=[Scope(), in_session])
async def with_its_own(email: Email) -> str:
    """With middleware of its own: what it gives back is still what it says."""
    return email.to


@registry.listen
async def page(event: Dead | Retrying) -> None:
    """Hears of two kinds of events."""
    assert_type(event.task.tenant, str)
    assert_type(event.failure.message, str)


@registry.listen
def everything(event: Event) -> int:
    """Hears of all; what it returns is nobody's business."""
    return len(event.name)


async def their_names() -> None:
    """What is decorated is called as it was written."""
    assert_type(await with_its_own(Email(to="a")), str)
    assert_type(await in_session(context=the_context(), call=the_rest()), object)
    assert_type(in_transaction(the_context(), lambda: 7), object)


def the_rest() -> Next:
    """The rest of an attempt from somewhere."""
    raise NotImplementedError


def wrong_middleware() -> None:
    """What a checker must refuse around handlers, and of listeners."""
    registry.middleware(7)  # type: ignore[type-var]  # nothing that can be called
    registry.middleware(sync_without_context)  # type: ignore[type-var]  # takes a payload
    registry.handler("a", middleware=in_session)  # type: ignore[arg-type]  # several, in a list
    registry.handler("a", middleware=[the_context])  # type: ignore[list-item]  # takes nothing
    registry.listen(all_said)  # type: ignore[type-var]  # hears of lists


async def not_awaited(context: Context, call: Next) -> object:
    """The rest of an async handler's attempt has to be awaited."""
    call()  # type: ignore[unused-awaitable]  # it would never run
    return None
