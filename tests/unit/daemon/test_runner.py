"""Every way a handler can end becomes an outcome, and none of them harms the daemon."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel

from ftq import Context, Registry, Reject, Retry
from ftq.context import Signals
from ftq.handler import Handler
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
from ftq.testing import outside_work
from ftq.testing.clock import run
from ftq_daemon.children.child import Child, NoChild
from ftq_daemon.children.pool import Children
from ftq_daemon.runner import Attempt, Runner


async def _none() -> Child:
    raise NoChild("not here")


NONE = Children(_none, 1, keep=True)

Ending = Interrupted | CancelAsked | Lost


class Order(BaseModel):
    n: int = 0


@dataclass
class Run:
    outcome: Outcome
    left: bool
    runner: Runner
    signals: Signals


def the(registry: Registry) -> Handler:
    (handler,) = registry
    return handler


async def _report(_: str) -> None:
    return None


def attempt(
    handler: Handler, payload: str = "{}", *, end: Ending | None = None, after: float = 1.0
) -> Run:
    """Run a handler once; `end` is told to it after so many seconds."""

    async def main() -> Run:
        runner, under_way = Runner(5, NONE, NONE), Attempt()
        context = Context("t", handler.type, 1, 1, 0.0, "c", "", under_way.signals, _report)
        if end is not None:
            asyncio.get_running_loop().call_later(after, under_way.end, end)
        with outside_work() if handler.run_in == "thread" else nullcontext():
            outcome, left = await runner.run(handler, payload, context, under_way)
        return Run(outcome, left, runner, under_way.signals)

    return run(main, limit_seconds=3600)


def raising(error: BaseException, permanent: tuple[type[Exception], ...] = ()) -> Handler:
    registry = Registry()

    @registry.handler("raises", permanent=permanent)
    async def raises(_: Order) -> None:
        raise error

    return the(registry)


def returning(value: object) -> Handler:
    registry = Registry()

    @registry.handler("returns")
    async def returns(_: Order) -> object:
        return value

    return the(registry)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ({"b": 1, "a": [True]}, '{"b":1,"a":[true]}'),
        (Order(n=3), '{"n":3}'),
        (datetime(2026, 1, 2, tzinfo=UTC), '"2026-01-02T00:00:00Z"'),
        (float("nan"), "null"),
        ("ä", '"ä"'),
    ],
)
def test_what_a_handler_returns_becomes_json(value: object, text: str) -> None:
    assert attempt(returning(value)).outcome == Returned(text)


@pytest.mark.parametrize(
    ("value", "name"),
    [(object(), "ResultNotJson"), ("\ud800", "ResultNotJson"), ("x" * 32_767, "ResultTooLarge")],
)
def test_a_result_that_cannot_be_kept_is_a_permanent_failure(value: object, name: str) -> None:
    outcome = attempt(returning(value)).outcome
    assert isinstance(outcome, Raised)
    assert outcome.permanent
    assert outcome.failure.class_name == name


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


@pytest.mark.parametrize(
    ("error", "name", "message"),
    [
        (ValueError("no"), "ValueError", "no"),
        (asyncio.CancelledError(), "CancelledError", "the handler cancelled itself"),
        (SystemExit(3), "SystemExit", "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (Mute(), f"{__name__}.Mute", "(its message cannot be read)"),
    ],
)
def test_what_a_handler_raises_becomes_a_failure(
    error: BaseException, name: str, message: str
) -> None:
    outcome = attempt(raising(error)).outcome
    assert isinstance(outcome, Raised)
    assert not outcome.permanent
    assert (outcome.failure.class_name, outcome.failure.message) == (name, message)


def test_the_exceptions_that_a_handler_lists_are_permanent_with_their_subclasses() -> None:
    outcome = attempt(raising(KeyError("k"), permanent=(LookupError,))).outcome
    assert isinstance(outcome, Raised)
    assert outcome.permanent


def test_retry_and_reject_are_wishes_and_not_failures() -> None:
    asked = attempt(raising(Retry(after=7, counts=False))).outcome
    assert isinstance(asked, AskedRetry)
    assert (asked.after, asked.counts) == (7, False)
    assert isinstance(attempt(raising(Reject("no"))).outcome, Rejected)


def test_an_invalid_payload_is_told_by_field_and_without_its_content() -> None:
    outcome = attempt(returning(None), '{"n": "secret"}').outcome
    assert isinstance(outcome, Invalid)
    assert outcome.failure.message.startswith("n: ")
    assert "secret" not in outcome.failure.message


def sleeping(sleep: Callable[[], Awaitable[object]], timeout: float = 10) -> Handler:
    registry = Registry()

    @registry.handler("sleeps", timeout=timeout)
    async def sleeps(_: Order) -> str:
        await sleep()
        return "woke"

    return the(registry)


def test_a_handler_past_its_deadline_has_timed_out() -> None:
    run = attempt(sleeping(lambda: asyncio.sleep(100)))
    assert isinstance(run.outcome, TimedOut)
    assert run.outcome.failure.message == "still running after 10 s"
    assert not run.left


@pytest.mark.parametrize("end", [Interrupted(), CancelAsked(), Lost()])
def test_a_handler_that_is_told_to_end_is_cancelled_and_the_reason_stands(end: Ending) -> None:
    run = attempt(sleeping(lambda: asyncio.sleep(100)), end=end)
    assert run.outcome == end
    assert not run.left
    assert run.signals.lost is isinstance(end, Lost)


async def _finishing() -> None:
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError:
        await asyncio.sleep(1)


def test_a_handler_that_finishes_its_work_when_told_to_stop_has_succeeded() -> None:
    assert attempt(sleeping(_finishing), end=Interrupted()).outcome == Returned('"woke"')
    assert attempt(sleeping(_finishing), end=Lost()).outcome == Lost()


async def _failing_cleanup() -> None:
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError:
        raise ValueError("while cleaning up") from None


def test_an_error_while_being_interrupted_is_no_failure_of_the_task() -> None:
    assert attempt(sleeping(_failing_cleanup), end=Interrupted()).outcome == Interrupted()


def threaded(work: Callable[[], object], timeout: float = 10) -> Handler:
    registry = Registry()

    @registry.handler("sync", timeout=timeout)
    def sync(_: Order) -> object:
        return work()

    return the(registry)


def test_a_sync_handler_runs_in_a_thread_of_its_own_with_the_callers_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("v", default="unset")
    variable.set("seen")
    here = threading.get_ident()
    outcome = attempt(threaded(lambda: [variable.get(), threading.get_ident() != here])).outcome
    assert outcome == Returned('["seen",true]')


@pytest.mark.parametrize("error", [ValueError("v"), StopIteration("s"), SystemExit("x")])
def test_what_a_thread_raises_becomes_a_failure(error: BaseException) -> None:
    def work() -> None:
        raise error

    outcome = attempt(threaded(work)).outcome
    assert isinstance(outcome, Raised)
    assert outcome.failure.class_name == type(error).__name__


def test_a_thread_that_does_not_end_is_left_behind_and_told_that_its_claim_is_lost() -> None:
    release = threading.Event()
    registry = Registry()
    seen: list[bool] = []

    @registry.handler("stuck", timeout=0.01)
    def stuck(_: Order, context: Context) -> None:
        release.wait(30)
        seen.append(context.lost)

    async def main() -> None:
        runner, under_way = Runner(0.01, NONE, NONE), Attempt()
        context = Context("t", "stuck", 1, 1, 0.0, "c", "", under_way.signals, _report)
        with outside_work():
            outcome, left = await runner.run(the(registry), "{}", context, under_way)
            assert isinstance(outcome, TimedOut)
            assert left
            (behind,) = runner.left_behind
            release.set()
            await behind
        assert seen == [True]
        await asyncio.sleep(0)
        assert not runner.left_behind

    run(main, limit_seconds=60)
