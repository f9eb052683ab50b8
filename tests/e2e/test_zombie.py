from __future__ import annotations

import signal

import aiohttp
import pytest

from ftq_cli.children import running
from ftq_cli.local import daemon, health_url
from tests.backends import eventually
from tests.e2e.stage import Lines, stage

pytestmark = pytest.mark.e2e


async def test_a_daemon_that_lost_its_claim_writes_nothing_and_deletes_nothing() -> None:
    async with stage(daemons=0, FTQ_VISIBILITY_SECONDS="8") as on:
        zombies, others = Lines(), Lines()
        async with running(daemon(on.it.environ, "zombie"), zombies) as zombie:
            task_id = await on.submit("demo.sleep", {"seconds": 1})

            async def is_claimed() -> bool:
                return (await on.get(task_id))["state"] == "running"

            await eventually(is_claimed, within=10)
            zombie.kill(signal.SIGSTOP)  # as a paused machine would, in the middle of its claim
            try:
                async with running(daemon(on.it.environ, "other"), others):

                    async def is_done() -> bool:
                        return (await on.get(task_id))["state"] == "succeeded"

                    await eventually(is_done, within=30)
            finally:
                zombie.kill(signal.SIGCONT)
            before = await on.get(task_id)

            await eventually(lambda: zombies.events("task.claim_lost", task_id), within=15)
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{health_url(zombie)}/metrics") as response,
            ):
                metrics = await response.text()
            # Its delete would have had no effect, but it does not even try.
            assert "DeleteMessageBatch" not in metrics
            assert "ftq_claims_lost_total 1.0" in metrics
            assert 'outcome="succeeded"' not in metrics
        # It has stopped, and so flushed whatever it may have had to write.
        after = await on.get(task_id)
        assert after == before
        assert (after["claim_no"], after["attempts"], after["crashes"]) == (2, 0, 1)
        history = after["history"]
        assert isinstance(history, list)
        [crashed, succeeded] = [each for each in history if isinstance(each, dict)]
        assert (crashed["outcome"], succeeded["outcome"]) == ("crashed", "succeeded")
        assert crashed["by"] == zombie.started["daemon"] != succeeded["by"]
        assert not zombies.events("task.succeeded")
        assert len(others.events("task.succeeded", task_id)) == 1
