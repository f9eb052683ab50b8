"""How long does a lone task take, and what does a worker ask of AWS while there is nothing to do?

    python -m benchmarks.idle --tasks 200 --quiet 60

Each task comes when the one before has long been done. Its time ends with the write of its
outcome by the stub's clock, which is the machine's, as is that of this program.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.lineup import SIDES
from benchmarks.load import load_one
from benchmarks.machine import AWS_CPU, family_cpu_seconds, pin
from benchmarks.plots import Bar, bars
from benchmarks.report import write
from benchmarks.side import Side
from benchmarks.stage import Counts, Stage, StubStage, stage_of
from benchmarks.worker import working

# Gaps differ, so that no timer of the worker falls into step with them.
GAP_SECONDS: Final = (0.06, 0.14)
START_SECONDS: Final = 30.0
WARM_UP: Final = 20
SETTLE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Times:
    """Times in milliseconds."""

    p50: float
    p95: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Lone:
    """How long one side's tasks took, in milliseconds.

    Attributes:
        side: The side.
        tasks: How many were timed.
        submitted: From before the record was stored to the outcome's write.
        queued: From the message's arrival in the queue to the outcome's write.
    """

    side: str
    tasks: int
    submitted: Times
    queued: Times


@dataclass(frozen=True, slots=True)
class Quiet:
    """What one side asks of AWS, and burns, each minute while there is nothing to do."""

    side: str
    calls: Mapping[str, float]
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Sent:
    """One task: its id, its message's, and when its submission began, in ns."""

    task: str
    message: str
    at: int


async def lone(side: Side, tasks: int) -> Lone:
    """Tasks that come one by one."""
    async with stage_of("stub") as stage:
        assert isinstance(stage, StubStage)
        with working(side, stage):
            await _polling(stage)
            sent = (await _lone_tasks(stage, tasks + WARM_UP))[WARM_UP:]
            told = await stage.told("times")
    arrived, settled = _counts(told["sent"]), _counts(told["settled"])
    return Lone(
        side=side.name,
        tasks=len(sent),
        submitted=_spread([settled[each.task] - each.at for each in sent]),
        queued=_spread([settled[each.task] - arrived[each.message] for each in sent]),
    )


async def quiet(side: Side, seconds: float) -> Quiet:
    """A while of nothing, once the first empty polls are through."""
    async with stage_of("stub") as stage:
        with working(side, stage) as worker:
            await _polling(stage)
            await asyncio.sleep(SETTLE_SECONDS)
            before, cpu = await stage.look(0), family_cpu_seconds(worker.pid)
            await asyncio.sleep(seconds)
            after, cpu = await stage.look(0), family_cpu_seconds(worker.pid) - cpu
    minutes = max(seconds, 1e-9) / 60
    calls = {name: after.calls[name] - before.calls.get(name, 0) for name in after.calls}
    return Quiet(
        side=side.name,
        calls={name: count / minutes for name, count in calls.items() if count},
        cpu_ms=cpu * 1000 / minutes,
    )


async def quiet_all(sides: Sequence[Side], seconds: float) -> list[Quiet]:
    """All at once, each on a stand-in of its own: nobody has anything to do."""
    return list(await asyncio.gather(*(quiet(side, seconds) for side in sides)))


async def _polling(stage: Stage) -> None:
    """Wait for the worker's first receive."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            seen = await stage.look(0)
            if seen.calls.get("ReceiveMessage"):
                return
            await asyncio.sleep(0.05)


async def _lone_tasks(stage: Stage, count: int) -> list[Sent]:
    sent: list[Sent] = []
    for number in range(count):
        await asyncio.sleep(random.uniform(*GAP_SECONDS))
        began = time.monotonic_ns()
        sent.append(Sent(*await load_one(stage, number), began))
    await asyncio.sleep(1)
    return sent


def _spread(found: Sequence[int]) -> Times:
    cuts = quantiles([each / 1e6 for each in found], n=100)
    return Times(cuts[49], cuts[94], cuts[98], max(found) / 1e6)


def _counts(value: object) -> Counts:
    assert isinstance(value, dict)
    return value


def _show(tasks: Sequence[Lone], rests: Sequence[Quiet]) -> None:
    table = Table(title="A lone task, until its outcome is written: ms", box=box.SIMPLE)
    table.add_column("side")
    table.add_column("from")
    for name in ("p50", "p95", "p99", "most"):
        table.add_column(name, justify="right")
    for each in tasks:
        for begun, times in (("submit", each.submitted), ("queue", each.queued)):
            figures = (times.p50, times.p95, times.p99, times.most)
            table.add_row(each.side, begun, *(f"{figure:.1f}" for figure in figures))
    still = Table(title="Each minute with nothing to do", box=box.SIMPLE)
    still.add_column("side")
    still.add_column("CPU ms", justify="right")
    still.add_column("AWS calls")
    for rest in rests:
        calls = ", ".join(f"{name} {count:.1f}" for name, count in rest.calls.items())
        still.add_row(rest.side, f"{rest.cpu_ms:.0f}", calls or "-")
    console = Console(width=max(100, Console().width))
    console.print(table, still)


def main() -> None:
    """Measure, print tables, write the JSON and the plots."""
    parser = argparse.ArgumentParser(prog="benchmarks.idle", description=__doc__)
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), default=list(SIDES))
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--quiet", type=float, default=60.0, help="seconds with nothing to do")
    asked = parser.parse_args()
    pin(0, AWS_CPU)
    sides = [side for name in asked.sides if not (side := SIDES[name]).missing()]
    # A limit is no worker, and of a peer's task nobody tells when it began and ended.
    timed = [side for side in sides if side.kind in {"ftq", "loop"}]
    tasks = [asyncio.run(lone(side, asked.tasks)) for side in timed]
    rests = asyncio.run(quiet_all([side for side in sides if side.kind != "limit"], asked.quiet))
    _show(tasks, rests)
    path = write("idle", {"lone": tasks, "quiet": rests})
    print(path, *draw(path, tasks, rests))


def draw(path: Path, tasks: Sequence[Lone], rests: Sequence[Quiet]) -> list[Path]:
    """Bars, beside the JSON; returns where."""
    found: list[Path] = []
    if tasks:
        waits = [
            Bar(
                each.side,
                each.submitted.p50,
                each.submitted.p50,
                each.submitted.p99,
                SIDES[each.side].kind,
            )
            for each in tasks
        ]
        place = path.with_name(f"{path.stem}-lone")
        found += bars(place, "A lone task, submit to outcome: median, line to p99", "ms", waits)
    asked = [(rest, sum(rest.calls.values())) for rest in rests]
    polls = [Bar(rest.side, calls, calls, calls, SIDES[rest.side].kind) for rest, calls in asked]
    place = path.with_name(f"{path.stem}-quiet")
    return found + bars(place, "AWS calls a minute with nothing to do", "calls", polls)


if __name__ == "__main__":
    main()
