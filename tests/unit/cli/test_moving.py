"""What moves on a terminal, and what is printed where there is none."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from ftq.client import Redriven, Stats, Task
from ftq.text import Document, Json
from ftq_cli.spinner import redriving, waiting
from ftq_cli.watching import Pace, line_of, pace, screen, watching

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
ACCEPTED: Document = {
    "id": "abc",
    "type": "a",
    "state": "queued",
    "created_at": "2026-11-24T12:00:00Z",
    "correlation_id": "abc",
}


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    said = io.StringIO()
    return Console(file=said, force_terminal=terminal, width=80, highlight=False), said


def stats(seconds: float = 0, opened: int = 0, done: int = 0, *, exact: bool = True) -> Stats:
    counts: dict[str, Json] = {"queued": opened, "succeeded": done, "dead": 0}
    groups: dict[str, Json] = {
        name: {"count": count, "exact": exact}
        for name, count in (("open", opened), ("done", done), ("dead", 0))
    }
    at = (AT + timedelta(seconds=seconds)).isoformat()
    queue: Json = {"name": "main", "visible": opened, "in_flight": 0, "delayed": 0}
    return Stats.of(
        {"at": at, "counts": counts, "groups": groups, "exact": exact, "queues": [queue]}
    )


def test_waiting_shows_the_state_on_a_terminal_and_nothing_elsewhere() -> None:
    for terminal in (True, False):
        where, said = console(terminal=terminal)
        with waiting(where, "abc", "queued") as progress:
            progress(Task.of({**ACCEPTED, "state": "retrying", "attempts": 2}))
        assert ("abc" in said.getvalue()) is terminal


def test_redriving_shows_a_bar_on_a_terminal_and_nothing_elsewhere() -> None:
    for terminal in (True, False):
        where, said = console(terminal=terminal)
        with redriving(where) as progress:
            for done, left in ((0, 40), (30, 10), (40, 0)):
                remaining: Json = {"count": left, "exact": True}
                progress(Redriven.of({"matched": done, "redriven": done, "remaining": remaining}))
        assert ("redriven 40" in said.getvalue()) is terminal
        assert ("40/40" in said.getvalue()) is terminal


def test_what_moved_is_told_by_the_apis_clock() -> None:
    assert pace(stats(0, 10, 5), stats(4, 8, 13)) == Pace(4, 2.0, 1.5)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (stats(0, 1, 1, exact=False), stats(4, 1, 2)),
        (stats(0, 1, 1), stats(4, 1, 2, exact=False)),
        (stats(0, 1, 1), stats(0, 1, 1)),
    ],
)
def test_what_nobody_knows_is_not_told(before: Stats, after: Stats) -> None:
    moved = pace(before, after)
    assert (moved.ended, moved.arrived) == (None, None)
    assert "?/s" in line_of(after, moved)


def test_counts_that_are_not_all_say_so() -> None:
    line = line_of(stats(0, 1_000, exact=False), Pace(0, None, None))
    assert "queued ≥1000" in line


def test_the_whole_picture_has_queues_and_rates() -> None:
    where, said = console(terminal=False)
    where.print(screen(stats(0, 7, 3), Pace(4, 2.0, 1.5)))
    shown = said.getvalue()
    assert "1.5/s arrive, 2.0/s end" in shown
    assert "main" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_on_a_terminal_a_look_replaces_the_one_before() -> None:
    where, said = console(terminal=True)
    looks = iter([stats(0, 1, 1), stats(3, 1, 4)])
    watching(lambda: next(looks), where, 3, 2, lambda seconds: None)
    # The cursor goes up to where the first one began.
    assert "\x1b[1A" in said.getvalue()
    assert "1.0/s end" in said.getvalue()
