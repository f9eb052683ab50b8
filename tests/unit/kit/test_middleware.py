"""What goes around attempts, in tests of one's own as in the daemon: it is its code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import pytest

from ftq import Context, Next, NextSync, Registry, Reject, Retry
from ftq.lifecycle import State
from ftq.testing import Harness, assert_idempotent, run

Start = Callable[[Registry], Harness]
tenant: ContextVar[str] = ContextVar("tenant")


@dataclass
class Shop:
    """A registry of both kinds, whose middleware writes down what goes through it."""

    registry: Registry = field(default_factory=Registry)
    seen: list[str] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        registry = self.registry
        registry.middleware(self.outer)
        registry.middleware(self.sync)

        @registry.handler("async", middleware=[self.inner], permanent=(KeyError,), timeout=60)
        async def asynchronous(wish: str, context: Context) -> str:
            self.seen.append("handler")
            if wish == "slow":
                await asyncio.sleep(600)
            if wish == "bad":
                raise ValueError("no luck")
            return f"{wish} of {tenant.get()}"

        def synchronous(wish: str, context: Context) -> str:
            self.threads.add(threading.get_ident())
            return f"{wish} of {tenant.get()}"

        registry.handler("thread")(synchronous)
        registry.handler("process", run_in="process")(synchronous)

    async def outer(self, context: Context, call: Next) -> object:
        with self.noted("outer"), setting(context.tenant):
            return await call()

    async def inner(self, context: Context, call: Next) -> object:
        with self.noted("inner"):
            return await call()

    def sync(self, context: Context, call: NextSync) -> object:
        self.threads.add(threading.get_ident())
        with self.noted("sync"), setting(context.tenant):
            return call()

    @contextmanager
    def noted(self, name: str) -> Iterator[None]:
        self.seen.append(f"> {name}")
        try:
            yield
        except BaseException as error:
            self.seen.append(f"{name} sees {type(error).__name__}")
            raise
        finally:
            self.seen.append(f"< {name}")


@contextmanager
def setting(name: str) -> Iterator[None]:
    token = tenant.set(name)
    try:
        yield
    finally:
        tenant.reset(token)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_the_first_is_the_outermost_and_what_they_set_the_handler_sees(shop: Shop) -> None:
    ran = run("async", "one", registry=shop.registry, tenant="acme")
    assert ran.result == "one of acme"
    assert shop.seen == ["> outer", "> inner", "handler", "< inner", "< outer"]


@pytest.mark.parametrize(("wish", "error"), [("slow", "CancelledError"), ("bad", "ValueError")])
def test_what_ends_the_handler_comes_by_them(shop: Shop, wish: str, error: str) -> None:
    ran = run("async", wish, registry=shop.registry)
    assert ran.word == ("timed_out" if wish == "slow" else "failed")
    assert shop.seen[3:] == [f"inner sees {error}", "< inner", f"outer sees {error}", "< outer"]


def test_a_payload_that_does_not_fit_comes_by_none(shop: Shop) -> None:
    assert run("async", 7, registry=shop.registry).word == "invalid_payload"
    assert shop.seen == []


def test_the_engine_runs_them_around_handlers_of_every_kind(shop: Shop, ftq_harness: Start) -> None:
    harness = ftq_harness(shop.registry)
    ids = [harness.submit(each.type, "one", tenant="acme") for each in shop.registry]
    harness.drain()
    assert [harness.task(each).result for each in ids] == ['"one of acme"'] * 3
    assert (shop.seen.count("> sync"), shop.seen.count("> outer")) == (2, 1)
    # Each sync handler ran where its middleware did.
    assert len(shop.threads) == 2


def wrapped(middleware: Callable[[Context, Next], object]) -> Registry:
    registry = Registry()

    @registry.handler("one", permanent=(KeyError,))
    async def one(n: int) -> int:
        return n

    registry.middleware(middleware)  # type: ignore[type-var]  # async ones, said loosely
    return registry


@pytest.mark.parametrize(
    ("error", "word", "state"),
    [
        (Retry(after=5, counts=False), "asked_retry", State.RETRYING),
        (Reject("no"), "rejected", State.DEAD),
        (KeyError("k"), "failed", State.DEAD),
        (ValueError("v"), "failed", State.RETRYING),
    ],
)
def test_what_they_raise_is_read_as_if_the_handler_had_raised_it(
    error: Exception, word: str, state: State
) -> None:
    async def raises(context: Context, call: Next) -> object:
        await call()
        raise error

    ran = run("one", 1, registry=wrapped(raises))
    assert (ran.word, ran.state) == (word, state)


def test_one_that_does_not_call_on_gives_the_result() -> None:
    async def cached(context: Context, call: Next) -> object:
        return {"cached": True}

    assert run("one", 1, registry=wrapped(cached)).result == {"cached": True}


def test_one_may_make_another_result_of_it() -> None:
    async def doubled(context: Context, call: Next) -> object:
        value = await call()
        return [value, value]

    assert run("one", 1, registry=wrapped(doubled)).result == [1, 1]


def test_calling_on_twice_is_an_error_that_names_who_did() -> None:
    async def stubborn(context: Context, call: Next) -> object:
        await call()
        return await call()

    failure = run("one", 1, registry=wrapped(stubborn)).failure
    assert failure is not None
    assert failure.class_name == "RuntimeError"
    assert failure.message.endswith("stubborn ran its attempt a second time")


def test_middleware_is_killed_at_its_lines_too() -> None:
    registry, rows, seen = Registry(), list[str](), list[str]()

    @registry.handler("row")
    async def row(name: str) -> None:
        if name not in seen:
            seen.append(name)

    @registry.middleware
    async def counted(context: Context, call: Next) -> object:
        value = await call()
        rows.append("one more")
        return value

    def reset() -> None:
        rows.clear()
        seen.clear()

    def check(effects: list[str]) -> None:
        assert_idempotent(row, "a", registry=registry, effects=lambda: effects, reset=reset)

    check(seen)
    with pytest.raises(AssertionError, match="delivered a second time"):
        check(rows)

    @registry.middleware
    async def once(context: Context, call: Next) -> object:
        if "once" not in rows:
            seen.append("effect")
            rows.append("once")
        return await call()

    with pytest.raises(AssertionError, match=r'killed before line \d+, `rows.append\("once"\)`'):
        check(seen)
