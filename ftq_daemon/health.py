"""The daemon's own HTTP: /healthz, /readyz and /metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, TypeAlias

from aiohttp import web

from ftq.errors import SettingsError
from ftq_daemon.daemon import Daemon

# A poll that is this much overdue means that polling is stuck, not merely slow.
STALLED_SECONDS: Final = 60.0
# Handlers that would not end hold threads and memory; this many mean that a fresh process is due.
LEFT_BEHIND_LIMIT: Final = 32


def alive(daemon: Daemon) -> str:
    """Why the process should be replaced; '' if it should not."""
    if not daemon.draining and daemon.intake.stalled_for > STALLED_SECONDS:
        return f"a receive is overdue by {daemon.intake.stalled_for:.0f} s"
    left = len(daemon.work.runner.left_behind)
    if left > LEFT_BEHIND_LIMIT:
        return f"{left} handlers did not end when they were told to"
    return ""


def ready(daemon: Daemon) -> str:
    """Why the daemon claims no work; '' if it does."""
    if daemon.draining:
        return "draining"
    if not daemon.store.answered:
        return "the table does not answer"
    if not daemon.intake.answered:
        return "the queue does not answer"
    return ""


Check: TypeAlias = Callable[[], Awaitable[str]]
"""Looks for a problem; '' if there is none."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the three routes answer.

    Attributes:
        alive: Why the process should be replaced.
        ready: Why it claims no work.
        metrics: The Prometheus exposition.
    """

    alive: Check
    ready: Check
    metrics: Callable[[], Awaitable[bytes]]


def answers_of(daemon: Daemon, render: Callable[[], bytes]) -> Answers:
    """The answers of one daemon."""

    async def is_alive() -> str:
        return alive(daemon)

    async def is_ready() -> str:
        return ready(daemon)

    async def metrics() -> bytes:
        return render()

    return Answers(is_alive, is_ready, metrics)


def _probe(check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def respond(_: web.Request) -> web.Response:
        problem = await check()
        status = 503 if problem else 200
        return web.json_response({"status": problem or "ok"}, status=status)

    return respond


@asynccontextmanager
async def serve(answers: Answers, host: str, port: int) -> AsyncIterator[str]:
    """Serve while the context lasts.

    Args:
        answers: What is answered.
        host: The address to listen on.
        port: The port; 0 for any that is free.

    Yields:
        The base URL, as reached from this machine.

    Raises:
        SettingsError: The port cannot be had.
    """

    async def exposition(_: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=await answers.metrics(), headers=headers)

    app = web.Application()
    app.router.add_get("/healthz", _probe(answers.alive))
    app.router.add_get("/readyz", _probe(answers.ready))
    app.router.add_get("/metrics", exposition)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            why = error.strerror or str(error)
            raise SettingsError(
                [f"FTQ_HEALTH_PORT={port} on FTQ_HEALTH_HOST={host!r}: cannot listen: {why}"]
            ) from error
        address, bound = runner.addresses[0][:2]
        reached = "127.0.0.1" if ip_address(address).is_unspecified else address
        yield f"http://{reached}:{bound}"
    finally:
        # A probe that is being answered is let finish, but never holds the stop up.
        async with asyncio.timeout(5):
            await runner.cleanup()
