"""What the simulation found, each in its smallest form."""

from __future__ import annotations

import asyncio

from ftq.lifecycle import State
from ftq.testing import Fault, FaultyPort, script
from tests.unit.daemon.bench import Bench
from tests.unit.daemon.test_daemon import echoing, play


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
