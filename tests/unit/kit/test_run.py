"""One attempt at a handler, as users try it."""

from __future__ import annotations

import asyncio
import time

import pytest
from pydantic import BaseModel

import ftq_testing.plugin
from ftq import Context, Registry, RegistryError, Reject, Retry, RetryPolicy
from ftq.lifecycle import State
from ftq.testing import run
from ftq.text import Json


class Number(BaseModel):
    n: int = 0


registry = Registry()


@registry.handler("double", retry=RetryPolicy(attempts=2), permanent=(KeyError,), timeout=60)
async def double(number: Number, context: Context) -> dict[str, Json]:
    if number.n < 0:
        raise Retry(after=7.5)
    if number.n == 13:
        raise Reject("unlucky")
    if number.n == 14:
        raise KeyError(number.n)
    if number.n == 15:
        raise ValueError("no luck")
    await context.progress("half")
    await asyncio.sleep(number.n)
    return {"n": number.n * 2, "tenant": context.tenant, "claim_no": context.claim_no}


@registry.handler("sync", run_in="process")
def sync(number: Number, context: Context) -> int:
    _ = context.progress(number.n)
    if context.stopping:
        raise Retry(counts=False)
    if number.n == 1:
        raise SystemExit(3)
    return number.n


def test_an_attempt_that_returns_has_a_result_and_progress() -> None:
    ran = run(double, Number(n=4), claim_no=7, tenant="acme")
    assert ran.result == {"n": 8, "tenant": "acme", "claim_no": 7}
    assert (ran.word, ran.state, ran.progress) == ("succeeded", State.SUCCEEDED, ("half",))
    assert (ran.failure, ran.retry_after) == (None, None)


@pytest.mark.parametrize(
    ("n", "attempt", "word", "state"),
    [
        (-1, 1, "asked_retry", State.RETRYING),
        (13, 1, "rejected", State.DEAD),
        (14, 1, "failed", State.DEAD),
        (15, 1, "failed", State.RETRYING),
        (15, 2, "failed", State.DEAD),
        (59, 1, "succeeded", State.SUCCEEDED),
        (61, 1, "timed_out", State.RETRYING),
    ],
)
def test_an_attempt_ends_as_the_options_of_its_handler_say(
    n: int, attempt: int, word: str, state: State
) -> None:
    ran = run("double", {"n": n}, registry=registry, attempt=attempt)
    assert (ran.word, ran.state) == (word, state)


def test_a_retry_says_after_how_long() -> None:
    assert run(double, Number(n=-1)).retry_after == 7.5


def test_sleeps_and_timeouts_take_no_time() -> None:
    began = time.monotonic()
    assert run(double, Number(n=100_000)).word == "timed_out"
    assert time.monotonic() - began < 5


def test_a_result_that_is_not_there_says_why() -> None:
    with pytest.raises(AssertionError, match=r"test failed: ValueError: no luck"):
        _ = run(double, Number(n=15)).result


def test_a_payload_that_does_not_fit_is_an_outcome() -> None:
    ran = run("double", {"n": "x"}, registry=registry)
    assert (ran.word, ran.state) == ("invalid_payload", State.DEAD)
    assert ran.failure is not None
    assert ran.failure.message.startswith("n: ")


def test_a_sync_handler_is_called_where_it_stands() -> None:
    assert run(sync, Number(n=3)).progress == (3,)
    assert run(sync, Number(n=1)).failure is not None
    assert run(sync, Number(), stopping=True).state is State.RETRYING


async def test_an_async_test_may_run_an_attempt_too() -> None:
    assert run(double, Number(n=4)).word == "succeeded"
    assert run(sync, Number()).result == 0


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(RegistryError, match="give the registry"):
        run("double")
    with pytest.raises(RegistryError, match=r"needed for triple; the registry has none"):
        run("triple", registry=registry)
    with pytest.raises(TypeError, match="a context has no tennant"):
        run(double, Number(), tennant="acme")  # type: ignore[call-overload]  # that is the point


def test_pytest_has_the_plugin_wherever_ftq_is_installed(pytestconfig: pytest.Config) -> None:
    # Under this name only the installed entry point can have brought it.
    assert pytestconfig.pluginmanager.get_plugin("ftq") is ftq_testing.plugin
