"""A handler that does what none should: it holds its daemon's loop."""

from __future__ import annotations

import time

from ftq import Registry

registry = Registry()


@registry.handler("loop.holder")
async def hold(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251  # that is what is tested
