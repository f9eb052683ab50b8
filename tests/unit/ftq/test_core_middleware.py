"""What may go around handlers and hear of events, and in which order."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable

import pytest

from ftq import Context, Next, NextSync, Registry, RegistryError
from ftq.events import EVENTS, Claimed, Dead, Event, Retrying
from ftq.middleware import Middleware
from ftq.registry import load


async def outer(context: Context, call: Next) -> object:
    return await call()


async def inner(context: Context, call: Next) -> object:
    return await call()


def in_thread(context: Context, call: NextSync) -> object:
    return call()


class Scope:
    async def __call__(self, context: Context, call: Next) -> object:
        return await call()


async def asynchronous(n: int) -> int:
    return n


def synchronous(n: int) -> int:
    return n


def around(registry: Registry, type_: str) -> list[object]:
    handler = registry.get(type_)
    assert handler is not None
    return list(handler.middleware)


def test_the_registrys_goes_around_the_handlers_own_whatever_was_said_first() -> None:
    registry, scope = Registry(), Scope()
    registry.middleware(outer)
    registry.handler("early", middleware=[inner])(asynchronous)
    registry.middleware(scope)
    registry.middleware(in_thread)
    registry.handler("late", middleware=[inner])(asynchronous)
    registry.handler("sync")(synchronous)
    assert around(registry, "early") == around(registry, "late") == [outer, scope, inner]
    assert around(registry, "sync") == [in_thread]


def yields(context: Context, call: NextSync) -> object:
    yield call()


def takes_one(context: Context) -> object:
    return context


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (7, "7: must be a function of (context, call)"),
        (takes_one, "takes_one: must take (context, call): too many positional arguments"),
        (yields, "yields: one with yield does not run when it is called"),
    ],
)
def test_what_cannot_be_middleware_is_refused(wrong: object, why: str) -> None:
    registry = Registry()
    with pytest.raises(RegistryError, match=re.escape(why)):
        registry.middleware(wrong)  # type: ignore[type-var]  # what a caller may do all the same


@pytest.mark.parametrize(
    ("function", "middleware", "why"),
    [
        (asynchronous, in_thread, "is sync, and goes around handlers that are; here it must be as"),
        (synchronous, outer, "is async, and goes around handlers that are; here it must be def"),
        (synchronous, Scope(), "Scope: is async"),
    ],
)
def test_a_handlers_own_must_be_of_its_kind(
    function: Callable[[int], object], middleware: Middleware, why: str
) -> None:
    with pytest.raises(RegistryError, match=why):
        Registry().handler("t", middleware=[middleware])(function)


def test_one_is_registered_once() -> None:
    registry = Registry()
    registry.middleware(outer)
    with pytest.raises(RegistryError, match=r"outer is registered already"):
        registry.middleware(outer)


def test_one_that_goes_around_nothing_is_refused_when_all_is_loaded() -> None:
    registry = Registry()
    registry.handler("sync")(synchronous)
    registry.middleware(outer)
    module = types.ModuleType("shop_of_middleware")
    setattr(module, "registry", registry)  # noqa: B010  # a module has no such attribute to mypy
    sys.modules[module.__name__] = module
    try:
        with pytest.raises(RegistryError, match=r"outer goes around no handler: an async one"):
            load(f"{module.__name__}:registry")
        registry.handler("async")(asynchronous)
        assert load(f"{module.__name__}:registry") is registry
    finally:
        del sys.modules[module.__name__]


def test_a_listener_hears_what_its_parameter_asks_for() -> None:
    registry = Registry()

    @registry.listen
    def one(event: Dead) -> None: ...

    @registry.listen
    async def two(event: Dead | Retrying) -> None: ...

    class Every:
        def __call__(self, event: Event) -> None: ...

    registry.listen(Every())
    assert [set(each.kinds) for each in registry.listeners] == [
        {Dead},
        {Dead, Retrying},
        set(EVENTS),
    ]


def bare(event): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201  # what is refused


def of_int(event: int) -> None: ...


def half(event: Dead | None) -> None: ...


def two(event: Dead, other: Claimed) -> None: ...


def unknown(event: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # is refused


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (bare, "bare: event: None: annotate it with a class of ftq.events"),
        (of_int, "of_int: event: int: annotate it"),
        (half, "half: event: ftq.events.Dead | None: annotate it"),
        (two, "two: must take (event)"),
        (unknown, "unknown: its annotations cannot be read: name 'Nowhere' is not defined"),
    ],
)
def test_what_cannot_be_a_listener_is_refused(wrong: Callable[[Event], None], why: str) -> None:
    with pytest.raises(RegistryError, match=re.escape(why)):
        Registry().listen(wrong)
