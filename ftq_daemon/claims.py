"""Taking a task: the claim, and every way it can be refused (PROTOCOL R3, R5, R9)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ftq import lease
from ftq.codec import Envelope, fingerprint
from ftq.errors import Unavailable
from ftq.lifecycle import State
from ftq.limits import INLINE_PAYLOAD_BYTES
from ftq.refusal import Insert, Ours, Refusal, Revive, Yield, refuse
from ftq.task import Entry, Task, payload_key
from ftq.text import size
from ftq.trace import kept_trace
from ftq.value import value
from ftq.verdict import lapsed
from ftq.wire.claimant import Claimant, claimed, revived
from ftq.wire.queue import Message
from ftq.wire.statements import Statement
from ftq.wire.table import Duplicate, Refused, Written
from ftq_daemon.clock import World
from ftq_daemon.insist import insist
from ftq_daemon.queue import Received
from ftq_daemon.store import Store, in_seconds

# Claim, insert, claim again, revive: no honest sequence of refusals is longer.
TURNS: Final = 5


@value(frozen=True, slots=True)
class Claim:
    """A task that is ours.

    Attributes:
        task: The record with our claim in it.
        since: Loop time from which its lease counts.
        lapsed: How the claim before ours ended, if it just lapsed (R17).
        was: The state before our claim; '' if there was no record, or its reply was lost.
    """

    task: Task
    since: float
    lapsed: Entry | None = None
    was: str = ""


@dataclass(frozen=True, slots=True)
class NotATask:
    """There is an item or a message in the way that is no task."""

    why: str


Taken: TypeAlias = Claim | Refusal | NotATask
After: TypeAlias = Callable[[Task | None], Task | None]
"""From the record before a granted statement to the record after it."""
Step: TypeAlias = tuple[Statement, After]


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims tasks for one daemon.

    Attributes:
        store: The table.
        world: Clock, dice, tokens.
        daemon: Who we are.
        visibility: The visibility timeout in milliseconds.
        grace: Milliseconds that an open task may be overdue.
        retention: Milliseconds that a final record is kept.
        crash_limit: Lapsed claims at which a task is quarantined.
    """

    store: Store
    world: World
    daemon: str
    visibility: int
    grace: int
    retention: int
    crash_limit: int

    async def take(self, received: Received, envelope: Envelope) -> Taken:
        """Claim the task of a message, or learn why not.

        Raises:
            CallError: The table did not answer.
        """
        who = self._claimant(received)
        try:
            return await self._take(received, envelope, who)
        except Unavailable:
            return await self._disown(received, envelope, who)

    async def _take(self, received: Received, envelope: Envelope, who: Claimant) -> Taken:
        # Not to the end of the visibility: what was granted unknown to us must be given back
        # before it lapses.
        seconds = self.visibility / 1000
        until = max(received.seen + seconds / 2, in_seconds(seconds / 4))
        claim: Step = (
            self.store.statements.claim(envelope.id, who),
            lambda old: old and claimed(old, who),
        )
        step = claim
        for _ in range(TURNS):
            statement, after = step
            result = await self.store.write(statement, until)
            if isinstance(result, Written):
                return self._granted(received, result.old, after)
            if isinstance(result, Duplicate):
                step = claim  # somebody else inserted it first: claim what they made
                continue
            why = self._why(result, received.message, who)
            match why:
                case Ours():
                    return self._ours(received, result.current)
                case Insert():
                    task = self._direct(received, envelope)
                    if isinstance(task, NotATask):
                        return task
                    await self._store_beside(task, envelope)
                    step = self._insertion(task, who)
                case Revive(dead):
                    step = self._revival(dead, who)
                case _:
                    return why
        return Yield(who.now + self.visibility)

    async def _disown(self, received: Received, envelope: Envelope, who: Claimant) -> Taken:
        """Give a claim back that we may have without knowing it: our silence is no crash."""
        statement = self.store.statements.disown(envelope.id, who.token, self.world.now())
        result = await insist(self.store, received, statement)
        if isinstance(result, Refused):
            why = self._why(result, received.message, who)
            if not isinstance(why, Ours | Insert | Revive):
                return why
        return Yield(self.world.now())

    def _claimant(self, received: Received) -> Claimant:
        now = self.world.now()
        # The lease ends as the message comes back, so it counts from when that was last set.
        age = round((asyncio.get_running_loop().time() - received.seen) * 1000)
        end = lease.lease_end(now - age, self.visibility)
        return Claimant(self.daemon, self.world.token(), now, end)

    def _why(self, refused: Refused, message: Message, who: Claimant) -> Refusal | NotATask:
        if refused.current is None and not refused.absent:
            return NotATask("the item of this id in the table is no task")
        return refuse(
            refused.current,
            token=who.token,
            stored=message.stored,
            carried=message.claim_no,
            visibility=self.visibility,
            now=who.now,
            dice=self.world.dice(),
        )

    def _insertion(self, task: Task, who: Claimant) -> Step:
        return self.store.statements.insert(task, who), lambda _: claimed(task, who)

    def _revival(self, dead: Task, who: Claimant) -> Step:
        statement = self.store.statements.revive(dead, self.grace, who)
        return statement, lambda old: old and revived(old, who, self.grace)

    def _granted(self, received: Received, old: Task | None, after: After) -> Claim | NotATask:
        task = after(old)
        if task is None:
            return NotATask("the item of this id in the table cannot be read")
        if old is None:
            return Claim(task, received.seen)
        return Claim(task, received.seen, lapsed(task, old, self.crash_limit), old.state)

    def _ours(self, received: Received, current: Task | None) -> Claim | NotATask:
        if current is None:
            return NotATask("the item of this id in the table cannot be read")
        return Claim(current, received.seen, lapsed(current, None, self.crash_limit))

    def _direct(self, received: Received, envelope: Envelope) -> Task | NotATask:
        """The record of a message that was sent straight to the queue."""
        payload = envelope.payload
        if payload is None or not envelope.type:
            return NotATask("a message without a record needs a type and a payload within limits")
        created = envelope.created_at or received.message.sent_at or received.at
        large = size(payload) > INLINE_PAYLOAD_BYTES
        return Task(
            id=envelope.id,
            type=envelope.type,
            queue=received.queue.url,
            state=State.QUEUED,
            fingerprint=fingerprint(envelope.type, payload),
            correlation_id=envelope.correlation_id or envelope.id,
            tenant=envelope.tenant,
            trace=kept_trace(received.message.trace),
            created_at=created,
            sent_at=received.message.sent_at,
            due_at=received.at + self.grace,
            payload=None if large else payload,
        )

    async def _store_beside(self, task: Task, envelope: Envelope) -> None:
        payload = envelope.payload if task.payload is None else None
        if payload is not None:
            key = payload_key(task.id, task.fingerprint)
            expires_at = (self.world.now() + 2 * self.retention) // 1000
            await self.store.put_beside(key, payload, expires_at)
