"""Plays many seeds, and says of each that fails all that is needed to understand it."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from tests.simulation.book import Book
from tests.simulation.draw import draw
from tests.simulation.schedule import Schedule
from tests.simulation.world import play

# Seeds that a worker process takes at once.
SHARE: Final = 10
_MOST_LINES: Final = 400


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that broke a promise, or the simulator."""

    seed: int
    promise: str
    report: str


@dataclass(slots=True)
class Batch:
    """What came of some seeds.

    Attributes:
        played: How many there were.
        seen: In how many of them each thing happened.
        failures: Those that failed.
    """

    played: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: Batch) -> None:
        """Take another batch in."""
        self.played += other.played
        self.seen.update(other.seen)
        self.failures += other.failures


def play_seeds(seeds: Iterable[int]) -> Batch:
    """Play seeds one after the other."""
    batch = Batch()
    for seed in seeds:
        batch.played += 1
        schedule = draw(seed)
        try:
            book = play(schedule)
        except Exception as error:  # of the simulator, or of whatever the loop ran into
            said = f"{type(error).__name__}: {error}"
            batch.failures.append(Failure(seed, "it ends", _report(schedule, [said], [])))
            continue
        batch.seen.update(name for name, count in book.seen.items() if count)
        if book.violations:
            batch.failures.append(_failure(schedule, book))
    return batch


def trace_hash(book: Book) -> str:
    """A hash of all that happened, in order."""
    return hashlib.sha256("\n".join(map(repr, book.trace)).encode()).hexdigest()


@contextmanager
def workers(jobs: int = 0) -> Iterator[ProcessPoolExecutor]:
    """Processes to play in; as many as there are processors if `jobs` is 0."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs or os.cpu_count() or 1, mp_context=context) as pool:
        yield pool


def play_among(pool: ProcessPoolExecutor, seeds: Sequence[int]) -> Iterator[Batch]:
    """Play seeds in worker processes; their batches come in order."""
    shares = [seeds[at : at + SHARE] for at in range(0, len(seeds), SHARE)]
    # Not all at once: a soak may have millions.
    waiting = (shares[at : at + 64] for at in range(0, len(shares), 64))
    for some in waiting:
        yield from pool.map(play_seeds, some)


def _failure(schedule: Schedule, book: Book) -> Failure:
    first = book.violations[0]
    story = list(islice(book.story(first.task_id), _MOST_LINES))
    said = [str(violation) for violation in book.violations[:10]]
    return Failure(schedule.seed, first.promise, _report(schedule, said, story))


def _report(schedule: Schedule, said: list[str], story: list[str]) -> str:
    parts = [
        f"seed {schedule.seed} failed; play it again: "
        f"python -m tests.simulation --seeds {schedule.seed}",
        "the schedule:",
        str(schedule),
        "what happened to the task concerned:",
        *(f"  {line}" for line in story),
        "what should not have:",
        *(f"  {line}" for line in said),
    ]
    return "\n".join(parts)
