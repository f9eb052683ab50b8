"""Slots that are short go to whose turn it is; slots that are not, to whoever asks."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from ftq.testing.clock import run
from ftq_daemon.slots import GATHER_SECONDS, Slots, Turn


async def contend(slots: Slots, turns: dict[str, Turn], seconds: float) -> Counter[str]:
    """Let each queue take ten at a time for as long as it lasts, each slot for a second."""
    got: Counter[str] = Counter()

    async def work(count: int) -> None:
        await asyncio.sleep(1)
        slots.give(count)

    async def ask(name: str) -> None:
        while count := await slots.take(10, turns[name]):
            got[name] += count
            running.append(asyncio.ensure_future(work(count)))

    running: list[asyncio.Future[None]] = []
    asking = [asyncio.ensure_future(ask(name)) for name in turns]
    await asyncio.sleep(seconds)
    slots.close()
    await asyncio.gather(*asking, *running)
    assert slots.free == slots.total
    return got


def test_queues_take_slots_by_their_weights() -> None:
    async def story() -> None:
        turns = {"urgent": Turn(8), "default": Turn(4), "bulk": Turn(1)}
        got = await contend(Slots(13), turns, 1000)
        assert got.total() >= 12_000
        for name, turn in turns.items():
            assert abs(got[name] / got.total() - turn.weight / 13) < 0.02

    run(story, limit_seconds=1e5)


def test_a_lower_rank_comes_first_always() -> None:
    async def story() -> None:
        turns = {"urgent": Turn(rank=0), "bulk": Turn(rank=1)}
        got = await contend(Slots(10), turns, 100)
        assert got["bulk"] == 0
        assert got["urgent"] >= 990

    run(story, limit_seconds=1e5)


def test_who_was_away_has_saved_nothing_up() -> None:
    async def story() -> None:
        slots, busy, back = Slots(1), Turn(), Turn()
        for _ in range(1000):
            assert await slots.take(1, busy) == 1
            slots.give(1)
        order: list[str] = []

        async def ask(name: str, turn: Turn) -> None:
            for _ in range(10):
                await slots.take(1, turn)
                order.append(name)
                await asyncio.sleep(1)
                slots.give(1)

        await asyncio.gather(ask("busy", busy), ask("back", back))
        assert order[:6].count("back") == 3

    run(story, limit_seconds=1e5)


def test_what_was_taken_for_nothing_is_not_held_against_a_queue() -> None:
    async def story() -> None:
        slots, turn = Slots(10), Turn(weight=2)
        assert await slots.take(10, turn) == 10
        slots.give(7, turn)
        assert (slots.free, turn.taken) == (7, 1.5)

    run(story)


def test_nobody_waits_for_slots_that_are_closed() -> None:
    async def story() -> None:
        slots, turn = Slots(1), Turn()
        assert await slots.take(1, turn) == 1
        waiting = asyncio.ensure_future(slots.take(1, turn))
        looking = asyncio.ensure_future(slots.come(Turn()))
        await asyncio.sleep(1)
        assert not waiting.done()
        slots.close()
        assert (await waiting, await looking) == (0, False)

    run(story)


def test_a_receive_waits_for_slots_that_fill_it_no_longer_than_for_them() -> None:
    async def story() -> None:
        slots, turn, loop = Slots(10), Turn(), asyncio.get_running_loop()
        assert await slots.take(10, turn) == 10
        slots.give(3)
        began = loop.time()
        loop.call_later(GATHER_SECONDS / 5, slots.give, 2)
        loop.call_later(GATHER_SECONDS / 2, slots.give, 5)
        assert await slots.take(10, turn) == 10
        assert loop.time() - began == pytest.approx(GATHER_SECONDS / 2)
        slots.give(4)
        assert await slots.take(10, turn) == 4
        assert loop.time() - began == pytest.approx(GATHER_SECONDS * 1.5)

    run(story, limit_seconds=60)
