"""What the simulation found, or its mutants showed to be untested, each in its smallest form."""

from __future__ import annotations

import asyncio

from ftq import Context, Registry, RetryPolicy
from ftq.codec import encode
from ftq.lifecycle import State
from ftq.testing import Fault, FaultyPort, script
from ftq.wire import queue
from tests.unit.daemon.bench import Bench
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
