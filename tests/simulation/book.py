"""What happened in a run, as the invariants and people need it: every applied write, and more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from ftq.lifecycle import State
from ftq.task import Task

End: TypeAlias = Literal[
    "", "returned", "raised", "rejected", "retry", "patient", "cancelled", "killed"
]
# How a handler can end by itself that spends an attempt.
COUNTED: Final = frozenset({"raised", "rejected", "retry"})


@dataclass(slots=True)
class Run:
    """A handler under way, or over.

    Attributes:
        told: Whether it was told to end before it did.
        timeout: Its deadline in seconds.
        apart: Whether it runs in a process of its own.
    """

    by: str
    began: float
    timeout: float
    apart: bool = False
    end: End = ""
    ended: float = 0.0
    told: bool = False

    def failed(self, now: float) -> bool:
        """Whether an attempt is spent: it failed by itself, or ran past its deadline."""
        late = (self.ended if self.end else now) - self.began >= self.timeout - 0.001
        return late if self.told or not self.end else self.end in COUNTED


@dataclass(slots=True)
class Claim:
    """A claim that was granted.

    Attributes:
        by: To whom.
        granted: When.
        crashes: Claims of this life that had lapsed before it.
        cancel_asked: Whether the task was to be cancelled already.
        settled: What it was settled to.
        renewed: Whether its holder ever renewed it.
        wait: Milliseconds for which the settle makes the task wait.
        told: How often its settle was told.
    """

    by: str
    granted: float
    crashes: int
    cancel_asked: bool
    settled: State | None = None
    renewed: bool = False
    wait: int = 0
    told: int = 0


@dataclass(slots=True)
class Life:
    """All that is known of one task.

    Attributes:
        record: The record as it is; None before it is made and once it is gone.
        made: Whether it was ever stored.
        claims: By number, from the first on.
        runs: By the number of their claim.
        deaths: When it died, by the number of the claim.
        reborn: The deaths that were undone.
        lapses: Claims of this life that ended without a word, and were not forgiven.
        crash_loops: How often it was quarantined.
        was_final: When it was last final, were it only for a moment; -1 if it never was.
        waited_for: The latest moment, in milliseconds, for which it ever waited.
    """

    id: str
    record: Task | None = None
    made: bool = False
    claims: dict[int, Claim] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    deaths: dict[int, float] = field(default_factory=dict)
    reborn: set[int] = field(default_factory=set)
    lapses: int = 0
    was_final: float = -1.0
    crash_loops: int = 0
    waited_for: int = 0


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken."""

    promise: str
    task_id: str
    what: str
    at: float

    def __str__(self) -> str:
        """One line."""
        return f"{self.promise}: {self.what} (task {self.task_id or '-'}, at {self.at:.3f} s)"


Line: TypeAlias = tuple[float, str, str, str, str]
"""When, who, what, which task, and more."""


@dataclass(slots=True)
class Book:
    """The record of a run.

    Attributes:
        clock: Virtual seconds.
        lives: The tasks by id.
        trace: What happened, in order.
        violations: What should not have.
        seen: How often the things happened that a run is for: the coverage.
        asked: The deaths (id, claim) that somebody asked to be undone.
        letters: The dead letters (id, claim) that were ever sent.
        open: The tasks that are stored and not final.
        purged_at: When the queue was first purged.
        closed: Whether the run is over; nothing counts any more.
    """

    clock: Callable[[], float]
    lives: dict[str, Life] = field(default_factory=dict)
    trace: list[Line] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    asked: set[tuple[str, int]] = field(default_factory=set)
    letters: set[tuple[str, int]] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    purged_at: float = float("inf")
    closed: bool = False

    @property
    def now(self) -> float:
        """Virtual seconds since the run began."""
        return self.clock()

    def life(self, task_id: str) -> Life:
        """What is known of a task."""
        found = self.lives.get(task_id)
        if found is None:
            found = self.lives[task_id] = Life(task_id)
        return found

    def note(self, who: str, what: str, task_id: str = "", more: str = "") -> None:
        """Add a line to the trace."""
        if not self.closed:
            self.trace.append((self.now, who, what, task_id, more))

    def accuse(self, promise: str, task_id: str, what: str) -> None:
        """Say that a promise was broken."""
        if not self.closed:
            self.violations.append(Violation(promise, task_id, what, self.now))
            self.note("", "VIOLATION", task_id, f"{promise}: {what}")

    def story(self, task_id: str) -> list[str]:
        """The trace of one task, and of what concerns all."""
        return [
            f"{at:9.3f}  {who:<9} {what:<12} {more}"
            for at, who, what, of, more in self.trace
            if of in (task_id, "")
        ]
