"""Writes a verdict, then retires the message: the table comes before the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from ftq.lifecycle import State, follow
from ftq.settlement import Cancel, Complete, DeadLetter, Release, RetryAt, Settlement
from ftq.task import Entry
from ftq.verdict import CRASHED, Abandon, Lapse, Verdict
from ftq.wire.queue import cause_line
from ftq.wire.table import Refused, Written
from ftq_daemon import events as facts
from ftq_daemon.clock import World
from ftq_daemon.events import Event, Events
from ftq_daemon.insist import insist
from ftq_daemon.queue import Received
from ftq_daemon.store import Store
from ftq_daemon.work import Ran


@dataclass(frozen=True, slots=True)
class Settler:
    """Settles claims.

    Attributes:
        store: The table.
        world: The clock.
        events: Where facts are told.
        daemon: Who we are, for the history.
        grace: Milliseconds that an open task may be overdue.
        retention: Milliseconds that a final record is kept.
    """

    store: Store
    world: World
    events: Events
    daemon: str
    grace: int
    retention: int

    async def settle(self, received: Received, ran: Ran, verdict: Verdict) -> None:
        """Write a verdict on a claim of ours, tell it, retire the message.

        Raises:
            CallError: It could not be written, long past the end of the lease; whoever claims
                the task then finds the claim lapsed.
        """
        if isinstance(verdict, Abandon):
            why = "the lease ended or was taken over"
            self.events.emit(facts.ClaimLost(ran.task, why, ran.seconds))
            return
        if isinstance(verdict, Lapse):
            await self._lapse(received, ran, verdict)
            return
        if await self._written(received, ran, verdict):
            self.events.emit(_event(ran, verdict, self.world.now()))
            await self._retire(received, ran, verdict)

    async def _written(self, received: Received, ran: Ran, verdict: Settlement) -> bool:
        task = ran.task
        entry = Entry(
            claim_no=task.claim_no,
            by=self.daemon,
            at=self.world.now(),
            outcome="cancelled" if isinstance(verdict, Cancel) else ran.outcome.word,
            class_name=_class(verdict),
            ms=round(ran.seconds * 1000),
        )
        statement = self.store.statements.settle(
            task, verdict, entry, grace=self.grace, retention=self.retention
        )
        result = await insist(self.store, received, statement)
        if isinstance(result, Written):
            return True
        current = result.current if isinstance(result, Refused) else None
        if current is not None and entry in current.history:
            # Ours, repeated after a lost reply. If somebody claimed it since, the message is
            # theirs and the fact is old: nothing more to do or to tell.
            after = follow(State.RUNNING, verdict.move)
            return current.claim_no == task.claim_no and current.state is after
        holder = f"claim {current.claim_no} of {current.claimed_by}" if current else "no record"
        why = f"refused: the table has {holder}"
        self.events.emit(facts.ClaimLost(task, why, ran.seconds))
        return False

    async def _lapse(self, received: Received, ran: Ran, verdict: Lapse) -> None:
        """Say how a suspect's process died, and let go of it: whoever claims it next judges."""
        task, failed = ran.task, verdict.failure
        ms = round(ran.seconds * 1000)
        entry = Entry(task.claim_no, self.daemon, self.world.now(), CRASHED, failed.class_name, ms)
        statement = self.store.statements.lapse(task, entry)
        result = await insist(self.store, received, statement)
        current = result.current if isinstance(result, Refused) else None
        if isinstance(result, Written) or (current is not None and entry in current.history):
            self.events.emit(facts.Crashed(task, self.daemon, failed))
            await received.queue.hide(received, 0)
        else:
            self.events.emit(facts.ClaimLost(task, "refused: somebody else has it", ran.seconds))

    async def _retire(self, received: Received, ran: Ran, verdict: Settlement) -> None:
        match verdict:
            case Complete() | Cancel():
                await received.queue.delete(received)
            case RetryAt(at):
                await received.queue.hide(received, at)
            case Release():
                until = self.world.now() + ran.wait if ran.wait else 0
                await received.queue.hide(received, until)
            case DeadLetter(cause, _, failed):
                line = cause_line(cause, failed)
                await received.queue.dead_letter(received, line, ran.task.claim_no)
            case _:
                assert_never(verdict)


def _class(verdict: Settlement) -> str:
    return verdict.failure.class_name if isinstance(verdict, RetryAt | DeadLetter) else ""


def _event(ran: Ran, verdict: Settlement, now: int) -> Event:
    task, seconds = ran.task, ran.seconds
    match verdict:
        case Complete():
            return facts.Succeeded(task, seconds, max(0, now - task.created_at) / 1000)
        case RetryAt(at, _, failed):
            return facts.Retrying(task, seconds, failed, at)
        case DeadLetter(cause, _, failed):
            return facts.Dead(task, seconds, cause, failed)
        case Release():
            return facts.Released(task, seconds)
        case Cancel():
            return facts.Cancelled(task, seconds)
        case _:
            assert_never(verdict)
