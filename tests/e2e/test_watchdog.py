"""A handler that holds a real daemon's loop is named, in a log line and in a metric."""

from __future__ import annotations

import aiohttp
import pytest

from ftq_cli.local import health_url
from tests.e2e import blocking
from tests.e2e.stage import Stage, pretty, stage

pytestmark = pytest.mark.e2e


async def metrics(on: Stage) -> str:
    [daemon] = on.it.daemons.values()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{health_url(daemon)}/metrics") as response,
    ):
        return await response.text()


async def test_a_handler_that_holds_the_loop_is_named_by_its_daemon() -> None:
    async with stage(1, f"{blocking.__name__}:registry", FTQ_LOG_LEVEL="WARNING") as on:
        task_id = await on.submit("loop.holder", 2.5)
        assert (await on.final(task_id))["state"] == "succeeded"
        [line] = on.lines.events("loop.blocked")
        assert (line["type"], line["by"]) == ("loop.holder", f"loop.holder {task_id}"), pretty(line)
        assert "blocking.py" in str(line["where"])
        assert 'ftq_loop_blocked_total{type="loop.holder"} 1.0' in await metrics(on)
