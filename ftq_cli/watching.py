"""`ftq watch`: how everything moves, as a live view or a line for each look."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from ftq.errors import Unreachable
from ftq.text import Document
from ftq_cli.tables import counts_table, span, table

if TYPE_CHECKING:
    from ftq.client import Stats

Look = Callable[[], "Stats"]
Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """What moved between two looks; None where not all tasks were counted, so that nobody knows.

    Attributes:
        seconds: How far they are apart.
        ended: Tasks that ended each second.
        arrived: Tasks that arrived each second.
    """

    seconds: float
    ended: float | None
    arrived: float | None


def pace(before: Stats, after: Stats) -> Pace:
    """What moved between two looks, by the API's clock.

    A record that its retention removed between them is taken for one that never was.
    """
    seconds = (after.at - before.at).total_seconds()
    counted = seconds > 0 and all(
        "done" in each.groups
        and "dead" in each.groups
        and all(g.exact for g in each.groups.values())
        for each in (before, after)
    )
    if not counted:
        return Pace(seconds, None, None)
    ended = _ended(after) - _ended(before)
    arrived = ended + after.groups["open"].count - before.groups["open"].count
    return Pace(seconds, ended / seconds, arrived / seconds)


def _ended(stats: Stats) -> int:
    return stats.groups["done"].count + stats.groups["dead"].count


def over_one(look: Look, interval: float, sleep: Sleep) -> Document:
    """The statistics after one interval, and what moved in it."""
    before = look()
    sleep(interval)
    after = look()
    moved = pace(before, after)
    return {
        **after.document,
        "pace": {
            "seconds": moved.seconds,
            "ended_per_second": moved.ended,
            "arrived_per_second": moved.arrived,
        },
    }


def watching(
    look: Look, console: Console, interval: float, looks: int | None, sleep: Sleep
) -> None:
    """Look again and again, until interrupted."""
    with suppress(KeyboardInterrupt), _shown(console) as show:
        before: Stats | None = None
        for n in itertools.count(1):
            try:
                stats = look()
            except Unreachable as error:
                # It may come back, and whoever watches wants to see when.
                if before is None:
                    raise
                show(Text(str(error), "red"), str(error))
            else:
                moved = pace(before, stats) if before is not None else Pace(0, None, None)
                show(screen(stats, moved), line_of(stats, moved))
                before = stats
            if n == looks:
                return
            sleep(interval)


@contextmanager
def _shown(console: Console) -> Iterator[Callable[[RenderableType, str], None]]:
    """Shows each look: in place on a terminal, as a line elsewhere."""
    if not console.is_terminal:
        yield lambda view, line: console.print(line, markup=False, soft_wrap=True)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda view, line: live.update(view, refresh=True)


def screen(stats: Stats, moved: Pace) -> RenderableType:
    """The whole picture."""
    depths = table("queue", "visible", "in flight", "delayed")
    for depth in (*stats.queues, *filter(None, [stats.dead_letter_queue])):
        numbers = (str(depth.visible), str(depth.in_flight), str(depth.delayed))
        depths.add_row(Text(depth.name, overflow="fold"), *numbers)
    alive = [each for each in stats.daemons if not each.stale]
    runs, room = sum(each.in_flight for each in alive), sum(each.concurrency for each in alive)
    lines = [
        f"{_rate(moved.arrived)} arrive, {_rate(moved.ended)} end",
        f"{len(alive)} {'daemon runs' if len(alive) == 1 else 'daemons run'} {runs} of {room}",
        *(f"breaker {b.name} is {b.position}" for b in stats.breakers if b.position != "closed"),
        time.strftime("%H:%M:%S"),
    ]
    return Group(counts_table(stats), depths, *map(Text, lines))


def line_of(stats: Stats, moved: Pace) -> str:
    """The same in one line."""
    sign = "" if stats.exact else "≥"
    counts = "  ".join(f"{state} {sign}{n}" for state, n in stats.counts.items() if n)
    oldest = stats.oldest_age_seconds
    waits = "" if oldest is None else f"  oldest {span(oldest)}"
    rates = f"arrive {_rate(moved.arrived)}  end {_rate(moved.ended)}"
    return f"{stats.at:%H:%M:%S}  {rates}  {counts or 'no tasks'}{waits}"


def _rate(rate: float | None) -> str:
    return "?/s" if rate is None else f"{rate:.1f}/s"
