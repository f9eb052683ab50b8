"""Handlers on two queues."""

from __future__ import annotations

from ftq import Registry

registry = Registry()


@registry.handler("bulk.echo", queue="bulk")
async def bulk_echo(payload: dict[str, int]) -> dict[str, int]:
    return payload


@registry.handler("echo")
async def echo(payload: dict[str, int]) -> dict[str, int]:
    return payload
