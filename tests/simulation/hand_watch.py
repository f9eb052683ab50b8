"""Watches what a daemon does with the message in its hand, from its receive to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ftq.lifecycle import State
from ftq.testing import now_ms
from ftq.testing.message import Copy
from ftq.testing.queue import Happening
from tests.simulation.book import Book, Claim
from tests.simulation.schedule import Schedule
from tests.simulation.table_watch import Sender


@dataclass(slots=True)
class Hand:
    """A message that a daemon received.

    Attributes:
        receive: Which receive of the message it was.
        at: When.
        hidden: Whether its visibility was changed since.
        claim_no: The claim that was made with it, if it is known to be.
    """

    receive: int
    at: float
    hidden: bool = False
    claim_no: int = 0


@dataclass(slots=True)
class HandWatch:
    """A watcher of messages in hand.

    Attributes:
        book: Where it is written.
        schedule: The run.
        who: The daemons by name.
        kind_of: The kind of a task.
    """

    book: Book
    schedule: Schedule
    who: Callable[[str], Sender | None]
    kind_of: Callable[[str], str]
    _hands: dict[tuple[str, str], dict[str, Hand]] = field(default_factory=dict)
    _received: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def on_message(self, happening: Happening, copy: Copy, by: str, task_id: str) -> None:
        """A daemon did something with a message."""
        hands = self._hands.setdefault((by, task_id), {})
        if happening == "received":
            hands[copy.message_id] = Hand(copy.receive_count, self.book.now)
            self._received.setdefault((by, task_id), []).append(self.book.now)
            return
        hand = hands.get(copy.message_id)
        if hand is None or hand.receive != copy.receive_count:
            return
        if happening == "deleted":
            del hands[copy.message_id]
        elif happening == "hidden":
            hand.hidden = True
            life = self.book.life(task_id)
            claim = life.claims.get(hand.claim_no)
            # Until it knows that its settle was written, a daemon keeps the message to itself.
            if claim is not None and claim.told and hand.claim_no in life.runs:
                self._hidden_after_settle(copy, by, task_id, claim)

    def on_claim(self, by: str, task_id: str) -> None:
        """A daemon's claim was granted."""
        node, hands = self.who(by), self._hands.get((by, task_id), {})
        if node is None or not hands:
            return
        stopped = node.drained_at + 0.1
        # What came before may be claimed still, however slow the calls are.
        first = stopped - 5 * self.schedule.terms.visibility
        recent = [at for at in self._received.get((by, task_id), []) if at >= first]
        if not node.frozen(stopped) and recent and min(recent) > stopped:
            what = f"{by} claimed what it received after it was told to stop"
            self.book.accuse("a stop takes nothing new", task_id, what)
        free = [hand for hand in hands.values() if not (hand.hidden or hand.claim_no)]
        if len(free) == 1:
            free[0].claim_no = max(self.book.life(task_id).claims)

    def _hidden_after_settle(self, copy: Copy, by: str, task_id: str, claim: Claim) -> None:
        """The last word on a message is its verdict's: no beat comes after it."""
        hidden, node = copy.visible_at - now_ms(), self.who(by)
        # One receipt that was delivered twice has two attempts that speak about it.
        if node is None or self.schedule.rates.again:
            return
        if claim.settled is State.RETRYING:
            most = claim.wait + 1_000
        elif claim.settled is State.QUEUED and not self._waits(claim, node, task_id):
            most = 0
        else:
            return
        self.book.seen["hidden after its settle"] += 1
        if hidden > most:
            what = f"{by} hid it for {hidden} ms after its settle, {most} would do"
            self.book.accuse("hidden no longer than promised", task_id, what)

    def _waits(self, claim: Claim, node: Sender, task_id: str) -> bool:
        """Whether a release may keep the message hidden: a suspect, a breaker, no handler."""
        suspect = claim.crashes >= self.schedule.terms.crash_limit - 1
        return suspect or node.spared or self.kind_of(task_id) == "new"
