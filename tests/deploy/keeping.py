"""Handlers for the test of permissions: one on a schedule, one that fails, one that is slow."""

from __future__ import annotations

import asyncio

from ftq import Registry, Reject, Retry

registry = Registry()


@registry.every("* * * * *")
@registry.handler("each.minute")
async def each_minute(_: object) -> None:
    """The schedule's own calls are what is wanted."""


@registry.handler("echo")
async def echo(payload: object) -> None:
    """Nothing to do."""


@registry.handler("fail")
async def fail(payload: object) -> None:
    """Dead at once."""
    raise Reject("as it was told")


@registry.handler("again")
async def again(payload: object) -> None:
    """Hidden, and then hidden again."""
    raise Retry(after=600)


@registry.handler("long")
async def long(payload: object) -> None:
    """Until it is cancelled."""
    await asyncio.sleep(3600)
