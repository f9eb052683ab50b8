"""Runs, what they come to, and how it is told: a table for people, JSON for comparisons."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.lineup import BASELINE, SIDES
from benchmarks.machine import facts
from benchmarks.stage import Counts

# Where results go; tests send them elsewhere.
RESULTS: Final = Path(os.environ.get("FTQ_BENCH_RESULTS") or Path(__file__).with_name("results"))
STATEMENTS: Final = "BatchExecuteStatement"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one side.

    Attributes:
        side: The side.
        stage: The stand-in.
        tasks: Tasks done in the interval.
        seconds: How long it took.
        cpu_seconds: CPU time of the worker in it.
        calls: AWS calls in it, by operation; empty where nobody counts.
        entries: Entries of those calls.
        peak_mib: The most memory the worker had.
        aws_share: How busy the stand-in was, of one core; 0 where it does not say.
        others_share: How busy the rest of the machine was, in cores: the noise.
        log_bytes: What the worker wrote a task.
    """

    side: str
    stage: str
    tasks: int
    seconds: float
    cpu_seconds: float
    calls: Counts
    entries: Counts
    peak_mib: float
    aws_share: float
    others_share: float
    log_bytes: float = 0.0

    @property
    def cpu_us(self) -> float:
        """CPU microseconds of the worker a task."""
        return self.cpu_seconds / self.tasks * 1e6

    @property
    def rate(self) -> float:
        """Tasks a second."""
        return self.tasks / self.seconds

    @property
    def calls_per_task(self) -> float:
        """AWS calls a task."""
        return sum(self.calls.values()) / self.tasks

    @property
    def batch(self) -> float:
        """Statements in a BatchExecuteStatement; 0 where there was none."""
        calls = self.calls.get(STATEMENTS, 0)
        return self.entries.get(STATEMENTS, 0) / calls if calls else 0.0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A side that has no figure, and why."""

    side: str
    reason: str


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some runs, and the least and the most."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What the runs of one side on one stand-in come to."""

    side: str
    stage: str
    runs: int
    tasks: int
    cpu_us: Spread
    rate: Spread
    calls_per_task: Spread
    batch: Spread
    peak_mib: Spread
    aws_share: Spread
    others_share: Spread
    cpu_of_baseline: float | None


def spread(values: Iterable[float]) -> Spread:
    """The median, the least and the most."""
    known = sorted(values)
    return Spread(median(known), known[0], known[-1])


def summarize(runs: Sequence[Run]) -> list[Summary]:
    """One summary for each side on each stand-in, in order of first appearance."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.stage, run.side), []).append(run)
    cpu = {key: median(run.cpu_us for run in group) for key, group in groups.items()}
    return [
        Summary(
            side=side,
            stage=stage,
            runs=len(group),
            tasks=group[0].tasks,
            cpu_us=spread(run.cpu_us for run in group),
            rate=spread(run.rate for run in group),
            calls_per_task=spread(run.calls_per_task for run in group),
            batch=spread(run.batch for run in group),
            peak_mib=spread(run.peak_mib for run in group),
            aws_share=spread(run.aws_share for run in group),
            others_share=spread(run.others_share for run in group),
            cpu_of_baseline=(
                cpu[stage, side] / cpu[stage, BASELINE] if (stage, BASELINE) in cpu else None
            ),
        )
        for (stage, side), group in groups.items()
    ]


def show(summaries: Sequence[Summary], left: Sequence[LeftOut] = ()) -> None:
    """Print the table: medians, with half the distance from least to most where it matters."""
    table = Table(title="What a no-op task costs the worker; medians", box=box.SIMPLE)
    table.add_column("on")
    table.add_column("side", no_wrap=True)
    names = ("CPU µs", f"/ {BASELINE}", "tasks/s", "calls", "batch", "MiB", "stand-in", "others")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for each in summaries:
        counted = each.calls_per_task.median > 0
        of = each.cpu_of_baseline
        table.add_row(
            each.stage,
            each.side + ("" if SIDES[each.side].stateful else " *"),
            _with_noise(each.cpu_us),
            f"{of:.2f}" if of is not None else "-",
            _with_noise(each.rate),
            f"{each.calls_per_task.median:.2f}" if counted else "-",
            f"{each.batch.median:.1f}" if each.batch.median else "-",
            f"{each.peak_mib.median:.0f}",
            f"{each.aws_share.median:.0%}" if counted else "-",
            f"{each.others_share.median:.0%}" if counted else "-",
        )
    console = Console(width=max(115, Console().width))
    console.print(table)
    if any(not SIDES[each.side].stateful for each in summaries):
        console.print("* keeps no record of a task: it only receives and deletes")
    for out in left:
        console.print(f"left out: {out.side}: {out.reason.splitlines()[0]}", markup=False)


def _with_noise(values: Spread) -> str:
    half = (values.most - values.least) / 2 / values.median
    return f"{values.median:,.0f} ±{half:.0%}"


def write(question: str, found: object) -> Path:
    """Write results as JSON, with the machine they are from; returns where."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = RESULTS / f"{question}-{stamp}.json"
    whole = {"machine": facts(), "found": found}
    path.write_text(json.dumps(whole, indent=2, default=_plain, ensure_ascii=False) + "\n")
    return path


def newest(question: str) -> Path | None:
    """The newest results of a question, if there are any."""
    found = [path for path in RESULTS.glob(f"{question}-*.json") if path.stem.count("-") == 1]
    return max(found, default=None)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
