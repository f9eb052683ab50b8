"""What all child processes have in common: how they are stopped, and how an end is worded."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress


async def stop(process: asyncio.subprocess.Process, seconds: float) -> None:
    """SIGTERM, then SIGKILL for it and for whatever it may have started.

    Args:
        process: The leader of a session of its own.
        seconds: How long it has to end in order.
    """
    try:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await process.wait()
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def ending(code: int) -> str:
    """How a process ended, for people."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
