"""Where does the worker's CPU go? The daemon under py-spy, on the stub.

    python -m benchmarks.profile --tasks 20000

Writes the sampled stacks (for speedscope.app or flamegraph.pl), the ranked layers and functions,
and with --svg a flame graph from a second run.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.layers import Stacks, read_stacks
from benchmarks.lineup import SIDES
from benchmarks.machine import AWS_CPU, pin
from benchmarks.report import Run, write
from benchmarks.side import Side
from benchmarks.stage import stage_of
from benchmarks.throughput import PATIENCE, measure
from benchmarks.worker import working

PY_SPY: Final = str(Path(sys.executable).with_name("py-spy"))
TOP: Final = 40


async def sample(side: Side, count: int, rate: int, form: str, path: Path) -> None:
    """Run a side under py-spy until all tasks are done."""
    spy = (PY_SPY, "record", "--format", form, "--rate", str(rate))
    command = (*spy, "--output", str(path), "--")
    async with stage_of("stub") as stage:
        await side.load(stage, count)
        with working(side, stage, command) as worker:
            await worker.until(stage, "stub", count, count, PATIENCE)
            _end_child(worker.process)
            worker.process.wait(PATIENCE)


def _end_child(spy: subprocess.Popen[bytes]) -> None:
    children = Path(f"/proc/{spy.pid}/task/{spy.pid}/children").read_text().split()
    for child in children:
        subprocess.run(["kill", f"-{int(signal.SIGTERM)}", child], check=True)


def _show(stacks: Stacks, run: Run) -> None:
    samples = stacks.samples
    _table("By layer", stacks.by_layer(), samples, run.cpu_us)
    own, whole = stacks.by_function()
    _table("By function, itself", own, samples, run.cpu_us)
    _table("By function, with what it calls", whole, samples, run.cpu_us)


def _table(title: str, found: Counter[str], samples: int, cpu_us: float) -> None:
    table = Table(title=f"{title}: CPU µs a task", box=box.SIMPLE)
    table.add_column("µs", justify="right")
    table.add_column("share", justify="right")
    table.add_column("where")
    for name, count in found.most_common(TOP):
        table.add_row(f"{count / samples * cpu_us:.1f}", f"{count / samples:.1%}", name)
    Console(width=150).print(table)


def _figures(found: Counter[str], samples: int, cpu_us: float) -> dict[str, float]:
    return {name: round(n / samples * cpu_us, 1) for name, n in found.most_common(TOP)}


def main() -> None:
    """Measure without the profiler, then sample, print tables, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.profile", description=__doc__)
    parser.add_argument("--side", choices=tuple(SIDES), default="ftq")
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=400, help="samples a second")
    parser.add_argument("--svg", action="store_true", help="a flame graph too, from a second run")
    asked = parser.parse_args()
    pin(0, AWS_CPU)
    side = SIDES[asked.side]
    run = asyncio.run(measure(side, "stub", asked.tasks))
    with tempfile.TemporaryDirectory() as directory:
        raw = Path(directory) / "raw"
        asyncio.run(sample(side, asked.tasks, asked.rate, "raw", raw))
        text = raw.read_text()
    stacks = read_stacks(text.splitlines())
    _show(stacks, run)
    own, whole = stacks.by_function()
    figures = {
        "run": run,
        "samples": stacks.samples,
        "layers_us": _figures(stacks.by_layer(), stacks.samples, run.cpu_us),
        "functions_us": _figures(own, stacks.samples, run.cpu_us),
        "functions_with_calls_us": _figures(whole, stacks.samples, run.cpu_us),
    }
    path = write(f"profile-{side.name}", figures)
    path.with_suffix(".stacks.txt").write_text(text)
    if asked.svg:
        svg = path.with_suffix(".svg")
        asyncio.run(sample(side, asked.tasks, asked.rate, "flamegraph", svg))
        # Its title is the command line; where the project lies is nobody's business.
        svg.write_text(svg.read_text().replace(f"{Path.cwd()}/", ""))
    print(path)


if __name__ == "__main__":
    main()
