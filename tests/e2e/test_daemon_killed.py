from __future__ import annotations

import asyncio
import signal

import pytest

from ftq.lifecycle import FINAL
from tests.backends import eventually
from tests.e2e.stage import pretty, stage

pytestmark = pytest.mark.e2e

FLAKY, SLOW = 40, 6


async def test_every_task_ends_as_it_should_though_the_daemon_is_killed() -> None:
    async with stage(daemons=1, FTQ_VISIBILITY_SECONDS="8") as on:
        payload = {"failure_rate": 0.2, "ms": 20}
        flaky = list(
            await asyncio.gather(*(on.submit("demo.flaky", payload) for _ in range(FLAKY)))
        )
        slow = [await on.submit("demo.sleep", {"seconds": 3}) for _ in range(SLOW)]

        async def slow_ones_run() -> bool:
            return all(task["state"] == "running" for task in await on.all(slow))

        await eventually(slow_ones_run, within=15)
        [victim] = on.it.daemons.values()
        victim.kill(signal.SIGKILL)
        await victim.process.wait()
        # Another one is started at once; what the victim held comes back with its visibility.
        waiting = slow + flaky

        async def all_ended() -> bool:
            waiting[:] = [str(t["id"]) for t in await on.all(waiting) if t["state"] not in FINAL]
            return not waiting

        await eventually(all_ended, within=45)
        assert on.it.deaths == 1
        for task in await on.all(slow):
            outcomes = [each["outcome"] for each in histories(task["history"])]
            assert task["state"] == "succeeded", pretty(task)
            assert outcomes == ["crashed", "succeeded"], pretty(task)
            assert (task["attempts"], task["crashes"]) == (0, 1), "a crash spends no attempt"
        for task in await on.all(flaky):
            attempts = task["attempts"]
            assert isinstance(attempts, int)
            if task["state"] == "dead":
                assert attempts == 3, pretty(task)
            else:
                assert task["state"] == "succeeded", pretty(task)
                assert attempts < 3, pretty(task)


def histories(history: object) -> list[dict[str, object]]:
    assert isinstance(history, list)
    return [each for each in history if isinstance(each, dict)]
