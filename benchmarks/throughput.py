"""What does a no-op task cost the worker, how many a second, and how many AWS calls?

    python -m benchmarks.throughput --tasks 20000 --runs 3

Each run starts a fresh stand-in, loads it, starts one worker on a core of its own and measures it
from when a twentieth of the tasks is done until all are.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.lineup import SIDES
from benchmarks.machine import AWS_CPU, busy_seconds, family_cpu_seconds, peak_mib, pin
from benchmarks.plots import Bar, bars
from benchmarks.report import LeftOut, Run, Spread, Summary, show, summarize, write
from benchmarks.side import Side
from benchmarks.stage import Counts, Seen, stage_of
from benchmarks.worker import WorkerFailedError, working

PATIENCE: Final = 30.0
TASKS: Final = {"stub": 15_000, "ministack": 2_000}
# Sides that take milliseconds a task are measured on fewer: none shall take longer than others.
SLOWER: Final = 5
PROOF: Final = 40


async def measure(side: Side, kind: str, count: int) -> Run:
    """One run of one side.

    Raises:
        WorkerFailedError: It did not do its work.
    """
    async with stage_of(kind) as stage:
        await side.load(stage, count)
        with working(side, stage) as worker:
            first = await worker.until(stage, kind, count, max(1, count // 20), PATIENCE)
            own, worker_cpu = time.process_time(), family_cpu_seconds(worker.pid)
            busy = busy_seconds()
            last = await worker.until(stage, kind, count, count, PATIENCE)
            worker_cpu = family_cpu_seconds(worker.pid) - worker_cpu
            busy, own = busy_seconds() - busy, time.process_time() - own
            memory = peak_mib(worker.pid)
            written = worker.written
        states = await stage.states()
    if last.left:
        raise WorkerFailedError(f"{side.name} left {last.left} messages")
    if states and side.stateful and states != {"succeeded": count}:
        raise WorkerFailedError(f"{side.name} left records in these states: {states}")
    seconds = last.last - first.at
    aws_cpu = last.cpu - first.cpu
    others = busy - worker_cpu - own - aws_cpu
    return Run(
        side=side.name,
        stage=kind,
        tasks=last.done - first.done,
        seconds=seconds,
        cpu_seconds=worker_cpu,
        calls=_difference(first, last, "calls"),
        entries=_difference(first, last, "entries"),
        peak_mib=memory,
        aws_share=aws_cpu / seconds,
        others_share=max(0.0, others / seconds) if kind == "stub" else 0.0,
        log_bytes=written / count,
    )


def _difference(first: Seen, last: Seen, what: str) -> Counts:
    before: Counts = getattr(first, what)
    after: Counts = getattr(last, what)
    found = {name: after[name] - before.get(name, 0) for name in after}
    return {name: count for name, count in found.items() if count}


async def prove(side: Side) -> None:
    """Have a peer show that its handler runs for each task before its message is deleted.

    Raises:
        WorkerFailedError: It deletes what it has not run, or does not work at all.
    """
    with TemporaryDirectory() as directory:
        path = Path(directory) / "effects"
        shown = replace(side, environment={**side.environment, "BENCH_EFFECTS": str(path)})
        await measure(shown, "stub", PROOF)
        ran = {int(line) for line in path.read_text().split()}
    if ran != set(range(PROOF)):
        raise WorkerFailedError(f"{side.name} ran {len(ran)} of {PROOF} tasks it deleted")


async def line_up(sides: Sequence[Side]) -> tuple[list[Side], list[LeftOut]]:
    """Those that can be measured here, and why the others cannot."""
    fit: list[Side] = []
    left: list[LeftOut] = []
    for side in sides:
        reason = side.missing()
        if not reason and side.peer:
            try:
                await prove(side)
            except (WorkerFailedError, RuntimeError, OSError) as error:
                reason = str(error)
        if reason:
            left.append(LeftOut(side.name, reason))
            print(f"{side.name} is left out: {reason}", flush=True)
        else:
            fit.append(side)
    return fit, left


async def run_all(
    kind: str, sides: Sequence[Side], count: int, runs: int
) -> tuple[list[Run], list[LeftOut]]:
    """All sides in turn, so many times: what disturbs the machine then hits all alike.

    Raises:
        WorkerFailedError: A side of our own failed. A peer that does has no figure.
    """
    found: list[Run] = []
    failed: dict[str, LeftOut] = {}
    for number in range(runs):
        for side in sides:
            if side.name in failed:
                continue
            try:
                run = await measure(side, kind, count // SLOWER if side.slow else count)
            except WorkerFailedError as error:
                if not side.peer:
                    raise
                failed[side.name] = LeftOut(side.name, str(error))
                continue
            found.append(run)
            told = f"{run.cpu_us:.0f} µs, {run.rate:.0f}/s"
            print(f"{kind} {number + 1}/{runs} {side.name}: {told}", flush=True)
    return [run for run in found if run.side not in failed], list(failed.values())


def draw(path: Path, summaries: Sequence[Summary]) -> list[Path]:
    """Bars of what was measured on the stub, beside the JSON; returns where."""
    here = [each for each in summaries if each.stage == "stub"]

    def drawn(name: str, title: str, unit: str, figure: Callable[[Summary], Spread]) -> list[Path]:
        found: list[Bar] = []
        for each in here:
            spread = figure(each)
            kind = SIDES[each.side].kind
            found.append(Bar(each.side, spread.median, spread.least, spread.most, kind))
        return bars(path.with_name(f"{path.stem}-{name}"), title, unit, found) if found else []

    return [
        *drawn("cpu", "CPU of the worker a no-op task", "µs", lambda each: each.cpu_us),
        *drawn("rate", "Drained by one process on one core", "tasks/s", lambda each: each.rate),
        *drawn("calls", "AWS calls a task", "calls", lambda each: each.calls_per_task),
    ]


def main() -> None:
    """Measure, print a table, write the JSON and the plots."""
    parser = argparse.ArgumentParser(prog="benchmarks.throughput", description=__doc__)
    parser.add_argument("--on", nargs="+", choices=tuple(TASKS), default=["stub"])
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), default=list(SIDES))
    parser.add_argument("--tasks", type=int, help="tasks a run (15,000 on the stub, else 2,000)")
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    pin(0, AWS_CPU)
    sides, left = asyncio.run(line_up([SIDES[name] for name in asked.sides]))
    runs: list[Run] = []
    for kind in asked.on:
        # ministack is too slow to tell peers apart, and has their deletes fail.
        here = [side for side in sides if kind == "stub" or not side.peer]
        more, failed = asyncio.run(run_all(kind, here, asked.tasks or TASKS[kind], asked.runs))
        runs, left = runs + more, left + failed
    summaries = summarize(runs)
    show(summaries, left)
    path = write("throughput", {"summaries": summaries, "runs": runs, "left_out": left})
    print(path, *draw(path, summaries))


if __name__ == "__main__":
    main()
