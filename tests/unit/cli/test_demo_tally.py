from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from ftq.text import Document
from ftq_cli.demo_tally import Run, plausible, quantile, tally
from ftq_cli.demo_view import STATES, View, bar, closing

SPENT = "attempts_spent · DemoError · drew a failure"


def task(task_id: str, state: str, attempts: int, seconds: int = 1) -> Document:
    return {
        "id": task_id,
        "state": state,
        "attempts": attempts,
        "claim_no": attempts + (state == "succeeded"),
        "created_at": "2026-01-01T00:00:00.000Z",
        "finished_at": f"2026-01-01T00:00:{seconds:02}.500Z" if state != "running" else None,
    }


GOOD = Run(
    submitted=5,
    failure_rate=0.3,
    tasks=(
        task("a", "succeeded", 0),
        task("b", "succeeded", 0, seconds=2),
        task("c", "succeeded", 1, seconds=3),
        task("d", "succeeded", 2, seconds=4),
        task("e", "dead", 3, seconds=5),
    ),
    letters=(("e", "3", SPENT),),
    successes=4,
    deaths=0,
    calls_per_task=1.5,
    seconds=6.0,
)


def failed(run: Run) -> set[str]:
    return {check.name for check in tally(run).checks if not check.ok}


def test_a_good_run_is_counted_and_passes() -> None:
    result = tally(GOOD)
    assert result.ok
    assert (result.succeeded_at, result.dead, result.dead_letters) == ((2, 1, 1), 1, 1)
    assert (result.duplicates, result.lost) == (0, 0)
    assert (result.p50, result.p95) == (3.5, 5.5)
    assert result.to_json()["succeeded"] == {"total": 4, "by_attempt": [2, 1, 1]}


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (replace(GOOD, submitted=6), "every task ended"),
        (
            replace(GOOD, tasks=(*GOOD.tasks[1:], task("a", "cancelled", 0)), successes=3),
            "every task ended",
        ),
        (
            replace(GOOD, tasks=(*GOOD.tasks[1:], task("a", "succeeded", 3))),
            "successes had attempts left",
        ),
        (
            replace(
                GOOD, tasks=(*GOOD.tasks[:4], task("e", "dead", 2)), letters=(("e", "2", SPENT),)
            ),
            "the dead spent all attempts",
        ),
        (replace(GOOD, letters=()), "each dead task has its copy in the dead-letter queue"),
        (
            replace(GOOD, letters=(("e", "2", SPENT),)),
            "each dead task has its copy in the dead-letter queue",
        ),
        (
            replace(GOOD, letters=(*GOOD.letters, *GOOD.letters)),
            "each dead task has its copy in the dead-letter queue",
        ),
        (replace(GOOD, letters=(("e", "3", "permanent · X"),)), "each copy says why"),
        (replace(GOOD, letters=(("e", "3", ""),)), "each copy says why"),
        (replace(GOOD, successes=5), "no task succeeded twice"),
        (replace(GOOD, successes=3), "no task succeeded twice"),
    ],
)
def test_a_bad_run_fails_just_where_it_is_bad(run: Run, name: str) -> None:
    assert failed(run) == {name}
    assert not tally(run).ok


def test_a_task_that_never_ended_is_lost() -> None:
    stuck = replace(GOOD, tasks=(*GOOD.tasks[1:], task("a", "running", 0)), successes=3)
    assert tally(stuck).lost == 1
    assert failed(stuck) == {"every task ended"}


def test_a_killed_daemon_takes_its_count_along_and_may_double_a_copy() -> None:
    result = tally(replace(GOOD, successes=None, deaths=1, letters=(*GOOD.letters, *GOOD.letters)))
    assert result.ok
    assert result.duplicates is None
    assert "no task succeeded twice" not in {check.name for check in result.checks}


@pytest.mark.parametrize(
    ("count", "share", "low", "high"),
    [
        (200, 0.027, 1, 12),
        (200, 0.0, 0, 0),
        (200, 1.0, 200, 200),
        (1, 0.027, 0, 1),
        (10, 0.5, 1, 9),
    ],
)
def test_the_plausible_range_is_the_binomial_one(
    count: int, share: float, low: int, high: int
) -> None:
    assert plausible(count, share) == (low, high)


def test_quantiles_are_of_the_nearest_rank() -> None:
    ordered = [float(n) for n in range(1, 101)]
    assert (quantile(ordered, 0.5), quantile(ordered, 0.95)) == (50, 95)
    assert quantile([7.0], 0.95) == 7
    assert quantile([], 0.5) is None


def test_the_bar_is_as_wide_as_it_should_be_whatever_is_rounded() -> None:
    for n in range(8):
        counts = {state: (n + k) % 4 for k, state in enumerate(STATES)}
        assert len(bar(counts, sum(counts.values()) + n, 37).plain) == 37


def test_what_has_no_value_is_shown_as_such() -> None:
    console = Console(width=120, record=True, quiet=True)
    console.quiet = False
    with console.capture() as shown:
        console.print(closing(tally(replace(GOOD, successes=None, deaths=2, calls_per_task=None))))
    assert "duplicates" in shown.get()
    assert "a daemon that died" in shown.get()
    assert shown.get().count("n/a") == 2


def test_elsewhere_than_on_a_terminal_lines_are_few_and_not_repeated() -> None:
    console = Console(width=120)
    with console.capture() as shown:
        view = View(console, 10)
        for _ in range(50):
            view.update({"queued": 5})
        view.update({"queued": 6})
    assert len(shown.get().splitlines()) == 1
    assert "submitted 5/10   queued 5" in shown.get()
