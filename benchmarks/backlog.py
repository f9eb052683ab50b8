"""Does a task cost more when many others wait behind it?

    python -m benchmarks.backlog --backlogs 2000 20000 200000 --runs 3

Each time the same number of tasks is measured, with so many waiting at the start. Backlogs take
turns, so that whatever disturbs the machine hits all alike.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.lineup import SIDES
from benchmarks.machine import AWS_CPU, family_cpu_seconds, pin, resident_mib
from benchmarks.plots import Bar, bars
from benchmarks.report import write
from benchmarks.side import Side
from benchmarks.stage import stage_of
from benchmarks.throughput import PATIENCE
from benchmarks.worker import working

BACKLOGS: Final = (2_000, 20_000, 200_000)


@dataclass(frozen=True, slots=True)
class Run:
    """What tasks cost once with so many waiting at the start."""

    tasks: int
    cpu_us: float
    rate: float
    calls_per_task: float
    resident_mib: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """The medians of runs with so many waiting at the start, and the runs."""

    waiting: int
    cpu_us: float
    rate: float
    calls_per_task: float
    resident_mib: float
    runs: Sequence[Run]

    @classmethod
    def of(cls, waiting: int, runs: Sequence[Run]) -> Backlog:
        """Of these runs."""
        return cls(
            waiting=waiting,
            cpu_us=median(each.cpu_us for each in runs),
            rate=median(each.rate for each in runs),
            calls_per_task=median(each.calls_per_task for each in runs),
            resident_mib=median(each.resident_mib for each in runs),
            runs=runs,
        )


async def measure(side: Side, waiting: int, tasks: int) -> Run:
    """One run; a tenth of what is measured goes before, for warmth.

    Raises:
        WorkerFailedError: It did not do its work.
    """
    async with stage_of("stub") as stage:
        await side.load(stage, waiting)
        with working(side, stage) as worker:
            first = await worker.until(stage, "stub", waiting, tasks // 10, PATIENCE)
            cpu = family_cpu_seconds(worker.pid)
            last = await worker.until(stage, "stub", waiting, tasks, PATIENCE)
            cpu = family_cpu_seconds(worker.pid) - cpu
            memory = resident_mib(worker.pid)
    done = last.done - first.done
    calls = sum(last.calls.values()) - sum(first.calls.values())
    return Run(
        tasks=done,
        cpu_us=cpu / done * 1e6,
        rate=done / (last.at - first.at),
        calls_per_task=calls / done,
        resident_mib=memory,
    )


def _show(found: Sequence[Backlog]) -> None:
    table = Table(title="A task, by how many waited at the start", box=box.SIMPLE)
    for name in ("waiting", "CPU µs", "tasks/s", "calls", "MiB"):
        table.add_column(name, justify="right")
    for each in found:
        table.add_row(
            f"{each.waiting:,}",
            f"{each.cpu_us:,.0f}",
            f"{each.rate:,.0f}",
            f"{each.calls_per_task:.2f}",
            f"{each.resident_mib:.0f}",
        )
    Console().print(table)


def main() -> None:
    """Measure, print a table, write the JSON and the plot."""
    parser = argparse.ArgumentParser(prog="benchmarks.backlog", description=__doc__)
    parser.add_argument("--side", choices=tuple(SIDES), default="ftq")
    parser.add_argument("--backlogs", nargs="+", type=int, default=BACKLOGS)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    pin(0, AWS_CPU)
    side, tasks = SIDES[asked.side], min(asked.backlogs)
    runs: dict[int, list[Run]] = {waiting: [] for waiting in asked.backlogs}
    for _ in range(asked.runs):
        for waiting, so_far in runs.items():
            so_far.append(asyncio.run(measure(side, waiting, tasks)))
    found = [Backlog.of(waiting, each) for waiting, each in runs.items()]
    _show(found)
    path = write("backlog", found)
    drawn: list[Bar] = []
    for each in found:
        spent = [run.cpu_us for run in each.runs]
        drawn.append(Bar(f"{each.waiting:,} waiting", each.cpu_us, min(spent), max(spent)))
    print(path, *bars(path, "CPU of the daemon a no-op task", "µs", drawn))


if __name__ == "__main__":
    main()
