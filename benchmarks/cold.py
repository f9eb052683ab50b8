"""How long does the Lambda's handler take to import, to answer first, and to answer warm?

    python -m benchmarks.cold --starts 15

Each start is a fresh interpreter. Beside ftq's API stands a handler of the usual stack (Powertools,
boto3, pydantic), in the same interpreter and with the same botocore and pydantic where the peers
are installed. Handlers take turns. Both store and send each task, on the stub.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.machine import AWS_CPU, pin
from benchmarks.plots import Bar, bars
from benchmarks.report import LeftOut, Spread, spread, write
from benchmarks.side import Kind
from benchmarks.sides import peers
from benchmarks.stage import Stage, stage_of

CHILD: Final = str(peers.PROGRAMS / "cold_child.py")
USUAL: Final = "usual_lambda"
OURS: Final = "api_lambda.handler"
PATHS: Final = {OURS: str(peers.ROOT), USUAL: str(peers.PROGRAMS)}
NAMES: Final = {OURS: "ftq's API", USUAL: "usual stack"}
KINDS: Final[Mapping[str, Kind]] = {OURS: "ftq", USUAL: "python peer"}
PHASES: Final = ("import", "first", "warm")


@dataclass(frozen=True, slots=True)
class Cold:
    """One handler's times, in milliseconds: wall, and CPU, which neighbours stretch less."""

    handler: str
    starts: int
    wall: Mapping[str, Spread]
    cpu: Mapping[str, Spread]


async def measure(modules: Sequence[str], starts: int, python: str) -> list[Cold]:
    """Start each so many times, in turn; one start before, which compiles, is not counted.

    Raises:
        RuntimeError: A handler did not answer.
    """
    found: dict[str, list[Mapping[str, Sequence[float]]]] = {module: [] for module in modules}
    async with stage_of("stub") as stage:
        for number in range(starts + 1):
            for module in modules:
                one = await _start(stage, module, python)
                if number:
                    found[module].append(one)
    return [
        Cold(
            handler=module,
            starts=starts,
            wall={name: spread(one[name][0] * 1000 for one in ones) for name in PHASES},
            cpu={name: spread(one[name][1] * 1000 for one in ones) for name in PHASES},
        )
        for module, ones in found.items()
    ]


async def _start(stage: Stage, module: str, python: str) -> Mapping[str, Sequence[float]]:
    process = await asyncio.create_subprocess_exec(
        *(python, CHILD, module),
        env={**stage.environment(), "PYTHONPATH": PATHS[module]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    text = output.decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"{module} did not answer:\n{text[-2000:]}")
    found = json.loads(text.strip().splitlines()[-1])
    assert isinstance(found, dict)
    return found


def _show(found: Sequence[Cold], left: Sequence[LeftOut]) -> None:
    table = Table(title="Handler on Lambda: medians in ms, wall and (CPU)", box=box.SIMPLE)
    table.add_column("handler")
    for name in ("import", "first request", "both", "warm request"):
        table.add_column(name, justify="right")
    for each in found:
        wall = [each.wall[name].median for name in PHASES]
        cpu = [each.cpu[name].median for name in PHASES]
        pairs = zip(
            [*wall[:2], sum(wall[:2]), wall[2]], [*cpu[:2], sum(cpu[:2]), cpu[2]], strict=True
        )
        table.add_row(NAMES[each.handler], *(f"{one:.1f} ({other:.1f})" for one, other in pairs))
    console = Console()
    console.print(table)
    if len(found) > 1:
        for name in PHASES:
            ratio = found[0].cpu[name].median / found[1].cpu[name].median
            console.print(f"{name}: {ratio:.2f} of the usual stack's CPU")
    for out in left:
        console.print(f"left out: {out.side}: {out.reason}", markup=False)


def main() -> None:
    """Measure, print a table, write the JSON and the plot."""
    parser = argparse.ArgumentParser(prog="benchmarks.cold", description=__doc__)
    parser.add_argument("--starts", type=int, default=15)
    asked = parser.parse_args()
    pin(0, AWS_CPU)
    reason = peers.missing_module("aws_lambda_powertools")()
    left = [LeftOut(NAMES[USUAL], reason)] if reason else []
    modules, python = ([OURS], sys.executable) if reason else ([OURS, USUAL], peers.PYTHON)
    found = asyncio.run(measure(modules, asked.starts, python))
    _show(found, left)
    path = write("cold", {"handlers": found, "left_out": left, "python": Path(python).name})
    drawn = [
        Bar(f"{NAMES[each.handler]}, {name}", *_ends(each.wall[name]), KINDS[each.handler])
        for name in PHASES
        for each in found
    ]
    print(path, *bars(path, "Handler on Lambda, fresh interpreters", "ms", drawn))


def _ends(values: Spread) -> tuple[float, float, float]:
    return values.median, values.least, values.most


if __name__ == "__main__":
    main()
