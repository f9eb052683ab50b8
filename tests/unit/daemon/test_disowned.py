"""Claims whose fate nobody can tell are given back: an outage of replies is no crash."""

from __future__ import annotations

import asyncio

import pytest

from ftq import Registry
from ftq.codec import encode
from ftq.lifecycle import State
from ftq.ports import Call
from ftq.testing import Fault, FaultyPort
from ftq.testing.faults import Error
from ftq.wire import queue
from ftq.wire.item import Item
from tests.unit.daemon.bench import TABLE, Bench
from tests.unit.daemon.test_daemon import Number, echoing, play


class Silence:
    """The table answers nothing, for so many seconds."""

    def __init__(self, error: Error, seconds: float) -> None:
        self.error, self.seconds = error, seconds

    def __call__(self, call: Call) -> Fault | None:
        quiet = asyncio.get_running_loop().time() < self.seconds
        return Fault(self.error) if quiet and call.operation == "BatchExecuteStatement" else None


@pytest.mark.parametrize("error", ["lost", "overdue"])
@pytest.mark.parametrize("seconds", [70, 200, 900])
def test_replies_that_are_lost_for_longer_than_leases_are_no_crashes(
    error: Error, seconds: float
) -> None:
    async def story(bench: Bench) -> None:
        submitted = [await bench.submit("echo", {"n": n}) for n in range(5)]
        port = FaultyPort(bench.aws, Silence(error, seconds))
        worker = await bench.start(echoing(), port=port)
        tasks = await bench.ended(*(task.id for task in submitted))
        assert {(task.state, task.crashes, task.attempts) for task in tasks} == {
            (State.SUCCEEDED, 0, 0)
        }
        assert worker.names().count("task.succeeded") == 5
        assert "task.crashed" not in worker.names()

    play(story)


def test_a_claim_that_is_not_known_at_half_its_time_is_given_back_and_shown_at_once() -> None:
    async def story(bench: Bench) -> None:
        states: list[tuple[float, str]] = []

        def watch(_: str, __: Item | None, item: Item | None) -> None:
            if item is not None and "state" in item:
                states.append((asyncio.get_running_loop().time(), str(item["state"].get("S"))))

        submitted = await bench.submit("echo", {"n": 1})
        bench.aws.table(TABLE).watchers.append(watch)
        cut = FaultyPort(bench.aws, Silence("lost", 1e6))
        await bench.start(echoing(), port=cut)
        await asyncio.sleep(40)
        (claimed, running), (given, queued) = states
        assert (running, queued) == ("running", "queued")
        assert claimed < 1
        assert 25 < given < 35
        # Whoever else is there may have it as soon as its message is back.
        await bench.start(echoing())
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.crashes) == (State.SUCCEEDED, 0)

    play(story)


def test_a_claim_of_somebody_else_is_not_touched_by_whoever_gives_its_own_back() -> None:
    registry = Registry()

    @registry.handler("long", timeout=600)
    async def long(_: Number) -> None:
        await asyncio.sleep(200)

    async def story(bench: Bench) -> None:
        def plan(call: Call) -> Fault | None:
            now = asyncio.get_running_loop().time()
            if call.operation != "BatchExecuteStatement" or now > 100:
                return None
            # Its claim is granted unknown to it; that it gives it back does not get through.
            return Fault("lost" if now < 20 else "unavailable")

        submitted = await bench.submit("long", {})
        await bench.start(registry, port=FaultyPort(bench.aws, plan), concurrency=1)
        await asyncio.sleep(65)
        await bench.send(encode(submitted, "{}"), queue.mark(queue.STORED, "1"))
        other = await bench.start(registry)
        await other.tells("task.claimed")
        await asyncio.sleep(100)
        held = await bench.task(submitted.id)
        assert (held.state, held.claim_no, held.claimed_by) == (State.RUNNING, 2, "daemon-1")
        (task,) = await bench.ended(submitted.id)
        assert (task.claim_no, task.crashes, task.releases) == (2, 1, 0)
        assert other.names().count("task.succeeded") == 1

    play(story)
