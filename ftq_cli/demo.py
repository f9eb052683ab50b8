"""The demo's handlers: ``ftq_cli.demo:registry``."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import Annotated, Final

from pydantic import BaseModel, Field

from ftq import Context, Registry

registry: Final = Registry()

# Below the longest timeout that a handler may have.
LONGEST_SECONDS: Final = 39_000


class DemoError(Exception):
    """What a demo handler fails with."""


class PermanentDemoError(DemoError):
    """What no further attempt can help."""


class Flaky(BaseModel):
    """How often `demo.flaky` fails, and how long it takes."""

    failure_rate: Annotated[float, Field(ge=0, le=1)] = 0.3
    ms: Annotated[int, Field(ge=0, le=LONGEST_SECONDS * 1000)] = 0


class Sleep(BaseModel):
    """How long `demo.sleep` sleeps."""

    seconds: Annotated[float, Field(ge=0, le=LONGEST_SECONDS)]


class Fail(BaseModel):
    """What `demo.fail` says."""

    message: str = "asked to fail"


class Effect(BaseModel):
    """The file to which `demo.effect` adds its line."""

    path: str


@registry.handler("demo.echo")
async def echo(payload: object) -> object:
    """Return the payload."""
    return payload


# It fails by dice, and leans on nothing that could be down.
@registry.handler("demo.flaky", timeout=LONGEST_SECONDS + 60, breaker=False)
async def flaky(payload: Flaky) -> str:
    """Fail now and then: each attempt draws anew."""
    await asyncio.sleep(payload.ms / 1000)
    if random.random() < payload.failure_rate:
        raise DemoError("drew a failure")
    return "ok"


@registry.handler("demo.sleep", timeout=LONGEST_SECONDS + 60)
async def sleep(payload: Sleep) -> float:
    """Take a while."""
    await asyncio.sleep(payload.seconds)
    return payload.seconds


@registry.handler("demo.fail", permanent=(PermanentDemoError,))
async def fail(payload: Fail) -> None:
    """Fail in a way that no further attempt can help."""
    raise PermanentDemoError(payload.message)


@registry.handler("demo.crash")
async def crash(_: dict[str, object]) -> None:
    """Take the whole process down, as an out-of-memory kill would."""
    os.kill(os.getpid(), signal.SIGKILL)


@registry.handler("demo.effect")
def effect(payload: Effect, context: Context) -> None:
    """Add one line ``task_id claim_no`` to a file: this is how effects are counted."""
    line = f"{context.task_id} {context.claim_no}\n".encode()
    file = os.open(payload.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        # One write of an O_APPEND file: lines of several processes never mix.
        os.write(file, line)
    finally:
        os.close(file)
