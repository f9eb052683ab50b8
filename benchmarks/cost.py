"""What does a million tasks cost on AWS, in US dollars, and a month without any?

    python -m benchmarks.cost

Computed from the newest results of `throughput` (calls, CPU and log lines a task) and `idle`
(calls a minute), from the write units of `capacity` and from the one table of `prices`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import prices
from benchmarks.capacity import Writes, writes_of
from benchmarks.lineup import SIDES
from benchmarks.plots import Bar, bars
from benchmarks.report import newest, write

PAYLOAD: Final = 64
SQS: Final = frozenset(
    {
        "ChangeMessageVisibility",
        "ChangeMessageVisibilityBatch",
        "DeleteMessage",
        "DeleteMessageBatch",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ReceiveMessage",
        "SendMessage",
        "SendMessageBatch",
    }
)
READS: Final = frozenset({"GetItem", "Query"})
# An eventually consistent read of up to 4 KiB.
READ_UNITS: Final = 0.5
SMALLEST_VCPU: Final = 0.25
SMALLEST_GB: Final = 0.5


@dataclass(frozen=True, slots=True)
class Cost:
    """What a million tasks cost, in dollars, by part.

    Attributes:
        side: The side.
        api: API Gateway and Lambda, if tasks come through ftq's API; 0 for others.
        send: The message.
        store: The record, if there is one.
        queue: What the worker asks of SQS.
        state: Claim and settle, if there are any.
        compute: Fargate for the worker's CPU.
        logs: What the worker writes, in CloudWatch.
    """

    side: str
    api: float
    send: float
    store: float
    queue: float
    state: float
    compute: float
    logs: float

    @property
    def parts(self) -> tuple[float, ...]:
        """In the order of the tables."""
        return (
            self.api,
            self.send,
            self.store,
            self.queue,
            self.state,
            self.compute,
            self.logs,
        )

    @property
    def total(self) -> float:
        """All parts."""
        return sum(self.parts)

    @property
    def bare(self) -> float:
        """Without the API, which the others do not have: as if all were called by a program."""
        return self.total - self.api


@dataclass(frozen=True, slots=True)
class Month:
    """What a month costs in which nothing happens, in dollars: one worker, as small as can be."""

    side: str
    queue: float
    table: float
    compute: float


@dataclass(frozen=True, slots=True)
class Counted:
    """What one side was counted to use a task: calls by operation, CPU seconds, log bytes."""

    calls: Mapping[str, float]
    cpu_seconds: float
    log_bytes: float


def busy(side: str, counted: Counted, writes: Writes) -> Cost:
    """What a million small tasks cost a side."""
    stateful = SIDES[side].stateful
    ours = SIDES[side].kind == "ftq"
    requests = sum(count for name, count in counted.calls.items() if name in SQS)
    chunks = ceil(writes.body / prices.SQS_CHUNK_BYTES)
    api = prices.HTTP_API_REQUEST + prices.LAMBDA_REQUEST
    api += prices.LAMBDA_SECONDS * prices.LAMBDA_GB * prices.LAMBDA_GB_SECOND
    one = Cost(
        side=side,
        api=api if ours else 0.0,
        send=prices.SQS_REQUEST * chunks,
        store=prices.WRITE_UNIT * (writes.submit + writes.beside) if stateful else 0.0,
        queue=prices.SQS_REQUEST * requests,
        state=prices.WRITE_UNIT * (writes.claim + writes.settle) if stateful else 0.0,
        compute=counted.cpu_seconds / prices.FARGATE_BUSY * _fargate_second(),
        logs=counted.log_bytes / 1e9 * prices.LOGS_GB,
    )
    return Cost(side, *(part * prices.MILLION for part in one.parts))


def _fargate_second() -> float:
    """A second of one vCPU with its memory."""
    memory = prices.FARGATE_GB / prices.FARGATE_VCPU * prices.FARGATE_GB_HOUR
    return (prices.FARGATE_VCPU_HOUR + memory) / 3600


def idle(side: str, calls: Mapping[str, float]) -> Month:
    """What a month of these calls a minute costs."""
    minutes = prices.MONTH_HOURS * 60
    requests = sum(count for name, count in calls.items() if name in SQS)
    reads = sum(count for name, count in calls.items() if name in READS)
    writes = sum(count for name, count in calls.items() if name not in SQS | READS)
    hour = SMALLEST_VCPU * prices.FARGATE_VCPU_HOUR + SMALLEST_GB * prices.FARGATE_GB_HOUR
    return Month(
        side=side,
        queue=requests * minutes * prices.SQS_REQUEST,
        table=minutes * (reads * READ_UNITS * prices.READ_UNIT + writes * prices.WRITE_UNIT),
        compute=hour * prices.MONTH_HOURS,
    )


def counted_in(found: Mapping[str, object]) -> dict[str, Counted]:
    """What the runs of a throughput result on the stub come to, by side."""
    runs = found["runs"]
    assert isinstance(runs, list)
    sides: dict[str, Counted] = {}
    for name in {run["side"]: None for run in runs if run["stage"] == "stub"}:
        mine = [run for run in runs if run["side"] == name and run["stage"] == "stub"]
        tasks = sum(run["tasks"] for run in mine)
        names = {call for run in mine for call in run["calls"]}
        sides[name] = Counted(
            calls={call: sum(run["calls"].get(call, 0) for run in mine) / tasks for call in names},
            cpu_seconds=sum(run["cpu_seconds"] for run in mine) / tasks,
            log_bytes=max(run["log_bytes"] for run in mine),
        )
    return sides


def _show(costs: Sequence[Cost], months: Sequence[Month], writes: Writes) -> None:
    title = f"A million small tasks, US dollars, {prices.REGION}, {prices.DATE}"
    table = Table(title=title, box=box.SIMPLE)
    table.add_column("side", no_wrap=True)
    parts = ("API", "send", "record", "queue", "claim, settle", "Fargate", "logs")
    names = (*parts, "total", "less API")
    for name in names:
        table.add_column(name, justify="right")
    for each in costs:
        table.add_row(each.side, *(f"{part:.2f}" for part in (*each.parts, each.total, each.bare)))
    still = Table(title="A month of nothing, one smallest worker, US dollars", box=box.SIMPLE)
    still.add_column("side", no_wrap=True)
    for name in ("queue", "table", "Fargate"):
        still.add_column(name, justify="right")
    for month in months:
        figures = (month.queue, month.table, month.compute)
        still.add_row(month.side, *(f"{figure:.2f}" for figure in figures))
    console = Console(width=max(115, Console().width))
    console.print(table, f"{writes.total} write units a task", still)


def main() -> int:
    """Compute, print tables, write the JSON and the plot."""
    parser = argparse.ArgumentParser(prog="benchmarks.cost", description=__doc__)
    parser.add_argument("--throughput", type=Path, default=newest("throughput"))
    parser.add_argument("--idle", type=Path, default=newest("idle"))
    asked = parser.parse_args()
    if asked.throughput is None or asked.idle is None:
        print("Run benchmarks.throughput and benchmarks.idle first.", file=sys.stderr)
        return 1
    writes = writes_of(PAYLOAD)
    counted = counted_in(json.loads(asked.throughput.read_text())["found"])
    real = {side: each for side, each in counted.items() if SIDES[side].kind != "limit"}
    costs = [busy(side, each, writes) for side, each in real.items()]
    quiet = json.loads(asked.idle.read_text())["found"]["quiet"]
    months = [idle(each["side"], each["calls"]) for each in quiet]
    _show(costs, months, writes)
    sources = {"throughput": asked.throughput.name, "idle": asked.idle.name}
    found = {"from": sources, "writes": writes, "million": costs, "month": months}
    path = write("cost", found)
    drawn = [
        Bar(each.side, each.bare, each.bare, each.bare, SIDES[each.side].kind) for each in costs
    ]
    print(path, *bars(path, "A million small tasks, without the API", "US dollars", drawn))
    return 0


if __name__ == "__main__":
    sys.exit(main())
