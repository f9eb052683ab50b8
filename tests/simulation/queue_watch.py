"""Watches the queue and the dead-letter queue: what may be deleted, and hidden for how long."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ftq.lifecycle import State
from ftq.task import Task
from ftq.testing import now_ms, sender
from ftq.testing.message import Copy
from ftq.testing.queue import Happening
from ftq.wire.queue import CLAIM_NO
from tests.simulation.book import Book
from tests.simulation.hand_watch import HandWatch
from tests.simulation.ops import Stall, Start
from tests.simulation.schedule import Rates, Schedule
from tests.simulation.table_watch import Sender

# A hide is rounded up and jittered; while it fails it is repeated with the same seconds.
_ROUNDED: Final = 1_000 + 2_000 + 500
_REPEATED: Final = 10_000
_BREAKER_MOST: Final = 300_000
_UNKNOWN_MOST: Final = 46_000
_APART_MOST: Final = 900_000
# Visibility timeouts for which a daemon insists on its last word with the message hidden.
_KEPT: Final = 3


@dataclass(slots=True)
class QueueWatch:
    """A watcher of the queue.

    Attributes:
        book: Where it is written.
        schedule: The run.
        who: The daemons by name; None for other senders.
        hands: Told what a daemon does with the message in its hand.
        on_step: Told of each thing that a daemon did, and with which task.
        kind_of: The kind of a task.
    """

    book: Book
    schedule: Schedule
    who: Callable[[str], Sender | None]
    hands: HandWatch
    on_step: Callable[[str, str, str], None]
    kind_of: Callable[[str], str]
    _ids: dict[str, str] = field(default_factory=dict)
    _sent: dict[tuple[str, str], int] = field(default_factory=dict)

    def on_queue(self, happening: Happening, copy: Copy) -> None:
        """Something happened to a message of the queue."""
        if self.book.closed:
            return
        by, task_id = sender(), self.id_of(copy)
        more = f"{copy.message_id} #{copy.receive_count}"
        if happening in ("hidden", "received"):
            more += f" visible in {(copy.visible_at - now_ms()) / 1000:g} s"
        self.book.note(by, happening, task_id, more)
        self.book.seen[happening] += 1
        claim_no = claim_of(copy)
        if happening == "sent":
            self._sent[by, task_id] = now_ms()
            if claim_no is not None:
                self.book.asked.add((task_id, claim_no))
        node = self.who(by)
        if node is None:
            return
        if happening == "deleted":
            self._deleted(copy, by, task_id)
        elif happening == "hidden":
            self._hidden(copy, by, task_id, node)
        self.hands.on_message(happening, copy, by, task_id)
        self.on_step(happening, by, task_id)

    def on_dead_letters(self, happening: Happening, copy: Copy) -> None:
        """Something happened to a dead letter."""
        if self.book.closed:
            return
        by, task_id = sender(), self.id_of(copy)
        claim_no = claim_of(copy)
        self.book.note(by, f"dlq {happening}", task_id, f"{copy.message_id} claim {claim_no}")
        self.book.seen[f"dlq {happening}"] += 1
        if happening == "sent":
            self._sent[by, task_id] = now_ms()
            if claim_no is not None:
                self.book.letters.add((task_id, claim_no))
            self.on_step("sent", by, task_id)

    def id_of(self, copy: Copy) -> str:
        """The task of a message; '' if it is none."""
        found = self._ids.get(copy.message_id)
        if found is None:
            found = self._ids[copy.message_id] = _id_in(copy.body)
        return found

    def _deleted(self, copy: Copy, by: str, task_id: str) -> None:
        """The table comes before the queue: no open task loses the message in hand."""
        life = self.book.lives.get(task_id)
        if life is None or life.record is None or life.record.final:
            return
        received = self.book.now - (now_ms() - copy.received_at) / 1000
        afresh = self._sent.get((by, task_id), -1) >= copy.received_at
        self.book.seen["sent afresh"] += afresh
        if life.was_final < received and not afresh:
            what = f"{by} deleted its message while it was {life.record.state}"
            self.book.accuse("the table comes before the queue", task_id, what)

    def _hidden(self, copy: Copy, by: str, task_id: str, node: Sender) -> None:
        """Nothing is hidden for longer than a visibility timeout, or than its task waits."""
        now, until = now_ms(), copy.visible_at
        life, visibility = self.book.lives.get(task_id), self.schedule.terms.visibility * 1000
        if until <= now or life is None:
            return
        waits = life.waited_for + self._slack
        most = max(now + visibility + 1_000, waits)
        if node.spared:
            most = max(most, now + _BREAKER_MOST + 1_000)
        if self.kind_of(task_id) == "new":
            most = max(most, now + _UNKNOWN_MOST)
        if life.record is not None:
            orphaned = sum(entry.outcome == "orphaned" for entry in life.record.history)
            apart = min(_APART_MOST, (visibility << orphaned) * 3 // 4)
            most = max(most, now + apart + 1_000) if orphaned else most
        if until > most:
            what = f"{by} hid it {(until - most) / 1000} s too long"
            self.book.accuse("hidden no longer than promised", task_id, what)
        elif life.record is not None and not node.spared and until > waits:
            self._waiting(copy, by, life.record)

    def _waiting(self, copy: Copy, by: str, task: Task) -> None:
        """The message of a task that waits for nobody comes back by its last receive."""
        terms = self.schedule.terms
        suspect = task.crashes >= terms.crash_limit - 1
        if task.state not in (State.QUEUED, State.RETRYING) or suspect:
            return
        late = copy.visible_at - copy.received_at - 2 * terms.visibility * 1000
        if any(burst.error == "lost" for burst in self.schedule.bursts):
            # Until it learns whether its last word was written, it keeps the message to itself.
            late -= _KEPT * terms.visibility * 1000
        if late > self._slack and self.kind_of(task.id) != "new":
            what = f"{by} hid it while it was {task.state} and free at {task.free_at}"
            self.book.accuse("hidden no longer than promised", task.id, what)

    @property
    def _slack(self) -> int:
        """What faults and clocks may add, in milliseconds."""
        schedule = self.schedule
        skews = [abs(op.skew) for op in schedule.ops if isinstance(op, Start)]
        slack = _ROUNDED + round(2_000 * max(skews, default=0.0))
        if schedule.rates != Rates() or schedule.bursts:
            slack += _REPEATED + round(2_000 * schedule.rates.longest)
        stalls = [op.seconds for op in schedule.ops if isinstance(op, Stall)]
        return slack + round(1_000 * sum(stalls))


def claim_of(copy: Copy) -> int | None:
    """The `claim_no` that a message carries."""
    value = copy.attributes.get(CLAIM_NO, {}).get("StringValue")
    return int(value) if isinstance(value, str) else None


def _id_in(body: str) -> str:
    try:
        found: object = json.loads(body)
    except ValueError:
        return ""
    task_id = found.get("id") if isinstance(found, dict) else None
    return task_id if isinstance(task_id, str) else ""
