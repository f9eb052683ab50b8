"""Real faults on the wire, real kills: nothing is lost and no outcome is written twice.

Between programs and backend stands a fault proxy: it throttles, answers 5xx, resets, delays,
cuts replies off after the write was applied, and holds connections without an answer.
"""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from ftq.lifecycle import FINAL
from ftq.text import Document, Json
from ftq_cli.embedded import embedded_aws
from tests.backends import eventually
from tests.e2e.stage import Stage, pretty, stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]

KILLING_SECONDS = 60
# What a daemon may have written and not told as it is killed.
MOST_IN_HAND = 10
THROTTLED: Json = {"code": "ProvisionedThroughputExceededException", "status": 400}
RULES: list[Json] = [
    {"service": "dynamodb", "probability": 0.06, "error": THROTTLED},
    {"service": "sqs", "probability": 0.03, "error": {"code": "RequestThrottled", "status": 403}},
    {"service": "*", "probability": 0.03, "error": {"code": "InternalError", "status": 500}},
    {"service": "*", "probability": 0.02, "reset": True},
    {"service": "*", "probability": 0.15, "latency": {"min": 1, "max": 250}},
    {"service": "*", "probability": 0.04, "response": {"abort_frac": 0.3}},
    {"service": "dynamodb", "probability": 0.01, "timeout_ms": 11_000},
]


@asynccontextmanager
async def proxy(upstream: str) -> AsyncIterator[str]:
    """A fault proxy before a backend; it lets everything through until it is told otherwise."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "microburst", "--upstream", upstream),
        *("--host", "127.0.0.1", "--port", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await eventually(lambda: set_rules(url, []), within=20)
        yield url
    finally:
        process.kill()
        await process.wait()


async def set_rules(url: str, rules: list[Json]) -> bool:
    """Replace the proxy's rules; whether it did."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/_microburst/rules", json=rules) as reply,
        ):
            return reply.status < 300
    except aiohttp.ClientError:
        return False


async def fired(url: str) -> Counter[str]:
    """What the proxy did, by kind."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/_microburst/fired?limit=9999") as reply,
    ):
        done = await reply.json()
    return Counter(str(each.get("action", "")).partition(":")[0] for each in done)


async def ended(on: Stage, task_ids: list[str], within: float) -> list[Document]:
    waiting = list(task_ids)

    async def all_ended() -> bool:
        waiting[:] = [str(t["id"]) for t in await on.all(waiting) if t["state"] not in FINAL]
        return not waiting

    await eventually(all_ended, within=within)
    return await on.all(task_ids)


async def submitting(on: Stage, effects: Path, task_ids: list[str], until: float) -> None:
    """Submit tasks, steadily, until a moment."""
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        task_ids.append(await on.submit("demo.effect", {"path": str(effects)}))
        await asyncio.sleep(0.1)


def check_effects(tasks: list[Document], effects: Path) -> None:
    """Each task has its effect; at most one under each claim, and none after the last."""
    lines = [line.split() for line in effects.read_text().splitlines()]
    seen = Counter((task_id, int(claim_no)) for task_id, claim_no in lines)
    claims: dict[str, set[int]] = {}
    for task_id, claim_no in seen:
        claims.setdefault(task_id, set()).add(claim_no)
    assert max(seen.values()) == 1, "a handler ran twice under one claim"
    for task in tasks:
        assert task["state"] == "succeeded", pretty(task)
        assert task["attempts"] == 0, pretty(task)
        history = task["history"]
        assert isinstance(history, list)
        outcomes = [each["outcome"] for each in history if isinstance(each, dict)]
        assert outcomes.count("succeeded") == 1, pretty(task)
        ran = claims[str(task["id"])]
        assert max(ran) == task["claim_no"], pretty(task)


async def test_nothing_is_lost_or_doubled_through_a_minute_of_kills_and_faults(
    tmp_path: Path,
) -> None:
    dice, effects = random.Random(7), tmp_path / "effects"
    settings = {"FTQ_VISIBILITY_SECONDS": "8", "FTQ_SWEEP_SECONDS": "2"}
    settings |= {"FTQ_SWEEP_GRACE_SECONDS": "5"}
    async with (
        embedded_aws() as backend,
        proxy(backend) as url,
        stage(daemons=2, AWS_ENDPOINT_URL=url, **settings) as on,
    ):
        assert await set_rules(url, RULES)
        loop = asyncio.get_running_loop()
        until = loop.time() + KILLING_SECONDS
        task_ids: list[str] = []
        work = asyncio.create_task(submitting(on, effects, task_ids, until))
        kills = 0
        while loop.time() < until:
            await asyncio.sleep(dice.uniform(1, 5))
            if on.it.daemons:
                dice.choice(list(on.it.daemons.values())).kill(signal.SIGKILL)
                kills += 1
        await work
        done = await fired(url)
        assert await set_rules(url, [])
        tasks = await ended(on, task_ids, within=60)
        assert kills >= 10
        assert len(tasks) >= 100
        # The last of these is a connection that is held without an answer.
        assert {"error", "reset", "latency", "timeout"} <= set(done), done
        check_effects(tasks, effects)
        told = Counter(str(each["task_id"]) for each in on.lines.events("task.succeeded"))
        # Who was killed between the write and the telling told nothing.
        assert max(told.values()) == 1, "an outcome was told twice"
        assert len(tasks) - kills * MOST_IN_HAND <= len(told) <= len(tasks)


async def test_work_goes_on_after_the_backend_was_restarted(tmp_path: Path) -> None:
    effects, state = tmp_path / "effects", tmp_path / "state"
    settings = {"FTQ_VISIBILITY_SECONDS": "8", "FTQ_LOG_LEVEL": "WARNING"}
    before = embedded_aws(state)
    url = await before.__aenter__()
    async with stage(daemons=1, AWS_ENDPOINT_URL=url, **settings) as on:
        slow = [await on.submit("demo.sleep", {"seconds": 2}) for _ in range(5)]
        quick = [await on.submit("demo.effect", {"path": str(effects)}) for _ in range(20)]

        async def some_run() -> bool:
            return any(task["state"] == "running" for task in await on.all(slow))

        await eventually(some_run, within=15)
        await before.__aexit__(None, None, None)
        async with embedded_aws(state) as again:
            assert again == url
            tasks = await ended(on, slow + quick, within=60)
            assert {task["state"] for task in tasks} == {"succeeded"}, pretty(tasks)
            assert {task["attempts"] for task in tasks} == {0}
            assert on.it.deaths == 0
