"""Tables for people: within 80 columns, ids whole, plain where there is no terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from ftq_cli.show import STYLES
from ftq_cli.terminal import harmless

if TYPE_CHECKING:
    from rich.console import Console

    from ftq.client import DeadLetters, Group, Hour, Stats, Task

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_BARS: Final = "▁▂▃▄▅▆▇█"
SPARKS: Final = 24


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago a moment is, in its largest unit; one to come has a plus."""
    if moment is None:
        return ""
    seconds = round((now - moment).total_seconds())
    sign, seconds = ("+", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{span(seconds)}"


def span(seconds: float) -> str:
    """A length of time, in its largest unit."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def table(*columns: str) -> Table:
    """A table without lines, its header dim."""
    made = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name in columns:
        made.add_column(name)
    return made


def show_tasks(console: Console, tasks: Sequence[Task], *, more: bool) -> None:
    """Print a list of tasks."""
    now = datetime.now(UTC)
    made = table()
    # Whatever the window's width, an id can be copied.
    made.add_column("id", no_wrap=True, min_width=max((len(task.id) for task in tasks), default=2))
    made.add_column("state", no_wrap=True, min_width=9)
    made.add_column("failed", justify="right", no_wrap=True)
    made.add_column("age", justify="right", no_wrap=True)
    made.add_column("type", no_wrap=True, overflow="ellipsis")
    if any(task.tenant for task in tasks):
        made.add_column("tenant", no_wrap=True, overflow="ellipsis")
    for task in tasks:
        cells = [
            Text(task.id),
            Text(task.state, STYLES.get(task.state, "")),
            Text(str(task.attempts) if task.attempts else ""),
            Text(ago(task.created_at, now)),
            Text(task.type),
        ]
        tenant = [Text(task.tenant or "")] if len(made.columns) > len(cells) else []
        made.add_row(*cells, *tenant)
    console.print(made if tasks else "no tasks")
    if more:
        console.print(f"and more: --limit {2 * len(tasks)}", style="dim")


def sparkline(hours: Sequence[Hour], since: datetime, until: datetime) -> str:
    """Counts over time, as bars of eight heights; a blank is none at all."""
    seconds = max(1.0, (until - since).total_seconds())
    cells = max(1, min(SPARKS, round(seconds / 3_600)))
    sums = [0] * cells
    for hour in hours:
        # An hour that began before the window belongs to its first cell.
        place = (hour.at - since).total_seconds() / seconds * cells
        sums[min(cells - 1, max(0, int(place)))] += hour.count
    most = max(sums, default=0)
    return "".join(_BARS[(n * 8 - 1) // most] if n else " " for n in sums)


def show_dead(console: Console, letters: DeadLetters) -> None:
    """Print what died, by type and error."""
    since = letters.covered_since or letters.since
    made = table()
    for name in ("dead", "share", "last"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("error", no_wrap=True, min_width=12)
    made.add_column("by hour", no_wrap=True)
    made.add_column("type, class", overflow="fold")
    for group in letters.groups:
        made.add_row(
            str(group.count),
            f"{group.share:.0%}",
            ago(group.last_seen, letters.until),
            Text(group.fingerprint),
            Text(sparkline(group.hours, since, letters.until)),
            _what(group),
        )
    window = span((letters.until - letters.since).total_seconds())
    console.print(made if letters.groups else f"nothing died in the last {window}")
    if letters.truncated:
        console.print(f"more than could be read: all about since {since:%Y-%m-%d %H:%M} UTC")
    if letters.more_groups:
        console.print(f"and {letters.more_groups} smaller groups", style="dim")


def _what(group: Group) -> Text:
    what = harmless(group.class_name or group.kind)
    return Text.assemble(harmless(group.type), "\n", (what, "dim"))


def show_stats(console: Console, stats: Stats) -> None:
    """Print how everything is."""
    console.print(counts_table(stats))
    queues = table("queue", "visible", "in flight", "delayed")
    for depth in (*stats.queues, *filter(None, [stats.dead_letter_queue])):
        numbers = (str(depth.visible), str(depth.in_flight), str(depth.delayed))
        queues.add_row(Text(depth.name, overflow="fold"), *numbers)
    console.print(queues)
    if stats.breakers:
        breakers = table("breaker", "position", "openings")
        for each in stats.breakers:
            style = "" if each.position == "closed" else "red"
            breakers.add_row(Text(each.name), Text(each.position, style), str(each.openings))
        console.print(breakers)
    daemons = table("daemon", "runs", "of", "reported", "")
    for daemon in stats.daemons:
        note = "stale" if daemon.stale else "draining" if daemon.draining else ""
        numbers = (
            str(daemon.in_flight),
            str(daemon.concurrency),
            f"{span(daemon.age_seconds)} ago",
        )
        daemons.add_row(Text(daemon.name, overflow="fold"), *numbers, Text(note, "yellow"))
    console.print(daemons if stats.daemons else "no daemon has reported")


def counts_table(stats: Stats) -> Table:
    """Tasks by state, and how long the oldest has waited."""
    made = table()
    for state in stats.counts:
        made.add_column(Text(state, STYLES.get(state, "")), justify="right", no_wrap=True)
    made.add_column("oldest", justify="right")
    oldest = stats.oldest_age_seconds
    # Where not all were counted, each number is at least that.
    sign = "" if stats.exact else "≥"
    made.add_row(
        *(f"{sign}{count}" for count in stats.counts.values()),
        "" if oldest is None else span(oldest),
    )
    return made
