"""Handlers that may run twice, and those that only seem to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from ftq import Context
from ftq.testing import assert_idempotent


@dataclass
class Bank:
    """A store with conditional writes, as the world outside has them."""

    paid: dict[str, int] = field(default_factory=dict)
    fence: dict[str, int] = field(default_factory=dict)
    letters: list[str] = field(default_factory=list)

    def reset(self) -> None:
        self.paid.clear()
        self.fence.clear()
        self.letters.clear()

    async def pay(self, order: str) -> None:
        self.paid[order] = self.paid.get(order, 0) + 1


bank = Bank()


async def by_condition(order: str) -> None:
    await asyncio.sleep(1)
    bank.paid.setdefault(order, 1)


async def looks_first(order: str) -> None:
    if order in bank.letters:
        return
    await bank.pay(order)
    bank.letters.append(order)


async def ticks_first(order: str) -> None:
    if order in bank.letters:
        return
    bank.letters.append(order)
    await asyncio.sleep(1)
    await bank.pay(order)


def in_a_thread(order: str) -> None:
    try:
        bank.paid[order] = bank.paid.get(order, 0) + 1
    finally:
        bank.letters.append(order)


async def unfenced(order: str) -> None:
    known = list(bank.letters)
    await asyncio.sleep(1)
    if order not in known:
        bank.letters.append(order)


async def fenced(order: str, context: Context) -> None:
    await asyncio.sleep(1)
    if context.claim_no >= bank.fence.get(order, 0):
        bank.fence[order] = context.claim_no
        bank.paid[order] = 1


def test_a_conditional_write_may_run_twice() -> None:
    assert_idempotent(
        by_condition, "o1", effects=lambda: bank.paid, reset=bank.reset, overtaken=True
    )
    assert_idempotent(fenced, "o1", effects=lambda: bank.paid, reset=bank.reset, overtaken=True)


def test_looking_before_paying_is_found_out_by_a_crash_in_between() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_idempotent(looks_first, "o1", effects=lambda: bank.paid, reset=bank.reset)
    text = str(failed.value)
    assert text.startswith("looks_first is not idempotent: killed before line ")
    assert "`bank.letters.append(order)`, and delivered again, it leaves" in text
    assert text.endswith("  {'o1': 2}\nbut run once\n  {'o1': 1}")


def test_ticking_off_before_paying_is_found_out_by_a_crash_in_between() -> None:
    with pytest.raises(AssertionError, match=r"it leaves\n  \{\}\nbut run once"):
        assert_idempotent(ticks_first, "o1", effects=lambda: bank.paid, reset=bank.reset)


def test_a_second_delivery_alone_finds_out_the_plain_ones() -> None:
    with pytest.raises(AssertionError, match="delivered a second time"):
        assert_idempotent(in_a_thread, "o1", effects=lambda: bank.paid, reset=bank.reset)


def test_a_killed_attempt_runs_no_finally() -> None:
    seen: list[list[str]] = []

    def handler(order: str) -> None:
        bank.paid[order] = 1
        try:
            bank.paid[order] = 1
        finally:
            bank.letters.append(order)

    def effects() -> object:
        seen.append(list(bank.letters))
        return bank.paid

    assert_idempotent(handler, "o1", effects=effects, reset=bank.reset)
    # Killed before or in its `try`, only the redelivery has written a letter.
    assert seen[2] == seen[3] == ["o1"]


def test_a_handler_that_fails_is_no_measure() -> None:
    def broken(_: str) -> None:
        raise ValueError("no luck")

    with pytest.raises(AssertionError, match="does not succeed: run once, it ends with ValueError"):
        assert_idempotent(broken, "o1", effects=lambda: 0, reset=bank.reset)


def test_a_handler_without_a_fence_is_found_out_when_it_is_overtaken() -> None:
    effects = lambda: bank.letters  # noqa: E731  # said twice
    assert_idempotent(unfenced, "o1", effects=effects, reset=bank.reset)
    with pytest.raises(AssertionError, match="overtaken by another claim"):
        assert_idempotent(unfenced, "o1", effects=effects, reset=bank.reset, overtaken=True)


def test_too_many_lines_are_refused() -> None:
    def long(count: int) -> None:
        for _ in range(count):
            bank.paid["n"] = 1

    with pytest.raises(ValueError, match="lines, over 500"):
        assert_idempotent(long, 400, effects=lambda: bank.paid, reset=bank.reset)
