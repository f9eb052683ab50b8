"""Several processes of one daemon start, answer and stop as one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client.parser import text_string_to_metric_families

from ftq.lifecycle import FINAL
from ftq_cli.local import health_url
from tests.backends import eventually
from tests.e2e.stage import Stage, pretty, stage
from tests.e2e.test_bad_settings import GOOD, daemon

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

TASKS = 40


def members(parent: int) -> list[int]:
    """The processes that a process has started."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def runs(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def fetch(on: Stage, path: str) -> tuple[int, str]:
    (child,) = on.it.daemons.values()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{health_url(child)}{path}") as response,
    ):
        return response.status, await response.text()


async def succeeded(on: Stage) -> float:
    status, text = await fetch(on, "/metrics")
    assert status == 200, text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "ftq_tasks_total" and sample.labels["outcome"] == "succeeded"
    )


async def run_some(on: Stage, ms: int = 50) -> list[str]:
    """Have tasks run to their end; the daemons that ran them."""
    payload = {"failure_rate": 0, "ms": ms}
    ids = list(await asyncio.gather(*(on.submit("demo.flaky", payload) for _ in range(TASKS))))

    async def all_ended() -> bool:
        return all(task["state"] in FINAL for task in await on.all(ids))

    await eventually(all_ended, within=30)
    tasks = await on.all(ids)
    assert {task["state"] for task in tasks} == {"succeeded"}, pretty(tasks)
    histories = [task["history"] for task in tasks]
    return [
        str(e["by"]) for h in histories if isinstance(h, list) for e in h if isinstance(e, dict)
    ]


async def test_two_processes_share_the_work_and_answer_as_one() -> None:
    async with stage(daemons=1, FTQ_PROCESSES="2", FTQ_CONCURRENCY="4") as on:
        (child,) = on.it.daemons.values()
        assert child.started["concurrency"] == 8
        assert len(members(child.pid)) == 2
        assert (await fetch(on, "/healthz"))[0] == (await fetch(on, "/readyz"))[0] == 200
        by = await run_some(on)
        assert len(set(by)) == 2, "both took part"
        assert await succeeded(on) == TASKS

        # One is killed: another takes its place, and what it had counted is not forgotten.
        victim = members(child.pid)[0]
        os.kill(victim, signal.SIGKILL)
        (ended,) = await eventually(lambda: on.lines.events("daemon.process_ended"))
        assert ended["code"] == -signal.SIGKILL

        async def is_ready() -> bool:
            return (await fetch(on, "/readyz"))[0] == 200

        await eventually(is_ready, within=30)
        assert await succeeded(on) == TASKS
        by += (again := await run_some(on))
        assert len(set(again)) == 2
        assert await succeeded(on) == 2 * TASKS
        assert on.it.deaths == 0
        both = members(child.pid)
        assert victim not in both
    stopped = on.lines.events("daemon.stopped")
    assert [each["left"] for each in stopped] == [0, 0]
    assert not any(map(runs, both))
    # What each said in metrics is what it did, to the last task before its stop, and nobody else
    # says it too; but for the one that was killed, which said no more.
    said: Counter[str] = Counter()
    for line in on.lines.events("metrics"):
        if "daemon" in line:  # the API tells its own
            said[str(line["daemon"])] += int(str(line.get("TasksSucceeded", 0)))
    ran = Counter(by)
    assert set(said) <= set(ran)
    assert sum(said[name] != ran[name] for name in ran) <= 1, (said, ran)


@pytest.mark.parametrize("processes", [1, 2])
async def test_ecs_hears_one_voice_and_that_as_long_as_any_process_works(processes: int) -> None:
    told: list[object] = []

    async def agent(request: web.Request) -> web.Response:
        told.append((await request.json())["ProtectionEnabled"])
        return web.json_response({"protection": {}})

    app = web.Application()
    app.router.add_put("/task-protection/v1/state", agent)
    async with TestServer(app) as server:
        async with stage(
            daemons=1,
            FTQ_PROCESSES=str(processes),
            FTQ_CONCURRENCY="4",
            ECS_AGENT_URI=str(server.make_url("/")),
        ) as on:
            assert len(set(await run_some(on, ms=300))) == processes
            await eventually(lambda: told)
        assert told == [True, False]


async def test_processes_whose_parent_is_killed_drain_and_end() -> None:
    async with stage(daemons=1, FTQ_PROCESSES="2") as on:
        (child,) = on.it.daemons.values()
        orphans = members(child.pid)
        slow = [await on.submit("demo.sleep", {"seconds": 2}) for _ in range(4)]

        async def all_run() -> bool:
            return all(task["state"] == "running" for task in await on.all(slow))

        await eventually(all_run)
        os.kill(child.pid, signal.SIGKILL)
        await eventually(lambda: not any(map(runs, orphans)), within=30)
        for task in await on.all(slow):
            assert (task["state"], task["claim_no"]) == ("succeeded", 1), pretty(task)


def test_what_keeps_all_of_them_from_starting_is_told_once(tmp_path: Path) -> None:
    done = daemon(tmp_path, **{**GOOD, "FTQ_HANDLERS": "nowhere:registry"}, FTQ_PROCESSES="3")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("FTQ_HANDLERS='nowhere:registry'")
