"""The async client does what the other one does, and can be cancelled."""

from __future__ import annotations

import asyncio
from collections import deque

import httpx
import pytest

from ftq import Registry
from ftq.client import AsyncClient, NewTask, NotFound, Redriven, StillOpen, Unreachable
from ftq.testing.clock import run
from tests.unit.api.door import Door
from tests.unit.api.dying import dead, submitted
from tests.unit.client.bridge import URL, Bridge, refused, reply_lost, says

registry = Registry()


@registry.handler("count")
async def count(n: int) -> None:
    """A handler."""


def test_it_does_all_that_the_client_does(bridge: Bridge, door: Door) -> None:
    died = [dead(door, n) for n in range(3)]

    async def main() -> None:
        async with bridge.async_client(registry) as client:
            one = await client.submit(count, 1)
            two = await client.bind(count).submit(2, key="two")
            many = await client.submit_many([NewTask(count, 3), NewTask(count, 2, key="two")])
            assert [getattr(each, "id", None) for each in many][1] == two.id
            again = await client.bind(count).submit_many([2], key="two")
            assert [getattr(each, "id", None) for each in again] == [two.id]
            assert (await client.get(one.id)).payload == 1
            assert len([task async for task in client.list(type="count")]) == 3
            assert (await client.cancel(one.id)).state == "cancelled"
            assert (await client.wait(one.id)).final
            assert (await client.redrive(died[0])).redriven == 1
            told: list[Redriven] = []
            assert (await client.redrive_all(progress=told.append)).redriven == 2
            assert told[-1].redriven == 2
            with pytest.raises(NotFound):
                await client.get("nothing")

    run(main)


def test_it_repeats_with_jitter_and_the_same_key(bridge: Bridge) -> None:
    bridge.faults = deque([refused, reply_lost, says(429), says(503)])

    async def main() -> float:
        began = asyncio.get_running_loop().time()
        async with bridge.async_client() as client:
            await client.submit("a", 1)
        return asyncio.get_running_loop().time() - began

    assert run(main) == pytest.approx(0.125 + 0.25 + 0.5 + 1.0)
    assert bridge.sent_keys() == ["key-1"] * 5


def test_a_wait_is_cancelled_between_two_looks(bridge: Bridge, door: Door) -> None:
    task_id = submitted(door)

    async def main() -> None:
        async with bridge.async_client() as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(60):
                    await client.wait(task_id)
            # And goes on as if nothing had been.
            assert (await client.get(task_id)).state == "queued"

    run(main)
    assert 15 <= len(bridge.seen) <= 40


def test_a_submission_that_is_cancelled_is_repeated_with_its_key(
    bridge: Bridge, door: Door
) -> None:
    """The API has it, the answer never comes, the caller gives up and begins again."""

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await bridge.handle_async_request(request)
            await asyncio.sleep(3600)
            raise AssertionError("nobody waits that long")

    async def main() -> None:
        async with AsyncClient(URL, transport=Slow(), world=bridge.world) as slow:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await slow.submit("a", 1, key="mine")
        async with bridge.async_client() as client:
            accepted = await client.submit("a", 1, key="mine")
            assert len([task async for task in client.list()]) == 1
            assert (await client.get(accepted.id)).payload == 1

    run(main)


def test_an_open_task_and_an_absent_api_are_told(bridge: Bridge, door: Door) -> None:
    task_id = submitted(door)

    async def main() -> None:
        async with bridge.async_client() as client:
            with pytest.raises(StillOpen):
                await client.wait(task_id, 0)
            bridge.faults = deque([refused] * 6)
            with pytest.raises(Unreachable):
                await client.get(task_id)

    run(main)
