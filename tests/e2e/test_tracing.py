"""From a request's header to the segment of its attempt, through real programs."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.e2e.stage import document, stage
from tests.unit.daemon.tracing.listener import listening, notes

pytestmark = pytest.mark.e2e

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
HEADER = f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"


async def test_a_request_that_is_traced_has_its_tasks_in_its_trace() -> None:
    with listening() as listener:
        more = {
            "FTQ_TRACING": "xray",
            "AWS_XRAY_DAEMON_ADDRESS": listener.address,
            "FTQ_REDACT": "iban",
        }
        async with stage(daemons=1, **more) as on, httpx.AsyncClient() as client:
            asked = {"type": "demo.fail", "payload": {"message": "iban=hunter2"}}
            got = await client.post(
                f"{on.it.api_url}/tasks", json=asked, headers={"X-Amzn-Trace-Id": HEADER}
            )
            task_id = document(got.text)["id"]
            (segment,) = await asyncio.to_thread(listener.wait, 1)
    assert (segment["trace_id"], segment["parent_id"]) == (ROOT, "53995c3f42cd8ad8")
    assert notes(segment)["task_id"] == task_id
    assert ("iban=" in str(segment["cause"]), "hunter2" in str(segment)) == (True, False)
