"""A task that kills its process ends in quarantine, and takes a daemon along but twice."""

from __future__ import annotations

import asyncio

import pytest

from ftq.lifecycle import FINAL
from tests.backends import eventually
from tests.e2e.stage import pretty, stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(150)]

INNOCENTS = 63


async def test_the_killer_alone_is_quarantined_and_its_neighbours_all_finish() -> None:
    async with stage(daemons=1, FTQ_VISIBILITY_SECONDS="8", FTQ_LOG_LEVEL="WARNING") as on:
        sleeps = (on.submit("demo.sleep", {"seconds": 0.2}) for _ in range(INNOCENTS))
        innocents = list(await asyncio.gather(*sleeps))
        killer = await on.submit("demo.crash", {})
        waiting = [killer, *innocents]

        async def all_ended() -> bool:
            await asyncio.sleep(1)
            waiting[:] = [str(t["id"]) for t in await on.all(waiting) if t["state"] not in FINAL]
            return not waiting

        await eventually(all_ended, within=120)
        [dead] = await on.all([killer])
        assert (dead["state"], dead["cause"], dead["crashes"]) == ("dead", "crash_loop", 3), pretty(
            dead
        )
        history = dead["history"]
        assert isinstance(history, list)
        crashed = [e for e in history if isinstance(e, dict) and e["outcome"] == "crashed"]
        # The first two by the death of a daemon, the last by that of a process of its own.
        assert [e["class"] for e in crashed] == ["", "", "ProcessDied"], pretty(dead)
        assert len({str(entry["by"]) for entry in crashed}) == 3, pretty(dead)
        [told] = [e for e in on.lines.events("task.crashed", killer) if "error" in e]
        assert "SIGKILL" in str(told["error"])
        for task in await on.all(innocents):
            assert (task["state"], task["attempts"]) == ("succeeded", 0), pretty(task)
        assert on.it.deaths == 2
