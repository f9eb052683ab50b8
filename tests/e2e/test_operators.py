"""What an operator does by the API, with a real daemon at work."""

from __future__ import annotations

from functools import partial

import aiohttp
import pytest

from ftq.text import Json
from tests.backends import eventually
from tests.e2e.stage import Stage, document, stage
from tests.unit.api.door import dig

pytestmark = pytest.mark.e2e


async def ask(on: Stage, method: str, path: str, body: Json = None) -> tuple[int, dict[str, Json]]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{on.it.api_url}{path}", json=body) as response,
    ):
        return response.status, document(await response.text())


async def test_tasks_are_cancelled_redriven_and_counted_while_a_daemon_works() -> None:
    async with stage(daemons=1, FTQ_VISIBILITY_SECONDS="8") as on:
        task_id = await on.submit("demo.sleep", {"seconds": 120})

        async def is_in(state: str, which: str) -> bool:
            return (await on.get(which))["state"] == state

        await eventually(lambda: is_in("running", task_id), within=10)
        status, answer = await ask(on, "POST", f"/tasks/{task_id}/cancel")
        assert (status, answer["cancel_requested"]) == (202, True)
        await eventually(lambda: is_in("cancelled", task_id), within=15)

        ids = [await on.submit("demo.fail", {"message": f"no row {n}"}) for n in range(20)]
        for each in ids:
            await eventually(partial(is_in, "dead", each), within=20)
        _, told = await ask(on, "GET", "/dead-letters?window=1h")
        assert (told["total"], dig(told, "groups", 0, "count")) == (20, 20)
        print_ = dig(told, "groups", 0, "fingerprint")
        status, answer = await ask(on, "POST", "/redrives", {"error": print_})
        assert (status, answer["redriven"], answer["cursor"]) == (202, 20, None)

        async def has_died_twice(which: str) -> bool:
            history = (await on.get(which))["history"]
            assert isinstance(history, list)
            outcomes = [dig(each, "outcome") for each in history]
            return outcomes == ["failed", "redriven", "failed"]

        for each in ids:
            await eventually(partial(has_died_twice, each), within=20)
        _, again = await ask(on, "POST", "/redrives", {"before": answer["before"]})
        assert again["redriven"] == 0

        _, stats = await ask(on, "GET", "/stats")
        assert (dig(stats, "counts", "dead"), dig(stats, "counts", "cancelled")) == (20, 1)
        assert stats["exact"] is True
        assert dig(stats, "daemons", 0, "stale") is False
        assert dig(stats, "daemons", 0, "concurrency") == 64
        assert dig(stats, "dead_letter_queue", "visible") == 40

        _, page = await ask(on, "GET", "/tasks?limit=30")
        listed = page["tasks"]
        assert isinstance(listed, list)
        assert {dig(each, "id") for each in listed} == {task_id, *ids}
