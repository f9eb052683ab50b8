"""What became of the demo's tasks: counted, compared with what should have, worded. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ftq.lifecycle import FINAL
from ftq.settlement import Cause
from ftq.text import Document, Json

ATTEMPTS: Final = 3
# The range in which 99 of 100 runs end.
PLAUSIBLE: Final = 0.99


@dataclass(frozen=True, slots=True)
class Run:
    """All that was seen of a demo.

    Attributes:
        submitted: How many tasks were accepted.
        failure_rate: The share of attempts that fail.
        tasks: The records, as the API last showed them.
        letters: (id, claim_no, cause) of each message in the dead-letter queue.
        successes: How many successes the daemons counted; None if one of them was killed, and
            took its count along.
        deaths: How many daemons died.
        calls_per_task: AWS calls of the daemons for each task while they were busy, or None.
        seconds: How long it all took.
    """

    submitted: int
    failure_rate: float
    tasks: Sequence[Document]
    letters: Sequence[tuple[str, str, str]]
    successes: int | None
    deaths: int
    calls_per_task: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold, and the numbers that say whether it does."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Tally:
    """The closing numbers."""

    submitted: int
    succeeded_at: tuple[int, ...]
    dead: int
    dead_expected: tuple[int, int]
    dead_share: float
    dead_letters: int
    duplicates: int | None
    lost: int
    p50: float | None
    p95: float | None
    calls_per_task: float | None
    deaths: int
    seconds: float
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every task reached the state it should."""
        return all(check.ok for check in self.checks)

    def to_json(self) -> dict[str, Json]:
        """The closing numbers for scripts."""
        by_attempt: list[Json] = list(self.succeeded_at)
        low, high = self.dead_expected
        return {
            "ok": self.ok,
            "submitted": self.submitted,
            "succeeded": {"total": sum(self.succeeded_at), "by_attempt": by_attempt},
            "dead": self.dead,
            "dead_expected": {"share": self.dead_share, "from": low, "to": high},
            "dead_letters": self.dead_letters,
            "duplicates": self.duplicates,
            "lost": self.lost,
            "p50_seconds": self.p50,
            "p95_seconds": self.p95,
            "aws_calls_per_task": self.calls_per_task,
            "daemon_deaths": self.deaths,
            "seconds": round(self.seconds, 3),
            "checks": [
                {"name": each.name, "ok": each.ok, "detail": each.detail} for each in self.checks
            ],
        }


def tally(run: Run) -> Tally:
    """Count and check."""
    by_state: dict[str, list[Document]] = {}
    for task in run.tasks:
        by_state.setdefault(str(task.get("state")), []).append(task)
    succeeded, dead = by_state.get("succeeded", []), by_state.get("dead", [])
    failed = Counter(_attempts(task) for task in succeeded)
    share = run.failure_rate**ATTEMPTS
    times = sorted(taken for task in succeeded + dead if (taken := _taken(task)) is not None)
    duplicates = None if run.successes is None else run.successes - len(succeeded)
    final = sum(len(tasks) for state, tasks in by_state.items() if state in FINAL)
    return Tally(
        submitted=run.submitted,
        succeeded_at=tuple(failed[n] for n in range(ATTEMPTS)),
        dead=len(dead),
        dead_expected=plausible(run.submitted, share),
        dead_share=share,
        dead_letters=len(run.letters),
        duplicates=duplicates,
        lost=run.submitted - final,
        p50=quantile(times, 0.5),
        p95=quantile(times, 0.95),
        calls_per_task=run.calls_per_task,
        deaths=run.deaths,
        seconds=run.seconds,
        checks=tuple(_checks(run, by_state, duplicates)),
    )


def _checks(
    run: Run, by_state: Mapping[str, Sequence[Document]], duplicates: int | None
) -> list[Check]:
    succeeded, dead = by_state.get("succeeded", ()), by_state.get("dead", ())
    ended = len(succeeded) + len(dead)
    others = {state: len(tasks) for state, tasks in by_state.items()}
    late = [task for task in succeeded if _attempts(task) >= ATTEMPTS]
    early = [task for task in dead if _attempts(task) != ATTEMPTS]
    buried = {(str(task.get("id")), str(task.get("claim_no"))) for task in dead}
    letters = {(task_id, claim_no) for task_id, claim_no, _ in run.letters}
    spent = [cause for *_, cause in run.letters if cause.split(" ")[0] == Cause.ATTEMPTS_SPENT]
    copies = "" if run.deaths else f", {len(run.letters)} copies"
    doubled = not run.deaths and len(run.letters) != len(letters)
    checks = [
        Check("every task ended", ended == run.submitted, f"{others} of {run.submitted}"),
        Check("successes had attempts left", not late, f"{len(late)} had none"),
        Check("the dead spent all attempts", not early, f"{len(early)} did not"),
        Check(
            "each dead task has its copy in the dead-letter queue",
            buried == letters and not doubled,
            f"{len(buried)} dead, {len(letters)} in the queue{copies}",
        ),
        Check(
            "each copy says why",
            len(spent) == len(run.letters),
            f"{len(run.letters) - len(spent)} do not",
        ),
    ]
    if duplicates is not None:
        checks.append(Check("no task succeeded twice", not duplicates, f"{duplicates} too many"))
    return checks


def _attempts(task: Document) -> int:
    value = task.get("attempts")
    return value if isinstance(value, int) else -1


def _taken(task: Document) -> float | None:
    begun, ended = task.get("created_at"), task.get("finished_at")
    if not (isinstance(begun, str) and isinstance(ended, str)):
        return None
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest-rank quantile of what is sorted already; None of nothing."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def plausible(count: int, share: float) -> tuple[int, int]:
    """The least and the most of `count` that happen in 99 of 100 runs, each with chance `share`."""
    if share in (0, 1):
        return round(count * share), round(count * share)
    tail = (1 - PLAUSIBLE) / 2
    low, high, below = 0, count, 0.0
    for hits in range(count + 1):
        chance = math.exp(
            math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
            + hits * math.log(share) + (count - hits) * math.log1p(-share)
        )  # fmt: skip
        if below <= tail:
            low = hits
        below += chance
        if below >= 1 - tail:
            high = hits
            break
    return low, high
