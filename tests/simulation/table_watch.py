"""Watches the table: keeps the book of each task, and holds each write against the promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ftq.lifecycle import State
from ftq.task import Task
from ftq.testing import now_ms, sender
from ftq.wire.item import Item, read_task
from tests.simulation.book import Book, Claim, Life
from tests.simulation.schedule import Schedule
from tests.simulation.writes import WRITES, Step, Write, step_of


class Sender(Protocol):
    """A daemon, as far as judging its writes goes."""

    @property
    def skew(self) -> int:
        """Milliseconds by which its clock is ahead."""

    @property
    def spared(self) -> bool:
        """Whether a breaker of it has ever opened."""

    @property
    def drained_at(self) -> float:
        """When it was told to stop; inf if it was not."""

    def frozen(self, since: float) -> bool:
        """Whether it was dead or stalled at some time since then."""

    def excused(self, since: float) -> bool:
        """Whether it was dead, stalled or cut off at some time since then."""


@dataclass(slots=True)
class TableWatch:
    """A watcher of the table of tasks.

    Attributes:
        book: Where it is written.
        schedule: The run.
        who: The daemons by name; None for other senders.
        on_step: Told of each kind of step, who took it, and with which task.
    """

    book: Book
    schedule: Schedule
    who: Callable[[str], Sender | None]
    on_step: Callable[[str, str, str], None]

    def __call__(self, key: str, before: Item | None, after: Item | None) -> None:
        """Take over one write."""
        if "#" in key or self.book.closed:
            return
        life, by = self.book.life(key), sender()
        new = read_task(after)
        if after is None:
            self._removed(life, by)
        elif new is None:
            self.book.accuse("records are readable", key, f"{by} wrote {dict(after)}")
        elif life.record is None:
            self._made(life, new, by)
        else:
            self._changed(life, life.record, new, by)
        if after is not None and new is not None and new.final is ("free_at" in after):
            self.book.accuse("only what is open is free", key, f"{new.state}, {after}")

    def _removed(self, life: Life, by: str) -> None:
        old, life.record = life.record, None
        self.book.note(by, "expired", life.id)
        self.book.seen["record expired"] += 1
        if old is not None and not old.final:
            self.book.accuse("nothing accepted is lost", life.id, f"removed while {old.state}")
        self.book.open.discard(life.id)

    def _made(self, life: Life, new: Task, by: str) -> None:
        if life.made:
            self.book.accuse("forgotten is forgotten", life.id, f"{by} made its record anew")
        life.record, life.made, life.lapses = new, True, new.crashes
        self.book.open.add(life.id)
        self.book.note(by, "stored", life.id, brief(new))
        self._waits(life, new)
        if new.state is State.RUNNING:
            self.book.seen["inserted by a claim"] += 1
            life.claims[new.claim_no] = Claim(by, self.book.now, 0, cancel_asked=False)
            self.on_step("claim", by, life.id)

    def _changed(self, life: Life, old: Task, new: Task, by: str) -> None:
        step, node = step_of(old, new, by), self.who(by)
        self.book.note(by, step, life.id, brief(new))
        if old.final:
            life.was_final = self.book.now
        self._lapse(life, old, step)
        skew = max(0, node.skew) if node is not None else 0
        spared = node is not None and node.spared
        ordered = not self.schedule.rates.overdue
        write = Write(old, new, by, now_ms(), skew, spared, ordered, step)
        for promise in WRITES:
            if broken := promise(write, life, self.book):
                self.book.accuse(promise.__name__.replace("_", " "), life.id, broken)
        life.record = new
        self._keep(life, old, new, by, step)
        self._waits(life, new)

    def _lapse(self, life: Life, old: Task, step: Step) -> None:
        """The claim before this write ended without a word from its holder."""
        if step in ("redrive", "revive"):
            life.lapses = 0
        if old.state is not State.RUNNING or step not in ("claim", "cancel"):
            return
        life.lapses += 1
        self.book.seen["claim lapsed"] += 1
        claim = life.claims.get(old.claim_no)
        holder = self.who(old.claimed_by)
        if claim is None or holder is None or claim.renewed or old.claim_no in life.runs:
            return
        if not holder.excused(claim.granted):
            what = f"{old.claimed_by} was well, and did nothing with claim {old.claim_no}"
            self.book.accuse("what is claimed is run or settled", life.id, what)

    def _keep(self, life: Life, old: Task, new: Task, by: str, step: Step) -> None:
        now, seen = self.book.now, self.book.seen
        if step in ("claim", "revive"):
            asked = bool(old.cancel_requested) and step == "claim"
            life.claims[new.claim_no] = Claim(by, now, new.crashes, asked)
            seen["claim"] += 1
            seen["claim of what is to be cancelled"] += asked
            self.on_step("claim", by, life.id)
        if step == "settle":
            claim = life.claims.get(old.claim_no)
            if claim is not None:
                claim.settled = new.state
                claim.wait = max(0, new.free_at - new.updated_at)
            seen[f"settled {new.state}"] += 1
            seen["orphans given back"] += new.releases - old.releases > 1
            self.on_step("settle", by, life.id)
        if step in ("redrive", "revive"):
            life.reborn.add(old.claim_no)
            seen[step] += 1
        if new.state is State.DEAD and step == "settle":
            life.deaths[new.claim_no] = now
            looped = new.last_error is not None and new.last_error.kind == "crash_loop"
            seen["crash loop"] += looped
            life.crash_loops += looped
            self.on_step("dead", by, life.id)
        if step == "touch":
            self._touched(life, old, new)
        if step == "cancel":
            seen["cancelled by an operator"] += 1
        if new.final:
            life.was_final = now
            self.book.open.discard(life.id)
        else:
            self.book.open.add(life.id)

    def _touched(self, life: Life, old: Task, new: Task) -> None:
        if new.sweeps > old.sweeps:
            self.book.seen["swept"] += 1
            self.book.seen["swept after a purge"] += self.book.now > self.book.purged_at
        claim = life.claims.get(new.claim_no)
        if claim is not None and new.free_at > old.free_at:
            claim.renewed = True

    def _waits(self, life: Life, new: Task) -> None:
        if new.state not in (State.RUNNING, State.DEAD):
            life.waited_for = max(life.waited_for, new.free_at)


def brief(task: Task) -> str:
    """A record in one line."""
    counts = f"a{task.attempts} r{task.releases} c{task.crashes} past{task.past} s{task.sweeps}"
    held = f"claim {task.claim_no} {task.state} by {task.claimed_by or '-'}"
    return f"{held} free {task.free_at % 10**8} due {task.due_at % 10**8} {counts}"
