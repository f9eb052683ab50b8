"""How long do tasks take at half load, and does memory stay flat over 100,000 of them?

    python -m benchmarks.steady --tasks 100000

First a short drain tells how many the daemon can do a second on this machine; then tasks come at
half of that, a few at a time and at random moments. A task's time runs from its message's arrival
to the write of its outcome, both by the stub's clock.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, quantiles
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.lineup import SIDES
from benchmarks.load import load_some
from benchmarks.machine import AWS_CPU, pin, resident_mib
from benchmarks.plots import Line, lines
from benchmarks.report import write
from benchmarks.side import Side
from benchmarks.stage import Stage, StubStage, stage_of
from benchmarks.throughput import PATIENCE
from benchmarks.throughput import measure as drain
from benchmarks.worker import Worker, working

PROBE: Final = 4_000
AT_ONCE: Final = 10
# The first tenth is left out: imports, connections, caches that fill.
WARM_UP: Final = 10
SAMPLE_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Steady:
    """What was seen; times in milliseconds.

    Attributes:
        side: The side.
        tasks: Tasks that were timed.
        capacity: Tasks a second that the probe drained.
        asked: Tasks a second that should have come.
        came: Tasks a second that came: less, where this program could not send as fast.
        p50: Half of the tasks took at most this.
        p95: 95 of 100.
        p99: 99 of 100.
        most: The slowest.
        resident: Seconds since the start, and MiB resident then.
        growth_mib: Mean of the last tenth of those, less that of the tenth after the warm-up.
    """

    side: str
    tasks: int
    capacity: float
    asked: float
    came: float
    p50: float
    p95: float
    p99: float
    most: float
    resident: Sequence[tuple[float, float]]
    growth_mib: float


async def measure(side: Side, count: int, capacity: float) -> Steady:
    """Send so many tasks at half of what the side can do.

    Raises:
        WorkerFailedError: It did not do its work.
    """
    clock, asked = asyncio.get_running_loop().time, capacity / 2
    async with stage_of("stub") as stage:
        assert isinstance(stage, StubStage)
        with working(side, stage) as worker:
            began = clock()
            sampling = asyncio.create_task(_sampled(worker))
            sent = await _sent(stage, count, asked)
            seconds = clock() - began
            await worker.until(stage, "stub", count, count, PATIENCE)
            sampling.cancel()
            samples = [(at - began, mib) for at, mib in await sampling]
            found = _times(await stage.told("times"), sent)
    cuts = quantiles(found, n=100)
    tenth = max(1, len(samples) // 10)
    early, late = samples[tenth : 2 * tenth], samples[-tenth:]
    return Steady(
        side=side.name,
        tasks=len(found),
        capacity=capacity,
        asked=asked,
        came=count / seconds,
        p50=cuts[49],
        p95=cuts[94],
        p99=cuts[98],
        most=max(found),
        resident=samples,
        growth_mib=mean(mib for _, mib in late) - mean(mib for _, mib in early or samples),
    )


async def _sent(stage: Stage, count: int, rate: float) -> list[tuple[str, str]]:
    """Tens of tasks at random moments, in a stream of its own each; ids and messages of all."""
    clock, sent = asyncio.get_running_loop().time, list[tuple[str, str]]()
    due = clock()
    async with asyncio.TaskGroup() as group:
        for first in range(0, count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, count))
            due += random.expovariate(rate / AT_ONCE)
            await asyncio.sleep(max(0.0, due - clock()))
            group.create_task(_load(stage, numbers, sent))
    return sent


async def _load(stage: Stage, numbers: range, sent: list[tuple[str, str]]) -> None:
    sent += await load_some(stage, numbers)


async def _sampled(worker: Worker) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    clock = asyncio.get_running_loop().time
    try:
        while True:
            found.append((clock(), resident_mib(worker.pid)))
            await asyncio.sleep(SAMPLE_SECONDS)
    except asyncio.CancelledError:
        return found


def _times(told: Mapping[str, object], sent: Sequence[tuple[str, str]]) -> list[float]:
    messages, settled = told["sent"], told["settled"]
    assert isinstance(messages, dict)
    assert isinstance(settled, dict)
    late = sent[len(sent) // WARM_UP :]
    return [(settled[task] - messages[message]) / 1e6 for task, message in late]


def _show(found: Steady) -> None:
    table = Table(title=f"{found.side} at half load: message in the queue to outcome written")
    table.box = box.SIMPLE
    names = ("tasks", "can do/s", "came/s", "p50 ms", "p95", "p99", "most", "MiB at end", "grew")
    for name in names:
        table.add_column(name, justify="right")
    table.add_row(
        *(f"{each:,.0f}" for each in (found.tasks, found.capacity, found.came)),
        *(f"{each:,.1f}" for each in (found.p50, found.p95, found.p99, found.most)),
        f"{found.resident[-1][1]:.1f}",
        f"{found.growth_mib:+.1f}",
    )
    Console(width=max(100, Console().width)).print(table)


def main() -> None:
    """Measure, print a table, write the JSON and the plot."""
    parser = argparse.ArgumentParser(prog="benchmarks.steady", description=__doc__)
    parser.add_argument("--side", choices=tuple(SIDES), default="ftq")
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--rate", type=float, help="what it can do a second, if that is known")
    asked = parser.parse_args()
    pin(0, AWS_CPU)
    side = SIDES[asked.side]
    capacity = asked.rate or asyncio.run(drain(side, "stub", PROBE)).rate
    found = asyncio.run(measure(side, asked.tasks, capacity))
    _show(found)
    path = write("steady", found)
    line = Line("resident", found.resident)
    title = f"Memory of the daemon over {asked.tasks:,} tasks"
    print(path, *lines(path, title, ("seconds", "MiB"), [line]))


if __name__ == "__main__":
    main()
