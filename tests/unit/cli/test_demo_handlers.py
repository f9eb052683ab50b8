from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from pydantic import ValidationError

from ftq import Context
from ftq.context import Signals
from ftq_cli.demo import (
    DemoError,
    Effect,
    Fail,
    Flaky,
    PermanentDemoError,
    Sleep,
    echo,
    effect,
    fail,
    flaky,
    registry,
    sleep,
)


def context(task_id: str, claim_no: int) -> Context:
    async def report(value: str) -> None: ...

    return Context(task_id, "demo.effect", 1, claim_no, 0.0, "", "", Signals(), report)


def test_the_registry_has_the_handlers_of_the_contract() -> None:
    assert sorted(handler.type for handler in registry) == [
        "demo.crash", "demo.echo", "demo.effect", "demo.fail", "demo.flaky", "demo.sleep",
    ]  # fmt: skip


def test_flaky_has_the_default_policy() -> None:
    handler = registry.get("demo.flaky")
    assert handler is not None
    assert (handler.retry.attempts, handler.retry.base, handler.retry.cap) == (3, 1.0, 300.0)


async def test_echo_returns_its_payload() -> None:
    assert await echo({"a": [1, None]}) == {"a": [1, None]}


async def test_flaky_draws_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([0.29, 0.3, 0.9, 0.0])
    monkeypatch.setattr(random, "random", lambda: next(draws))
    assert Flaky() == Flaky(failure_rate=0.3, ms=0)
    with pytest.raises(DemoError):
        await flaky(Flaky())
    assert await flaky(Flaky()) == await flaky(Flaky()) == "ok"
    assert await flaky(Flaky(failure_rate=0)) == "ok"


async def test_sleep_can_be_cancelled() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sleep(Sleep(seconds=1000))
    assert await sleep(Sleep(seconds=0)) == 0


async def test_fail_is_permanent() -> None:
    with pytest.raises(PermanentDemoError, match=r"^no$"):
        await fail(Fail(message="no"))
    handler = registry.get("demo.fail")
    assert handler is not None
    assert handler.permanent == (PermanentDemoError,)


def test_effect_adds_one_line(tmp_path: Path) -> None:
    file = tmp_path / "effects"
    for n in (1, 2):
        effect(Effect(path=str(file)), context(f"t{n}", n))
    assert file.read_text() == "t1 1\nt2 2\n"


@pytest.mark.parametrize("payload", ['{"failure_rate": 2}', '{"ms": -1}', '{"failure_rate": "x"}'])
def test_a_payload_out_of_bounds_is_refused(payload: str) -> None:
    with pytest.raises(ValidationError):
        Flaky.model_validate_json(payload)
