"""The demo on the screen: a bar of states while it runs, the closing table after it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ftq_cli.demo_tally import Tally
from ftq_cli.show import STYLES

# From the left: what is over, then what is under way, then what waits.
STATES: Final = ("succeeded", "dead", "running", "retrying", "queued")
LINE_SECONDS: Final = 2.0
_CELL: Final = "━"


@dataclass(slots=True)
class View:
    """Shows how far the tasks are: a live bar on a terminal, a line now and then elsewhere.

    Attributes:
        console: Where.
        total: How many tasks there will be.
        live: The live display, on a terminal.
    """

    console: Console
    total: int
    live: Live | None = None
    _began: float = field(default_factory=time.monotonic)
    _line_at: float = 0.0
    _line: str = ""

    def update(self, counts: Mapping[str, int]) -> None:
        """Show the number of tasks in each state."""
        if self.live is not None:
            self.live.update(_live(counts, self.total, self._seconds))
            return
        line = _legend(counts, self.total).plain
        if line != self._line and time.monotonic() - self._line_at >= LINE_SECONDS:
            self.line(line)

    def line(self, line: str) -> None:
        """Print a plain line, with the time."""
        self._line, self._line_at = line, time.monotonic()
        self.console.print(f"{self._seconds:6.1f} s  {line}", soft_wrap=True, markup=False)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began


@contextmanager
def viewing(console: Console, total: int) -> Iterator[View]:
    """A view for as long as the context lasts."""
    view = View(console, total)
    if not console.is_terminal:
        yield view
        return
    with Live(console=console, refresh_per_second=12) as live:
        view.live = live
        yield view


def _live(counts: Mapping[str, int], total: int, seconds: float) -> RenderableType:
    clock = Text(f"  {seconds:5.1f} s", "dim")
    return Group(Text.assemble(bar(counts, total, 60), clock), _legend(counts, total))


def bar(counts: Mapping[str, int], total: int, width: int) -> Text:
    """One line of cells, in the colour of each state, in proportion."""
    text, done, drawn = Text(), 0, 0
    for state in STATES:
        done += counts.get(state, 0)
        # By the running sum, so that the parts add up to the whole whatever is rounded.
        cells = round(width * done / total) - drawn
        text.append(_CELL * cells, STYLES[state])
        drawn += cells
    return text.append(_CELL * (width - drawn), "grey15")


def _legend(counts: Mapping[str, int], total: int) -> Text:
    text = Text.assemble(f"submitted {sum(counts.values())}/{total}")
    for state in ("queued", "running", "retrying", "succeeded", "dead"):
        text.append("   ").append(f"{state} {counts.get(state, 0)}", STYLES[state])
    return text


def closing(result: Tally) -> RenderableType:
    """The closing table, and each check."""
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0), title_justify="left")
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column()
    for name, value, note in _rows(result):
        table.add_row(name, value, note)
    verdict = (
        Text(f"Every task reached the state it should, in {result.seconds:.1f} s.", "bold green")
        if result.ok
        else Text("Not every task reached the state it should.", "bold red")
    )
    return Group("", table, "", *_checks(result), "", verdict)


def _rows(result: Tally) -> Iterator[tuple[str, str, str]]:
    count = result.submitted or 1
    yield "submitted", str(result.submitted), ""
    for n, succeeded in enumerate(result.succeeded_at, 1):
        word = {1: "1st", 2: "2nd", 3: "3rd"}[n]
        yield f"succeeded at {word} attempt", str(succeeded), f"{succeeded / count:.1%}"
    low, high = result.dead_expected
    expected = f"expected {result.dead_share:.1%}, plausible {low} to {high}"
    yield "dead", str(result.dead), f"{result.dead / count:.1%}, {expected}"
    duplicates = "n/a" if result.duplicates is None else str(result.duplicates)
    killed = "a daemon that died took its count along" if result.deaths else ""
    yield "duplicates", duplicates, killed
    yield "lost", str(result.lost), ""
    yield "time to the end, p50", _seconds(result.p50), "retries wait up to 1 s, then 2 s"
    yield "time to the end, p95", _seconds(result.p95), ""
    calls = "n/a" if result.calls_per_task is None else f"{result.calls_per_task:.2f}"
    yield "AWS calls per task", calls, "by daemons; fewer the busier they are"


def _seconds(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f} s"


def _checks(result: Tally) -> Iterator[Text]:
    for check in result.checks:
        sign, style = ("✓", "green") if check.ok else ("✗", "red")
        detail = "" if check.ok else f": {check.detail}"
        yield Text.assemble((sign, style), f" {check.name}", (detail, style))
