"""The promises about how a run, or a daemon, ends. Those about each write are in `writes`."""

from __future__ import annotations

from collections.abc import Callable

from ftq.lifecycle import State
from ftq.testing.message import Copy
from ftq.testing.queue import MemoryQueue
from tests.simulation.book import Book, Life
from tests.simulation.node import Node
from tests.simulation.operators import id_of as id_of_task
from tests.simulation.ops import Purge, Submit
from tests.simulation.queue_watch import claim_of
from tests.simulation.schedule import Schedule


def after_drain(book: Book, node: Node, left: int) -> None:
    """A daemon that was told to stop, and whom AWS answered, leaves nothing of its behind."""
    if left:
        book.accuse("a stop strands nothing", "", f"{node.name} left {left} attempts")
    for life in book.lives.values():
        record = life.record
        if record is None or record.state is not State.RUNNING or record.claimed_by != node.name:
            continue
        if record.history and record.history[-1].claim_no == record.claim_no:
            continue  # its process died, and it was let go of
        run = life.runs.get(record.claim_no)
        what = f"{node.name} stopped and holds claim {record.claim_no}: {run}"
        book.accuse("a stop strands nothing", life.id, what)


def at_the_end(
    schedule: Schedule,
    book: Book,
    queue: MemoryQueue,
    dead_letters: MemoryQueue,
    id_of: Callable[[Copy], str],
) -> None:
    """Everything is final, and table and dead-letter queue agree."""
    copies = dead_letters.messages()
    found = {(id_of(copy), claim_of(copy)) for copy in copies}
    purges = [op.at for op in schedule.ops if isinstance(op, Purge)]
    for life in book.lives.values():
        _is_final(book, life)
        if life.record is not None and life.record.state is State.DEAD:
            _has_letter(book, life, life.record.claim_no, found, purges)
    for op in schedule.ops:
        # Whatever dies around it: one that never kills its process is never called a killer.
        if not isinstance(op, Submit) or op.kind == "killer":
            continue
        if book.life(id_of_task(op)).crash_loops:
            book.accuse("only killers are quarantined", id_of_task(op), f"a {op.kind} task was")
    for task_id, claim_no in found:
        if claim_no is not None and claim_no not in book.life(task_id).deaths:
            what = f"a dead letter of claim {claim_no}, which did not die"
            book.accuse("table and dead letters agree", task_id, what)


def _is_final(book: Book, life: Life) -> None:
    record = life.record
    if life.made and record is not None and not record.final:
        book.accuse("nothing accepted is lost", life.id, f"it ends {record.state}")


def _has_letter(
    book: Book,
    life: Life,
    claim_no: int,
    found: set[tuple[str, int | None]],
    purges: list[float],
) -> None:
    if (life.id, claim_no) in found:
        return
    claim = life.claims.get(claim_no)
    # A purge takes the message along, and with it the chance of a copy if the daemon dies too.
    purged = claim is not None and any(at >= claim.granted - 60 for at in purges)
    if not purged:
        what = f"it is dead at claim {claim_no}, and no dead letter says so"
        book.accuse("table and dead letters agree", life.id, what)
