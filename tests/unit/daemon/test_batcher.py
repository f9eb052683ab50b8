"""Group commit: lone items go at once, busy ones go together, none is lost or doubled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftq.testing.clock import run
from ftq_daemon.batcher import Batcher


class Calls:
    """A call that takes a while, and remembers what it was given."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[list[int]] = []
        self.under_way = 0
        self.most_under_way = 0

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(self.seconds)
        self.under_way -= 1
        return [item * 10 for item in items]


def clock() -> float:
    return asyncio.get_running_loop().time()


def played(story: Callable[[], Coroutine[object, None, None]]) -> None:
    run(story, limit_seconds=3600)


def test_a_lone_item_does_not_wait_for_company() -> None:
    async def story() -> None:
        batcher = Batcher(Calls(), size=25, linger=1.0)
        began = clock()
        assert await batcher.submit(4) == 40
        assert clock() == began

    played(story)


def test_what_one_turn_of_the_loop_submits_leaves_together() -> None:
    async def story() -> None:
        calls = Calls()
        batcher = Batcher(calls, size=25)
        results = await asyncio.gather(*map(batcher.submit, range(10)))
        assert results == [n * 10 for n in range(10)]
        assert calls.batches == [list(range(10))]

    played(story)


def test_items_gather_behind_a_call_in_flight_for_no_longer_than_the_linger() -> None:
    async def story() -> None:
        calls = Calls(seconds=10)
        batcher = Batcher(calls, size=25, linger=0.5)
        async with asyncio.TaskGroup() as group:
            group.create_task(batcher.submit(0))
            await asyncio.sleep(1)
            began = clock()
            for n in range(1, 4):
                group.create_task(batcher.submit(n))
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.3)
            assert calls.batches == [[0], [1, 2, 3]]
            assert clock() - began < 0.7

    played(story)


def test_a_full_batch_leaves_at_once_and_no_more_are_in_flight_than_allowed() -> None:
    async def story() -> None:
        calls = Calls(seconds=1)
        batcher = Batcher(calls, size=10, linger=0.5, in_flight=2)
        await asyncio.gather(*map(batcher.submit, range(95)))
        assert [len(batch) for batch in calls.batches[:9]] == [10] * 9
        assert calls.most_under_way == 2

    played(story)


def test_after_a_full_batch_the_next_has_the_linger_to_fill_and_then_nobody_waits_again() -> None:
    async def story() -> None:
        calls = Calls()
        batcher = Batcher(calls, size=10, linger=0.5)
        await asyncio.gather(*map(batcher.submit, range(10)))
        began = clock()
        await asyncio.gather(batcher.submit(10), batcher.submit(11))
        assert clock() - began == 0.5
        await batcher.submit(12)
        assert clock() - began == 0.5
        assert [len(batch) for batch in calls.batches] == [10, 2, 1]

    played(story)


def test_two_items_of_one_key_never_share_a_batch_and_keep_their_order() -> None:
    async def story() -> None:
        calls = Calls(seconds=1)
        batcher = Batcher(calls, size=10, key=lambda item: item % 3, in_flight=1)
        await asyncio.gather(*map(batcher.submit, range(9)))
        assert calls.batches == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]

    played(story)


def test_a_call_that_fails_fails_its_own_items_only() -> None:
    async def flush(items: Sequence[int]) -> list[int]:
        if 3 in items:
            raise ValueError("this batch")
        return list(items)

    async def story() -> None:
        batcher = Batcher(flush, size=2)
        results = await asyncio.gather(*map(batcher.submit, range(6)), return_exceptions=True)
        assert [isinstance(each, ValueError) for each in results] == [
            False, False, True, True, False, False,
        ]  # fmt: skip

    played(story)


def test_a_call_with_too_few_results_leaves_nobody_waiting() -> None:
    async def flush(items: Sequence[int]) -> list[int]:
        return list(items[1:])

    async def story() -> None:
        batcher = Batcher(flush, size=10)
        results = await asyncio.gather(*map(batcher.submit, range(3)), return_exceptions=True)
        assert [type(each) for each in results] == [ValueError] * 3

    played(story)


def test_a_caller_that_is_cancelled_does_not_take_its_write_back() -> None:
    async def story() -> None:
        calls = Calls(seconds=1)
        batcher = Batcher(calls, size=10)
        caller = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await batcher.close()
        assert calls.batches == [[1]]

    played(story)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    count=st.integers(1, 200),
    size=st.integers(1, 25),
    in_flight=st.integers(1, 4),
    seed=st.integers(0, 2**16),
)
def test_every_item_is_flushed_exactly_once_and_gets_its_own_result(
    count: int, size: int, in_flight: int, seed: int
) -> None:
    async def story() -> None:
        dice = random.Random(seed)
        calls = Calls(seconds=0.05)
        batcher = Batcher(calls, size=size, linger=0.01, in_flight=in_flight, key=lambda n: n % 7)

        async def one(n: int) -> None:
            await asyncio.sleep(dice.random() * 0.5)
            assert await batcher.submit(n) == n * 10

        await asyncio.gather(*map(one, range(count)))
        await batcher.close()
        flushed = [item for batch in calls.batches for item in batch]
        assert sorted(flushed) == list(range(count))
        assert all(len(batch) <= size for batch in calls.batches)
        assert all(len({item % 7 for item in batch}) == len(batch) for batch in calls.batches)
        assert calls.most_under_way <= in_flight

    played(story)
