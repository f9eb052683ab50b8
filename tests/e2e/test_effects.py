from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ftq.wire import queue as wire
from tests.backends import eventually
from tests.e2e.stage import Stage, stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TASKS = 1_000


@pytest.mark.timeout(180)
async def test_a_thousand_tasks_sent_twice_have_a_thousand_effects(tmp_path: Path) -> None:
    effects = tmp_path / "effects"
    # A copy that meets its task while that runs is hidden for the rest of the lease.
    async with stage(daemons=2, FTQ_VISIBILITY_SECONDS="8") as on:
        payload = {"path": str(effects)}
        waiting = iter(range(TASKS))
        ids: list[str] = []

        async def submit() -> None:
            some: list[str] = []
            for _ in waiting:
                some.append(await on.submit("demo.effect", payload))
                if len(some) == 10:
                    await send_again(on, some, payload)
                    ids.extend(some)
                    some = []
            await send_again(on, some, payload)
            ids.extend(some)

        await asyncio.gather(*(submit() for _ in range(12)))

        async def is_empty() -> bool:
            attributes = wire.read_attributes(
                await on.it.aws.call(wire.depth(on.it.made.queue_url))
            )
            left = [n for name, n in attributes.items() if name.startswith("ApproximateNumberOf")]
            return not any(map(int, left))

        await eventually(is_empty, within=90)
        lines = effects.read_text().splitlines()
        assert len(lines) == TASKS
        assert {line.split()[0] for line in lines} == set(ids)
        assert {line.split()[1] for line in lines} == {"1"}


async def send_again(on: Stage, ids: list[str], payload: dict[str, str]) -> None:
    copies = [
        wire.Outgoing(
            json.dumps({"v": 1, "id": each, "type": "demo.effect", "payload": payload}),
            wire.mark(wire.STORED, "1"),
        )
        for each in ids
    ]
    if copies:
        reply = await on.it.aws.call(wire.send_batch(on.it.made.queue_url, copies))
        assert wire.read_batch(reply, len(copies)) == [None] * len(copies)
