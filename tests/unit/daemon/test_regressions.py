"""What the simulation found, or its mutants showed to be untested, each in its smallest form."""

from __future__ import annotations

import asyncio

from ftq import Context, Registry, RetryPolicy
from ftq.codec import encode
from ftq.lifecycle import State
from ftq.testing import Fault, FaultyPort, script
from ftq.wire import queue
from ftq.wire.item import Item
from tests.unit.daemon.bench import TABLE, Bench
from tests.unit.daemon.test_daemon import Number, echoing, play


def test_a_stop_ends_in_time_though_aws_leaves_a_call_without_an_answer() -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("echo", {"n": 1})
        slow = script({"DeleteMessageBatch": [Fault(before=60)]})
        worker = await bench.start(echoing(), port=FaultyPort(bench.aws, slow))
        await worker.tells("task.succeeded")
        began = asyncio.get_running_loop().time()
        # It was the flush's TimeoutError that came out of here.
        assert await worker.drain() == 1
        assert asyncio.get_running_loop().time() - began < 50
        assert worker.names()[-2:] == ["daemon.failed", "daemon.stopped"]
        assert (await bench.task(submitted.id)).state is State.SUCCEEDED

    play(story)


def test_a_settle_that_is_repeated_after_a_newer_claim_tells_nothing_and_touches_nothing() -> None:
    registry = Registry()

    @registry.handler("fails", retry=RetryPolicy(base=0, cap=0))
    async def fails(_: Number, context: Context) -> None:
        if context.claim_no == 1:
            raise ValueError
        await asyncio.sleep(100)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("fails", {})
        lost = script(
            {
                "BatchExecuteStatement": [None, Fault("lost", after=30)],
                "ReceiveMessage": [None, Fault(before=1000)],
            }
        )
        first = await bench.start(registry, port=FaultyPort(bench.aws, lost), concurrency=10)
        await asyncio.sleep(1)
        assert (await bench.task(submitted.id)).state is State.RETRYING
        # Whoever has another copy goes on with it, before the first knows that it has settled.
        await bench.send(encode(submitted, "{}"), queue.mark(queue.STORED, "1"))
        second = await bench.start(registry)
        await asyncio.sleep(60)
        assert first.names() == ["task.claimed"]
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.claim_no, task.attempts) == (State.SUCCEEDED, 2, 1)
        assert "task.succeeded" in second.names()

    play(story)


def test_a_claim_whose_answer_comes_as_its_lease_ends_is_given_back_and_not_run() -> None:
    registry = Registry()
    runs: list[int] = []

    @registry.handler("work")
    async def work(_: Number, context: Context) -> None:
        runs.append(context.claim_no)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("work", {})
        slow = script({"BatchExecuteStatement": [Fault(after=57)]})
        await bench.start(registry, port=FaultyPort(bench.aws, slow))
        (task,) = await bench.ended(submitted.id)
        assert runs == [2]
        assert (task.state, task.attempts, task.releases) == (State.SUCCEEDED, 0, 1)
        assert task.crashes == 0

    play(story)


def test_a_suspect_that_waited_for_its_turn_still_has_its_lease_as_it_starts() -> None:
    registry = Registry()
    held: list[int] = []

    @registry.handler("long", timeout=3600)
    async def long(_: Number) -> None:
        await asyncio.sleep(300)

    @registry.handler("suspect")
    async def suspect(_: Number) -> None:
        await asyncio.sleep(1)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("suspect", {})
        for _ in range(2):
            worker = await bench.start(registry, visibility_seconds=20)
            await worker.tells("task.claimed")
            worker.kill()
        worker = await bench.start(registry, visibility_seconds=20)
        for _ in range(2):  # the first is swallowed by a poll that outlived its daemon
            await bench.submit("long", {})
            await asyncio.sleep(1)
        assert worker.names() == ["task.claimed"]
        # The line that says that the claim before crashed shortened the lease again.

        def watch(key: str, _: Item | None, item: Item | None) -> None:
            if key == submitted.id and item is not None and item["state"]["S"] == "running":
                held.append(int(item["free_at"]["N"]) - bench.now())

        bench.aws.table(TABLE).watchers.append(watch)
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.claim_no, task.crashes) == (State.SUCCEEDED, 3, 2)
        assert len(held) > 3
        assert min(held) == 19_000

    play(story)
