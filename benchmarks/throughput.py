"""What does a no-op task cost the worker, how many a second, and how many AWS calls?

    python -m benchmarks.throughput --tasks 20000 --runs 3

Each run starts a fresh stand-in, loads it, starts one worker on a core of its own and measures it
from when a twentieth of the tasks is done until all are.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from benchmarks.lineup import SIDES
from benchmarks.machine import AWS_CPU, busy_seconds, cpu_seconds, peak_mib, pin
from benchmarks.report import Run, show, summarize, write
from benchmarks.side import Side
from benchmarks.stage import Counts, Seen, stage_of
from benchmarks.worker import WorkerFailedError, working

PATIENCE = 30.0
TASKS = {"stub": 20_000, "ministack": 2_000}


async def measure(side: Side, kind: str, count: int) -> Run:
    """One run of one side.

    Raises:
        WorkerFailedError: It did not do its work.
    """
    async with stage_of(kind) as stage:
        await side.load(stage, count)
        with working(side, stage) as worker:
            first = await worker.until(stage, kind, count, max(1, count // 20), PATIENCE)
            own, worker_cpu = time.process_time(), cpu_seconds(worker.pid)
            busy = busy_seconds()
            last = await worker.until(stage, kind, count, count, PATIENCE)
            worker_cpu = cpu_seconds(worker.pid) - worker_cpu
            busy, own = busy_seconds() - busy, time.process_time() - own
            memory = peak_mib(worker.pid)
        states = await stage.states()
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
    )


def _difference(first: Seen, last: Seen, what: str) -> Counts:
    before: Counts = getattr(first, what)
    after: Counts = getattr(last, what)
    found = {name: after[name] - before.get(name, 0) for name in after}
    return {name: count for name, count in found.items() if count}


async def run_all(kind: str, sides: list[Side], count: int, runs: int) -> list[Run]:
    """All sides in turn, so many times: what disturbs the machine then hits all alike."""
    found: list[Run] = []
    for number in range(runs):
        for side in sides:
            run = await measure(side, kind, count)
            found.append(run)
            told = f"{run.cpu_us:.0f} µs, {run.rate:.0f}/s"
            print(f"{kind} {number + 1}/{runs} {side.name}: {told}", flush=True)
    return found


def main() -> None:
    """Measure, print a table, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.throughput", description=__doc__)
    parser.add_argument("--on", nargs="+", choices=tuple(TASKS), default=["stub"])
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), default=list(SIDES))
    parser.add_argument("--tasks", type=int, help="tasks a run (20,000 on the stub, else 2,000)")
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    pin(0, AWS_CPU)
    sides = [SIDES[name] for name in asked.sides]
    runs: list[Run] = []
    for kind in asked.on:
        runs += asyncio.run(run_all(kind, sides, asked.tasks or TASKS[kind], asked.runs))
    summaries = summarize(runs)
    show(summaries)
    print(write("throughput", {"summaries": summaries, "runs": runs}))


if __name__ == "__main__":
    main()
