"""Do the newest results keep what ftq promises of its speed and cost?

    python -m benchmarks.promises

Each promise is a ratio within one run, or a count, so that it holds on any machine; the few that
are not say so. One whose figures are not there is not judged.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.capacity import writes_of
from benchmarks.document import at, listed, number, numbers
from benchmarks.lineup import SIDES
from benchmarks.report import newest, write


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise, held against a figure.

    Attributes:
        says: What is promised.
        limit: The figure's bound: an upper one, unless `at_least`.
        figure: What was measured; None if it was not.
        at_least: Whether the bound is a lower one.
    """

    says: str
    limit: float
    figure: float | None
    at_least: bool = False

    @property
    def kept(self) -> bool | None:
        """Whether it is; None if nobody knows."""
        if self.figure is None:
            return None
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians of the sides on the stub, by name."""

    cpu: Mapping[str, float]
    rate: Mapping[str, float]
    calls: Mapping[str, float]

    @property
    def python_peers(self) -> list[str]:
        """Those that were measured."""
        return [name for name in self.cpu if SIDES[name].kind == "python peer"]


def of_throughput(found: Figures) -> list[Promise]:
    """What a drain has to show."""
    cpu, rate, peers = found.cpu, found.rate, found.python_peers
    return [
        Promise(
            "CPU a task on aiobotocore, of its floor",
            1.5,
            _ratio(cpu.get("ftq-aiobotocore"), cpu.get("floor")),
        ),
        Promise(
            "CPU a task on aiobotocore, of the naive loop",
            1 / 3,
            _ratio(cpu.get("ftq-aiobotocore"), cpu.get("naive")),
        ),
        Promise(
            "CPU a task on the hot lane, of the bare probe",
            2.5,
            _ratio(cpu.get("ftq"), cpu.get("probe")),
        ),
        Promise(
            "CPU a task, of the best peer in Python (which keeps no state)",
            1 / 4,
            _ratio(cpu.get("ftq"), _best(min, cpu, peers)),
        ),
        Promise(
            "tasks/s, of the fastest peer in Python",
            1.0,
            _ratio(rate.get("ftq"), _best(max, rate, peers)),
            at_least=True,
        ),
        Promise("tasks/s of one core (this machine)", 3000, rate.get("ftq"), at_least=True),
        Promise("AWS calls a task when busy", 0.5, found.calls.get("ftq")),
    ]


def _best(
    choose: Callable[[Sequence[float]], float], figures: Mapping[str, float], names: Sequence[str]
) -> float | None:
    return choose([figures[name] for name in names]) if names else None


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def _of_payload() -> list[Promise]:
    small, large = writes_of(64), writes_of(64 * 1024)
    more = large.claim + large.settle - small.claim - small.settle
    return [Promise("write units that 64 KiB of payload add to claim and settle", 0, more)]


def _figures(found: object) -> Figures:
    here = [each for each in listed(found, "summaries") if at(each, "stage") == "stub"]

    def medians(name: str) -> dict[str, float]:
        return {str(at(each, "side")): number(each, name, "median") for each in here}

    return Figures(medians("cpu_us"), medians("rate"), medians("calls_per_task"))


def _of_idle(found: object) -> list[Promise]:
    calls = [numbers(each, "calls") for each in listed(found, "quiet") if at(each, "side") == "ftq"]
    polls = calls[0].get("ReceiveMessage", 0) if calls else None
    return [Promise("receives a minute with nothing to do", 3.0, polls)]


def _of_steady(found: object) -> list[Promise]:
    return [Promise("MiB grown over the tasks at half load", 5.0, number(found, "growth_mib"))]


def _of_backlog(found: object) -> list[Promise]:
    cpu = [number(each, "cpu_us") for each in listed(found)]
    says = "CPU a task before the longest backlog, of the shortest"
    return [Promise(says, 1.25, cpu[-1] / cpu[0])]


def _of_cold(found: object) -> list[Promise]:
    imports = {
        str(at(each, "handler")): number(each, "wall", "import", "median")
        for each in listed(found, "handlers")
    }
    ours = imports["api_lambda.handler"]
    return [
        Promise("ms to import the Lambda's handler (this machine)", 350, ours),
        Promise("the same, of the usual stack's", 0.6, _ratio(ours, imports.get("usual_lambda"))),
    ]


READERS: Final[Mapping[str, Callable[[object], list[Promise]]]] = {
    "throughput": lambda found: of_throughput(_figures(found)),
    "idle": _of_idle,
    "steady": _of_steady,
    "backlog": _of_backlog,
    "cold": _of_cold,
}


def main() -> int:
    """Judge, print the table, write the JSON; 0 even if a promise is broken: noise breaks some."""
    promises: list[Promise] = []
    for question, reader in READERS.items():
        path = newest(question)
        if path is None:
            print(f"{question}: no results", file=sys.stderr)
            continue
        promises += reader(json.loads(path.read_text())["found"])
    promises += _of_payload()
    table = Table(title="Promises, by the newest results", box=box.SIMPLE)
    for name in ("promise", "bound", "found", ""):
        table.add_column(name, justify="left" if name == "promise" else "right", no_wrap=True)
    words = {True: "kept", False: "BROKEN", None: "not measured"}
    for each in promises:
        bound = f"{'≥' if each.at_least else '≤'} {each.limit:,.2f}"
        figure = "-" if each.figure is None else f"{each.figure:,.2f}"
        table.add_row(each.says, bound, figure, words[each.kept])
    Console(width=max(115, Console().width)).print(table)
    judged = [{"says": each.says, "kept": each.kept, "figure": each.figure} for each in promises]
    print(write("promises", judged))
    return 0


if __name__ == "__main__":
    sys.exit(main())
