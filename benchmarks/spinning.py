"""A handler that computes, so that what is measured is the cores."""

from __future__ import annotations

import time
from typing import Final

from benchmarks.handlers import TYPE, Note
from ftq.registry import Registry

SECONDS: Final = 0.005
registry: Final = Registry()


@registry.handler(TYPE)
async def spin(_note: Note) -> None:
    """Compute for so many seconds of CPU."""
    until = time.thread_time() + SECONDS
    while time.thread_time() < until:
        pass
