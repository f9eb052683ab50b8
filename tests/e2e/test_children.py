"""Handlers in processes of a real daemon: they hold nothing up, and never outlive it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.backends import eventually
from tests.e2e.doors import Account
from tests.e2e.stage import Stage, environ, pretty, stage
from tests.unit.daemon import in_children

pytestmark = pytest.mark.e2e

HANDLERS = f"{in_children.__name__}:registry"


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def state(on: Stage, task_id: str, wanted: str) -> None:
    async def is_so() -> bool:
        [task] = await on.all([task_id])
        return task["state"] == wanted

    await eventually(is_so, within=40)


def written(path: Path) -> int:
    """The process that wrote its number there; 0 if none has yet."""
    return int(path.read_text() or 0) if path.exists() else 0


async def begun(path: Path) -> int:
    async def is_so() -> bool:
        return written(path) > 0

    await eventually(is_so, within=20)
    return written(path)


async def test_a_computing_handler_holds_neither_the_loop_nor_its_claim_up(tmp_path: Path) -> None:
    async with stage(1, HANDLERS, FTQ_VISIBILITY_SECONDS="8", FTQ_LOG_LEVEL="WARNING") as on:
        began = time.monotonic()
        task_id = await on.submit("child.busy", 12)
        big = await on.submit("child.length", "x" * 200 * 1024)
        await state(on, big, "succeeded")
        assert time.monotonic() - began < 12, "it waited for the one that computes"
        await state(on, task_id, "succeeded")
        [busy, length] = await on.all([task_id, big])
        assert (busy["claim_no"], busy["attempts"], busy["crashes"]) == (1, 0, 0), pretty(busy)
        assert length["result"] == 200 * 1024
        assert on.lines.events("loop.blocked") == []


async def test_a_killed_daemon_leaves_no_child_behind(tmp_path: Path) -> None:
    path = tmp_path / "begun"
    async with stage(1, HANDLERS, FTQ_VISIBILITY_SECONDS="8", FTQ_DRAIN_SECONDS="0") as on:
        await on.submit("child.compute", str(path))
        child = await begun(path)
        [victim] = on.it.daemons.values()
        path.unlink()
        victim.kill(signal.SIGKILL)

        async def is_gone() -> bool:
            return not lives(child)

        await eventually(is_gone, within=5)
        second = await begun(path)  # the next daemon's
        assert second != child
    assert not lives(second), "it has survived its daemon's stop"


async def test_a_drain_that_runs_out_gives_a_computing_task_back(tmp_path: Path) -> None:
    path = tmp_path / "begun"
    async with stage(1, HANDLERS, FTQ_DRAIN_SECONDS="0") as on:
        task_id = await on.submit("child.compute", str(path))
        child = await begun(path)
        [daemon] = on.it.daemons.values()
        daemon.kill(signal.SIGTERM)
        await asyncio.wait_for(daemon.process.wait(), 30)
        assert not lives(child)
        assert on.lines.events("task.released", task_id)
        assert on.lines.events("task.abandoned") == []


def test_handlers_that_no_child_can_load_are_refused_at_the_start(
    tmp_path: Path, ministack_url: str
) -> None:
    (tmp_path / "odd.py").write_text(
        "import sys\n"
        "from ftq import Registry\n"
        "registry = Registry()\n"
        "if sys.argv[0].endswith('__main__.py'):\n"
        "    @registry.handler('odd.one', run_in='process')\n"
        "    def one(_: object) -> None: ...\n"
    )
    account, dlq = Account.at(ministack_url), Account.at(ministack_url)
    settings = {**account.settings, "FTQ_DLQ_URL": dlq.queue_url, "FTQ_HANDLERS": "odd:registry"}
    done = subprocess.run(
        [sys.executable, "-m", "ftq_daemon"],
        cwd=tmp_path,
        env=environ() | settings,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 2, done
    [line] = done.stderr.splitlines()
    assert line.startswith("FTQ_HANDLERS='odd:registry': ")
    assert "it has no handlers" in line
