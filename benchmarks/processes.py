"""What do two processes of one daemon do on two cores (FTQ_PROCESSES)?

    python -m benchmarks.processes --tasks 4000 --runs 3

The handler computes for 5 ms, so that cores are what is short. The stand-in shares the first core
with one of the two processes, and takes some of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.machine import AWS_CPU, WORKER_CPU, pin
from benchmarks.plots import Bar, bars
from benchmarks.report import write
from benchmarks.side import Side
from benchmarks.sides.ftq_daemon import QUIET
from benchmarks.stage import stage_of
from benchmarks.throughput import PATIENCE
from benchmarks.worker import working

CORES: Final = (frozenset({WORKER_CPU}), frozenset({WORKER_CPU, AWS_CPU}))


@dataclass(frozen=True, slots=True)
class Scaled:
    """What so many processes did on as many cores.

    Attributes:
        processes: How many.
        rate: Tasks a second, by run.
        aws_share: What the stand-in took of a core.
    """

    processes: int
    rate: list[float]
    aws_share: float


def side_of(processes: int) -> Side:
    """The daemon with so many processes, and a handler that computes."""
    told = {
        "FTQ_PROCESSES": str(processes),
        "FTQ_HANDLERS": "benchmarks.spinning:registry",
        "FTQ_CONCURRENCY": "16",
    }
    return replace(QUIET, name=f"{processes} processes", environment={**QUIET.environment, **told})


async def measure(processes: int, tasks: int) -> tuple[float, float]:
    """One run: tasks a second, and what the stand-in took of a core.

    Raises:
        WorkerFailedError: It did not do its work.
    """
    side = side_of(processes)
    async with stage_of("stub") as stage:
        await side.load(stage, tasks)
        with working(side, stage) as worker:
            # Before it starts its processes, which inherit this.
            os.sched_setaffinity(worker.pid, CORES[processes - 1])
            first = await worker.until(stage, "stub", tasks, tasks // 10, PATIENCE)
            last = await worker.until(stage, "stub", tasks, tasks, PATIENCE)
    seconds = last.last - first.at
    return (last.done - first.done) / seconds, (last.cpu - first.cpu) / seconds


async def measure_all(tasks: int, runs: int) -> list[Scaled]:
    """Both in turn, so many times."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    shares: dict[int, list[float]] = {1: [], 2: []}
    for number in range(runs):
        for processes in rates:
            rate, share = await measure(processes, tasks)
            rates[processes].append(rate)
            shares[processes].append(share)
            print(f"{number + 1}/{runs} {processes} processes: {rate:.0f}/s", flush=True)
    return [Scaled(n, rates[n], median(shares[n])) for n in rates]


def _show(found: Sequence[Scaled]) -> None:
    table = Table(title="Tasks of 5 ms of computing", box=box.SIMPLE)
    for name in ("processes", "tasks/s", "of one", "stand-in"):
        table.add_column(name, justify="right")
    one = median(found[0].rate)
    for each in found:
        rate = median(each.rate)
        share = f"{each.aws_share:.0%}"
        table.add_row(str(each.processes), f"{rate:,.0f}", f"{rate / one:.2f} ×", share)
    Console().print(table)


def main() -> None:
    """Measure, print a table, write the JSON and the plot."""
    parser = argparse.ArgumentParser(prog="benchmarks.processes", description=__doc__)
    parser.add_argument("--tasks", type=int, default=3_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    pin(0, AWS_CPU)
    found = asyncio.run(measure_all(asked.tasks, asked.runs))
    _show(found)
    path = write("processes", found)
    drawn = [
        Bar(f"{each.processes} processes", median(each.rate), min(each.rate), max(each.rate))
        for each in found
    ]
    print(path, *bars(path, "Tasks of 5 ms of computing, done a second", "tasks/s", drawn))


if __name__ == "__main__":
    main()
