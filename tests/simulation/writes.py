"""The promises about each single write of a record. Each is a function of its own name.

They judge by what the run itself saw (who sent the write, how the handler ended), not by the
daemon's word for it, and share no rule with the code under test but the lifecycle's table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ftq.lifecycle import FINAL, TRANSITIONS, State
from ftq.task import Task
from tests.simulation.book import Book, Life

Step: TypeAlias = Literal["claim", "revive", "settle", "cancel", "redrive", "touch", "other"]
LEGAL: Final = {(before, after) for (before, _), after in TRANSITIONS.items()}
DAEMON: Final = "d"


@dataclass(frozen=True, slots=True)
class Write:
    """An applied write of a record that was there before.

    Attributes:
        by: Who sent it; the daemons' names begin with ``d``.
        now: True wall time in milliseconds.
        skew: Milliseconds by which the sender's clock may be off.
        spared: Whether a breaker of the sender's has ever opened.
        ordered: Whether calls arrive in the order in which they were given up.
    """

    old: Task
    new: Task
    by: str
    now: int
    skew: int
    spared: bool
    ordered: bool
    step: Step


def step_of(old: Task, new: Task, by: str) -> Step:
    """What kind of write it is."""
    if new.claim_no == old.claim_no + 1:
        return "revive" if old.state is State.DEAD else "claim"
    if new.claim_no != old.claim_no:
        return "other"
    if old.state is new.state:
        return "touch"
    if old.state is State.DEAD and new.state is State.QUEUED:
        return "redrive"
    if old.state is State.RUNNING:
        return "settle" if by.startswith(DAEMON) else "cancel"
    if new.state is State.CANCELLED:
        return "cancel"
    return "touch" if old.state is State.SCHEDULED else "other"


def one_winner(write: Write, life: Life, book: Book) -> str:
    """A claim takes what is free, under the next number, for whoever sent it."""
    old, new = write.old, write.new
    if write.step == "other":
        return f"claim {old.claim_no} {old.state} became claim {new.claim_no} {new.state}"
    if write.step not in ("claim", "revive"):
        return ""
    if new.claimed_by != write.by:
        return f"{write.by} claimed it for {new.claimed_by}"
    if write.step == "claim" and old.free_at > write.now + write.skew:
        return f"{write.by} claimed it {old.free_at - write.now} ms before it was free"
    return f"claim {new.claim_no} was granted twice" if new.claim_no in life.claims else ""


def only_the_holder_writes(write: Write, life: Life, book: Book) -> str:
    """What is running is written by its holder; an operator may ask, or end a lapsed claim."""
    old, new, by = write.old, write.new, write.by
    if write.step == "cancel" and old.state is State.RUNNING and old.free_at > write.now + 100:
        return f"{by} cancelled it under a lease that holds"
    if old.state is not State.RUNNING or not by.startswith(DAEMON):
        return ""
    swept = write.step == "touch" and new.due_at != old.due_at
    if write.step in ("touch", "settle") and by != old.claimed_by and not swept:
        return f"{by} wrote while {old.claimed_by} held claim {old.claim_no}"
    if write.step != "settle":
        return ""
    if disowned(old, new):
        book.seen["disowned"] += 1
        return ""
    last = new.history[-1]
    if (last.claim_no, last.by) != (old.claim_no, by):
        return f"the history's last line is of claim {last.claim_no} by {last.by}"
    if new.state is State.SUCCEEDED and f'"claim":{old.claim_no}' not in new.result:
        return f"claim {old.claim_no} settled with the result {new.result}"
    said = new.last_error.message if new.last_error else ""
    if last.class_name.endswith("Boom") and said != f"claim {old.claim_no}":
        return f"claim {old.claim_no} settled with the error {said!r}"
    return ""


def final_is_final(write: Write, life: Life, book: Book) -> str:
    """Nothing changes a final record but a redrive, by either way."""
    if write.old.state in FINAL and write.step not in ("redrive", "revive"):
        return f"{write.by} wrote to a task that was {write.old.state}"
    return ""


def moves_are_legal(write: Write, life: Life, book: Book) -> str:
    """A state follows another as the lifecycle's table says."""
    pair = (write.old.state, write.new.state)
    return "" if pair in LEGAL or pair[0] is pair[1] else f"{pair[0]} became {pair[1]}"


def attempts_equal_failures(write: Write, life: Life, book: Book) -> str:
    """A settle counts an attempt if the handler failed, and a release if it did not."""
    old, new = write.old, write.new
    added = (new.attempts - old.attempts, new.releases - old.releases)
    if write.step == "settle" and added[0] == 0 and added[1] > 1:
        return _forgiven(write, life, added[1])
    if disowned(old, new):
        run = life.runs.get(old.claim_no)
        return f"claim {old.claim_no} was disowned and ran: {run}" if run or added != (0, 1) else ""
    if write.step != "settle":
        fresh = write.step in ("redrive", "revive") and (new.attempts, new.releases) == (0, 0)
        return "" if fresh or added == (0, 0) else f"{write.step} counted {added}"
    wanted = (0, 0) if new.state is State.SUCCEEDED else (1, 0)
    if new.state is not State.SUCCEEDED and added != wanted and added != (0, 1):
        return f"a settle to {new.state} counted {added}"
    run = life.runs.get(old.claim_no)
    invalid = new.last_error is not None and new.last_error.kind == "invalid_payload"
    failed = run.failed(book.now) if run is not None else invalid
    if added[0] and not failed:
        return f"an attempt was spent on claim {old.claim_no}, whose handler did not fail: {run}"
    excused = write.spared or new.state is State.CANCELLED
    if added[1] and run is not None and run.end and failed and not run.told and not excused:
        return f"the failure of claim {old.claim_no} was not counted: {run}"
    if new.state is State.SUCCEEDED and (run is None or run.end != "returned"):
        return f"claim {old.claim_no} succeeded and its handler did not: {run}"
    return ""


def _forgiven(write: Write, life: Life, added: int) -> str:
    """Claims are given back together with those that were orphaned before them."""
    old, new = write.old, write.new
    forgiven = added - 1
    if new.state is not State.QUEUED:
        return f"a settle to {new.state} counted {added} releases"
    life.lapses -= forgiven
    for claim_no in range(old.claim_no - forgiven, old.claim_no):
        run, claim = life.runs.get(claim_no), life.claims.get(claim_no)
        if claim is None or claim.settled is not None or (run is not None and not run.apart):
            return f"claim {claim_no} was forgiven: {claim}, {run}"
    if life.runs.get(old.claim_no) is not None:
        return f"claim {old.claim_no} forgave others and ran"
    return ""


def disowned(old: Task, new: Task) -> bool:
    """Whether a claim was given back by a daemon that did not know whether it had it."""
    given_back = old.state is State.RUNNING and new.state is State.QUEUED
    return given_back and old.history == new.history


def crashes_are_lapses(write: Write, life: Life, book: Book) -> str:
    """The record's arithmetic gives the claims that ended without a word."""
    if write.new.crashes == life.lapses:
        return ""
    return f"{write.new.crashes} crashes by arithmetic, {life.lapses} claims lapsed"


def expires_only_when_final(write: Write, life: Life, book: Book) -> str:
    """A record has a TTL if, and only if, it is final."""
    new = write.new
    return "" if bool(new.expires_at) == new.final else f"{new.state}, expires {new.expires_at}"


def one_life_for_each_death(write: Write, life: Life, book: Book) -> str:
    """A death is undone once, only if somebody asked for that one, and the history tells."""
    if write.step not in ("redrive", "revive"):
        return ""
    died_at = write.old.claim_no
    if died_at in life.reborn:
        return f"the death at claim {died_at} was undone twice"
    if write.new.past != died_at:
        return f"the death at claim {died_at} was undone for claim {write.new.past}"
    if (life.id, died_at) not in book.asked:
        return f"nobody asked for the death at claim {died_at} to be undone"
    last = write.new.history[-1]
    if (last.claim_no, last.outcome) != (died_at, "redriven"):
        return f"the history's last line does not tell of it: {last}"
    return ""


def a_renewal_extends(write: Write, life: Life, book: Book) -> str:
    """A lease that was promised is not shortened."""
    old, new = write.old, write.new
    running = write.step == "touch" and new.state is State.RUNNING
    if not running or not write.ordered or new.free_at >= old.free_at or _ends_lease(write):
        return ""
    return f"{write.by} shortened claim {new.claim_no} by {old.free_at - new.free_at} ms"


def _ends_lease(write: Write) -> bool:
    """Whether it says that the process of a suspect died."""
    last = write.new.history[-1] if write.new.history else None
    return last is not None and (last.claim_no, last.outcome) == (write.new.claim_no, "crashed")


def a_lease_ends_early_by_a_death(write: Write, life: Life, book: Book) -> str:
    """A claim is called a crash by its holder only if its handler ran apart, and was killed."""
    if write.step != "touch" or not _ends_lease(write) or write.old.history == write.new.history:
        return ""
    run = life.runs.get(write.new.claim_no)
    if run is None or not run.apart or run.end != "killed":
        return f"{write.by} says that claim {write.new.claim_no} crashed: {run}"
    return ""


def quarantined_for_crashes(write: Write, life: Life, book: Book) -> str:
    """A crash loop has as many crashes as its limit, and no handler ran in the end."""
    new = write.new
    if write.step != "settle" or new.state is not State.DEAD or new.last_error is None:
        return ""
    if new.last_error.kind == "crash_loop" and new.claim_no in life.runs:
        return f"claim {new.claim_no} was run and quarantined"
    return ""


Promise: TypeAlias = Callable[[Write, Life, Book], str]
WRITES: Final[tuple[Promise, ...]] = (
    one_winner,
    only_the_holder_writes,
    final_is_final,
    moves_are_legal,
    attempts_equal_failures,
    crashes_are_lapses,
    expires_only_when_final,
    one_life_for_each_death,
    a_renewal_extends,
    a_lease_ends_early_by_a_death,
    quarantined_for_crashes,
)
