"""The promises about a handler that starts."""

from __future__ import annotations

from collections.abc import Callable

from ftq import Context
from ftq.lifecycle import State
from ftq.testing import now_ms
from tests.simulation.book import Book, Claim, Life, Run
from tests.simulation.ops import Start
from tests.simulation.schedule import Schedule
from tests.simulation.table_watch import Sender

Who = Callable[[str], Sender | None]
# What is told to end is told within a second; its lease lasts five more (PROTOCOL R14).
_PROMPT = 2.0
_CLOSE_CLOCKS = 2.0


def begin(book: Book, schedule: Schedule, who: Who, context: Context, run: Run) -> None:
    """A handler starts: once for each claim, by its holder, and as a suspect apart."""
    life, claim_no = book.life(context.task_id), context.claim_no
    claim = life.claims.get(claim_no)
    book.note(run.by, "handler runs", life.id, f"claim {claim_no}")
    if claim is None or claim.by != run.by:
        book.accuse("who runs it has claimed it", life.id, f"{run.by} as claim {claim_no}")
        return
    if claim.cancel_asked:
        book.accuse("cancelled is not run", life.id, f"{run.by} ran claim {claim_no}")
    if claim_no in life.runs:
        book.accuse("one run for each claim", life.id, f"claim {claim_no} ran twice")
    _apart(book, schedule, life, claim, run)
    # An overdue beat may shorten a lease, and with clocks far apart a lease ends early for some.
    skews = [abs(op.skew) for op in schedule.ops if isinstance(op, Start)]
    if not schedule.rates.overdue and max(skews, default=0.0) <= _CLOSE_CLOCKS:
        _after_the_last(book, life, claim_no, who)
        _under_a_lease(book, life, claim_no, who)
    _crash_is_kept(book, life, claim_no)
    life.runs[claim_no] = run


def _apart(book: Book, schedule: Schedule, life: Life, claim: Claim, run: Run) -> None:
    """A suspect runs in a process of its own, and nobody else does (R4)."""
    suspect = claim.crashes >= schedule.terms.crash_limit - 1
    book.seen["suspect run"] += suspect
    if suspect is not run.apart:
        what = f"{run.by} runs it {'apart' if run.apart else 'among others'}: {claim}"
        book.accuse("suspects run apart", life.id, what)


def _after_the_last(book: Book, life: Life, claim_no: int, who: Who) -> None:
    """Whoever lost the task has told its handler to end, before another one starts (R14)."""
    for number, run in life.runs.items():
        holder = who(run.by)
        over = bool(run.end) or run.told or number >= claim_no or run.began > book.now - _PROMPT
        if over or holder is None or holder.frozen(run.began):
            continue
        what = f"claim {number} runs on {run.by} as claim {claim_no} starts"
        book.accuse("a handler is told when its claim is lost", life.id, what)


def _under_a_lease(book: Book, life: Life, claim_no: int, who: Who) -> None:
    """No handler starts on a claim that its daemon can know to be over (R14)."""
    record, claim = life.record, life.claims[claim_no]
    holder = who(claim.by)
    if holder is None or holder.frozen(claim.granted):
        return
    held = record is not None and record.state is State.RUNNING and record.claim_no == claim_no
    if record is None or not held or record.free_at <= now_ms():
        what = f"{claim.by} starts claim {claim_no} late: {record and record.claim_no}"
        book.accuse("a handler starts under a lease", life.id, what)


def _crash_is_kept(book: Book, life: Life, claim_no: int) -> None:
    """The claim before lapsed: that is written down before the next handler starts (R17)."""
    before = life.claims.get(claim_no - 1)
    if before is None or before.settled is not None or life.record is None:
        return
    written = {(entry.claim_no, entry.outcome) for entry in life.record.history}
    if (claim_no - 1, "crashed") not in written:
        book.accuse("the cause is kept", life.id, f"no line says that claim {claim_no - 1} crashed")
