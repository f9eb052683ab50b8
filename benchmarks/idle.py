"""How long does a lone task take, and what does a worker ask of AWS while there is nothing to do?

    python -m benchmarks.idle --tasks 300 --quiet 60

Each task comes when the one before has long been done. Its latency runs from its message's
arrival in the queue to the write of its outcome, both by the stub's clock.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.lineup import SIDES
from benchmarks.load import load_one
from benchmarks.machine import AWS_CPU, cpu_seconds, pin
from benchmarks.report import write
from benchmarks.side import Side
from benchmarks.stage import Counts, StubStage, stage_of
from benchmarks.worker import working

# Gaps differ, so that no timer of the worker falls into step with them.
GAP_SECONDS: Final = (0.06, 0.14)
START_SECONDS: Final = 30.0
WARM_UP: Final = 20


@dataclass(frozen=True, slots=True)
class Idle:
    """One side's answers; latencies in milliseconds, calls and CPU a minute with nothing to do."""

    side: str
    tasks: int
    p50: float
    p95: float
    p99: float
    most: float
    quiet_calls: Mapping[str, float]
    quiet_cpu_ms: float


async def measure(side: Side, tasks: int, quiet: float) -> Idle:
    """Lone tasks, then a while of nothing."""
    async with stage_of("stub") as stage:
        assert isinstance(stage, StubStage)
        with working(side, stage) as worker:
            await _polling(stage)
            sent = await _lone_tasks(stage, tasks + WARM_UP)
            found = _latencies(await stage.told("times"), sent)[WARM_UP:]
            before, cpu = await stage.look(0), cpu_seconds(worker.pid)
            await asyncio.sleep(quiet)
            after, cpu = await stage.look(0), cpu_seconds(worker.pid) - cpu
    minutes = max(quiet, 1e-9) / 60
    calls = {name: after.calls[name] - before.calls.get(name, 0) for name in after.calls}
    cuts = quantiles(found, n=100)
    return Idle(
        side=side.name,
        tasks=len(found),
        p50=cuts[49],
        p95=cuts[94],
        p99=cuts[98],
        most=max(found),
        quiet_calls={name: count / minutes for name, count in calls.items() if count},
        quiet_cpu_ms=cpu * 1000 / minutes,
    )


async def _polling(stage: StubStage) -> None:
    """Wait for the worker's first receive."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            seen = await stage.look(0)
            if seen.calls.get("ReceiveMessage"):
                return
            await asyncio.sleep(0.05)


async def _lone_tasks(stage: StubStage, count: int) -> list[tuple[str, str]]:
    sent: list[tuple[str, str]] = []
    for number in range(count):
        await asyncio.sleep(random.uniform(*GAP_SECONDS))
        sent.append(await load_one(stage, number))
    await asyncio.sleep(1)
    return sent


def _latencies(times: Mapping[str, object], sent: Sequence[tuple[str, str]]) -> list[float]:
    messages, settled = _times(times["sent"]), _times(times["settled"])
    return [(settled[task] - messages[message]) / 1e6 for task, message in sent]


def _times(value: object) -> Counts:
    assert isinstance(value, dict)
    return value


def _show(found: Sequence[Idle]) -> None:
    table = Table(title="A lone task: message in the queue to outcome written", box=box.SIMPLE)
    table.add_column("side")
    for name in ("p50 ms", "p95", "p99", "most", "CPU ms/min idle"):
        table.add_column(name, justify="right")
    table.add_column("calls a minute idle")
    for each in found:
        figures = (each.p50, each.p95, each.p99, each.most, each.quiet_cpu_ms)
        calls = ", ".join(f"{name} {count:.0f}" for name, count in each.quiet_calls.items())
        table.add_row(each.side, *(f"{figure:.1f}" for figure in figures), calls or "-")
    Console(width=max(100, Console().width)).print(table)


def main() -> None:
    """Measure, print a table, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.idle", description=__doc__)
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), default=["ftq", "naive"])
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--quiet", type=float, default=60.0, help="seconds with nothing to do")
    asked = parser.parse_args()
    pin(0, AWS_CPU)
    found = [asyncio.run(measure(SIDES[name], asked.tasks, asked.quiet)) for name in asked.sides]
    _show(found)
    print(write("idle", found))


if __name__ == "__main__":
    main()
