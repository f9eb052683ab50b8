"""A daemon as a real process: the first signal drains it, the second ends it at once."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE

import pytest

from tests.e2e.stage import document, stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


async def says(process: asyncio.subprocess.Process, event: str) -> None:
    assert process.stdout is not None
    while document((await process.stdout.readline()).decode())["event"] != event:
        pass


@pytest.mark.parametrize(
    ("first", "second"),
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)],
)
@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_second_signal_ends_a_daemon_at_once(
    first: signal.Signals, second: signal.Signals, processes: str
) -> None:
    async with stage(daemons=1) as on:
        # Its drain awaits the receive under way, for long enough.
        more = {"FTQ_WAIT_SECONDS": "20", "FTQ_HEALTH_PORT": "0", "FTQ_PROCESSES": processes}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ftq_daemon"),
            env={**on.it.environ, **more},
            stdout=PIPE,
            stderr=DEVNULL,
        )
        try:
            await says(process, "daemon.started")
            await asyncio.sleep(1)  # a receive is under way
            process.send_signal(first)
            await says(process, "daemon.draining")
            process.send_signal(second)
            async with asyncio.timeout(5):
                assert await process.wait() == 128 + second
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
