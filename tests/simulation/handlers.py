"""The handlers of the simulation: every way in which users' code behaves, and misbehaves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from ftq import BreakerPolicy, Context, Registry, Reject, Retry, RetryPolicy
from ftq.testing import current_process
from tests.simulation.book import Book, End, Run
from tests.simulation.ops import Kind
from tests.simulation.runs import begin
from tests.simulation.schedule import Schedule
from tests.simulation.table_watch import Sender

LONG: Final = 3600.0
TIMEOUTS: Final = {"hasty": 5.0, "stubborn": 8.0}


class Boom(Exception):
    """A handler failed. It says under which claim."""


class Order(BaseModel):
    """The payload of all tasks."""

    task: int
    pad: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the handlers of a run know.

    Attributes:
        schedule: The run.
        book: Where it is written.
        who: The daemons by name.
    """

    schedule: Schedule
    book: Book
    who: Callable[[str], Sender | None]

    def down(self) -> bool:
        """Whether the dependency of `fragile` tasks is down."""
        now = self.book.now
        return any(start <= now < end for start, end in self.schedule.outages)


SCENE: Final[ContextVar[Scene]] = ContextVar("scene")
Body = Callable[[Scene, random.Random, Context], Awaitable[None]]


async def _quick(scene: Scene, dice: random.Random, context: Context) -> None:
    await asyncio.sleep(dice.random() * 2)


async def _flaky(scene: Scene, dice: random.Random, context: Context) -> None:
    await asyncio.sleep(dice.random())
    if dice.random() < 0.5:
        raise Boom(f"claim {context.claim_no}")


async def _doomed(scene: Scene, dice: random.Random, context: Context) -> None:
    await asyncio.sleep(dice.random())
    # While its breaker is not closed no task dies of failures (docs/adr/0011), so what failed for
    # ever would go on for ever.
    if context.claim_no < 9:
        raise Boom(f"claim {context.claim_no}")


async def _slow(scene: Scene, dice: random.Random, context: Context) -> None:
    half = scene.schedule.terms.visibility * dice.uniform(0.2, 2)
    await asyncio.sleep(half)
    if dice.random() < 0.3:
        await context.progress({"half": context.claim_no})
    await asyncio.sleep(half)
    if dice.random() < 0.3:
        raise Boom(f"claim {context.claim_no}")


async def _picky(scene: Scene, dice: random.Random, context: Context) -> None:
    await asyncio.sleep(dice.random())
    if dice.random() < 0.7:
        raise Reject(f"claim {context.claim_no}")


async def _patient(scene: Scene, dice: random.Random, context: Context) -> None:
    await asyncio.sleep(dice.random() * 3)
    wish = dice.random()
    if wish < 0.5:
        raise Retry(after=dice.choice((0, 3, 8)), counts=False)
    if wish < 0.7:
        raise Retry(after=dice.choice((0, 3, 8)))


async def _hasty(scene: Scene, dice: random.Random, context: Context) -> None:
    await asyncio.sleep(dice.random() * 10)


async def _stubborn(scene: Scene, dice: random.Random, context: Context) -> None:
    end = scene.book.now + dice.random() * 3 * scene.schedule.terms.visibility
    while (left := end - scene.book.now) > 0.001:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            _run(scene, context).told = True
    if dice.random() < 0.3:
        raise Boom(f"claim {context.claim_no}")


async def _killer(scene: Scene, dice: random.Random, context: Context) -> None:
    await asyncio.sleep(dice.random() * 2)
    process = current_process()
    if process is not None and not scene.book.closed and dice.random() < 0.8:
        apart = process.parent is not None
        scene.book.note(
            process.name, "killed", context.task_id, f"by its handler{' apart' * apart}"
        )
        scene.book.seen["killed by a handler"] += not apart
        scene.book.seen["killed by a suspect: only its process"] += apart
        if apart:  # who dies with its daemon is not heard of again
            _run(scene, context).end = "killed"
        process.kill()
        await asyncio.sleep(LONG)


async def _fragile(scene: Scene, dice: random.Random, context: Context) -> None:
    await asyncio.sleep(dice.random())
    if scene.down():
        raise Boom(f"claim {context.claim_no}")


_BODIES: Final[dict[Kind, Body]] = {
    "quick": _quick,
    "flaky": _flaky,
    "doomed": _doomed,
    "slow": _slow,
    "picky": _picky,
    "patient": _patient,
    "hasty": _hasty,
    "stubborn": _stubborn,
    "killer": _killer,
    "fragile": _fragile,
    "new": _quick,
}
_POLICIES: Final[dict[Kind, RetryPolicy]] = {
    "doomed": RetryPolicy(attempts=2, base=3, cap=10),
    "fragile": RetryPolicy(attempts=4, base=2, cap=10),
}
# A run has few tasks: a breaker with the usual limits would hardly ever open.
BREAKERS: Final = BreakerPolicy(minimum=8, failures=4, rate=0.5, in_a_row=6, tasks=3)
_USUAL: Final = RetryPolicy(attempts=3, base=4, cap=20)


async def _play(kind: Kind, context: Context) -> dict[str, int]:
    """Run a handler, and write down how it began and ended."""
    scene, timeout = SCENE.get(), TIMEOUTS.get(kind, 600.0)
    process = current_process()
    apart = process is not None and process.parent is not None
    run = Run(process.name if process else "", scene.book.now, timeout, apart)
    begin(scene.book, scene.schedule, scene.who, context, run)
    # What it does is drawn for each claim, whoever runs it.
    dice = random.Random(f"{scene.schedule.seed} {context.task_id} {context.claim_no}")
    end: End = "raised"
    try:
        await _BODIES[kind](scene, dice, context)
        end = "returned"
    except asyncio.CancelledError:
        end, run.told = "cancelled", True
        raise
    except Retry as wish:
        end = "retry" if wish.counts else "patient"
        raise
    except Reject:
        end = "rejected"
        raise
    finally:
        run.end, run.ended = end, scene.book.now
        scene.book.note(run.by, f"handler {end}", context.task_id, f"claim {context.claim_no}")
        scene.book.seen[f"handler {end}"] += 1
    return {"claim": context.claim_no}


def _run(scene: Scene, context: Context) -> Run:
    return scene.book.life(context.task_id).runs[context.claim_no]


def _register(registry: Registry, kind: Kind) -> None:
    breaker = "shop" if kind == "fragile" else kind
    registry.breaker(breaker, BREAKERS)
    policy, timeout = _POLICIES.get(kind, _USUAL), TIMEOUTS.get(kind, 600.0)

    @registry.handler(kind, retry=policy, timeout=timeout, breaker=breaker)
    async def handle(order: Order, context: Context) -> dict[str, int]:
        return await _play(kind, context)


def registry(*, old: bool) -> Registry:
    """The handlers; an old daemon does not know the newest."""
    found = Registry()
    for kind in _BODIES:
        if not (old and kind == "new"):
            _register(found, kind)
    return found


CURRENT: Final = registry(old=False)
OLD: Final = registry(old=True)
