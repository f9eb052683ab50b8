"""The statements of PROTOCOL.md: one builder for each legal write of a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from ftq.lifecycle import Move, State, follow
from ftq.ports import Request
from ftq.settlement import Cancel, Complete, Counter, DeadLetter, Release, RetryAt, Settlement
from ftq.task import Entry, Task, bucket_of, remember
from ftq.text import dump
from ftq.value import value
from ftq.wire import partiql
from ftq.wire.claimant import Claimant, claimed, redriven
from ftq.wire.item import Value, error_json, history_text, number, text, to_item

Sets: TypeAlias = Mapping[str, Value]
Where: TypeAlias = list[tuple[str, str, Value]]


@value(frozen=True, slots=True)
class Statement:
    """One conditional write of one item.

    Attributes:
        key: The item's id. One batch must not name an item twice (DESIGN §6).
        request: The statement as BatchExecuteStatement takes it.
    """

    key: str
    request: Request


@dataclass(frozen=True, slots=True)
class Statements:
    """The legal statements on one table."""

    table: str

    def claim(self, task_id: str, who: Claimant) -> Statement:
        """R5: take a task that is free. A success returns the record as it was before."""
        sets = {
            "state": text(State.RUNNING),
            "free_at": number(who.lease_end),
            "claimed_by": text(who.by),
            "claim_token": text(who.token),
            "updated_at": number(who.now),
        }
        where = [("free_at", "<=", number(who.now))]
        return self._update(task_id, sets, where, add=("claim_no",), returning=True)

    def insert(self, task: Task, who: Claimant | None = None) -> Statement:
        """R8: a record, if its id is free; R9: with `who`, claimed as it is made."""
        item = to_item(task if who is None else claimed(task, who))
        statement = partiql.insert(self.table, tuple(item))
        return Statement(task.id, {"Statement": statement, "Parameters": list(item.values())})

    def revive(self, task: Task, grace: int, who: Claimant) -> Statement:
        """R3: a dead-letter copy came back: one more life, claimed as it begins."""
        sets = {
            **_new_life(task, who.by, who.now, grace),
            "state": text(follow(State.DEAD, Move.REVIVE)),
            "claim_no": number(task.claim_no + 1),
            "free_at": number(who.lease_end),
            "claimed_by": text(who.by),
            "claim_token": text(who.token),
        }
        where = _dead_at(task.claim_no)
        return self._update(task.id, sets, where, remove=_LIFE_REMOVES, returning=True)

    def redrive(self, task: Task, by: str, now: int, grace: int) -> Statement:
        """R3: an operator's dead → queued, at the death that the operator saw."""
        sets = {
            **_new_life(task, by, now, grace),
            "state": text(follow(State.DEAD, Move.REDRIVE)),
            "free_at": number(0),
        }
        return self._update(task.id, sets, _dead_at(task.claim_no), remove=_LIFE_REMOVES)

    def beat(
        self, task_id: str, claim_no: int, lease_end: int, history: tuple[Entry, ...] | None = None
    ) -> Statement:
        """R13: renew a claim of ours; returns the record, which may bring a cancellation.

        Args:
            task_id: The task.
            claim_no: Our claim.
            lease_end: The new end, in milliseconds since the epoch.
            history: Written too if given: the crashed claim before ours (R17).
        """
        sets = {"free_at": number(lease_end)}
        if history is not None:
            sets["history"] = text(history_text(history))
        return self._update(task_id, sets, _held(claim_no), returning=True)

    def progress(self, task_id: str, claim_no: int, value: str, now: int) -> Statement:
        """Store a running task's progress, as JSON text."""
        sets = {"progress": text(value), "updated_at": number(now)}
        return self._update(task_id, sets, _held(claim_no))

    def settle(
        self, task: Task, verdict: Settlement, entry: Entry, *, grace: int, retention: int
    ) -> Statement:
        """Write the verdict on a claim of ours.

        Args:
            task: The record with our claim in it.
            verdict: What to write.
            entry: How the claim ended; its `at` is the moment of the write.
            grace: Milliseconds after its retry time that the sweeper looks at it.
            retention: Milliseconds that a final record is kept.
        """
        now = entry.at
        sets: dict[str, Value] = {
            "state": text(follow(State.RUNNING, verdict.move)),
            "history": text(history_text(remember(task.history, entry))),
            "updated_at": number(now),
        }
        add: tuple[str, ...] = ()
        match verdict:
            case Complete(result):
                sets["result"] = text(result)
            case RetryAt(at, counter, failed):
                add = (counter,)
                sets["free_at"] = number(at)
                sets["due_at"] = number(at + grace)
                sets["last_error"] = text(dump(error_json(failed)))
            case DeadLetter(cause, counter, failed):
                add = (counter,)
                sets["cause"] = text(cause)
                sets["last_error"] = text(dump(error_json(failed)))
            case Release(counter, claims):
                if claims == 1:
                    add = (counter,)
                else:  # ours alone to change while we hold it, so the sum may be written
                    sets[counter] = number(task.releases + claims)
                sets["free_at"] = number(0)
            case Cancel(counter):
                add = (counter,)
            case _:
                assert_never(verdict)
        if isinstance(verdict, RetryAt | Release):
            return self._update(task.id, sets, _held(task.claim_no), add=add)
        sets.update(_ended(task.id, follow(State.RUNNING, verdict.move), now, retention))
        return self._update(task.id, sets, _held(task.claim_no), add=add, remove=("free_at",))

    def lapse(self, task: Task, entry: Entry) -> Statement:
        """R4: a suspect's process died: let its lease end, so that the next claim sees a crash."""
        sets = {
            "free_at": number(entry.at),
            "history": text(history_text(remember(task.history, entry))),
            "updated_at": number(entry.at),
        }
        return self._update(task.id, sets, _held(task.claim_no))

    def disown(self, task_id: str, token: str, now: int) -> Statement:
        """R5: give back, uncounted, a claim that was made and of which no answer says whose it is.

        It is written without the record, so no line of the history tells of it.
        """
        sets = {
            "state": text(follow(State.RUNNING, Move.RELEASE)),
            "free_at": number(0),
            "updated_at": number(now),
        }
        where = [("claim_token", "=", text(token)), ("state", "=", text(State.RUNNING))]
        return self._update(task_id, sets, where, add=(Counter.RELEASES,))

    def cancel(self, task: Task, by: str, now: int, retention: int) -> Statement:
        """R19: end a task that waits, or whose lease is over, as it was read."""
        entry = Entry(task.claim_no, by, now, "cancelled")
        sets = {
            "state": text(follow(task.state, Move.CANCEL)),
            "history": text(history_text(remember(task.history, entry))),
            "updated_at": number(now),
            **_ended(task.id, State.CANCELLED, now, retention),
        }
        where = _as_read(task)
        if task.state is State.RUNNING:
            # A beat may renew the lease between the read and this write.
            where.append(("free_at", "<=", number(now)))
        return self._update(task.id, sets, where, remove=("free_at",))

    def ask_cancel(self, task: Task, now: int) -> Statement:
        """R19: ask the holder of a running task to end it; its next beat brings the word."""
        follow(task.state, Move.CANCEL)
        return self._update(task.id, {"cancel_requested": number(now)}, _as_read(task))

    def sweep(self, task: Task, bucket: str, now: int, next_due: int, *, sends: bool) -> Statement:
        """R2: mark an overdue task as looked at, before it is sent again.

        Args:
            task: The task as the sweeper saw it.
            bucket: The index key under which it was found.
            now: Milliseconds since the epoch.
            next_due: When it deserves the next look.
            sends: Whether a message follows; else only `due_at` moves.
        """
        sets = {"due_at": number(next_due)}
        if sends:
            sets["sent_at"] = number(now)
            sets["sweeps"] = number(task.sweeps + 1)
        if sends and task.state is State.SCHEDULED:
            sets["state"] = text(follow(task.state, Move.PROMOTE))
        where = [
            ("bucket", "=", text(bucket)),
            ("due_at", "=", number(task.due_at)),
            ("state", "=", text(task.state)),
        ]
        return self._update(task.id, sets, where)

    def hurry(self, task: Task, now: int) -> Statement:
        """R8: put succeeded but the send failed: let the sweeper look at once."""
        where = [*_as_read(task), ("due_at", "=", number(task.due_at))]
        return self._update(task.id, {"due_at": number(now)}, where)

    def renew_beside(self, key: str, seen: int, expires_at: int) -> Statement:
        """R11: keep the item of a large payload for as long as its task may need it."""
        sets = {"expires_at": number(expires_at)}
        return self._update(key, sets, [("expires_at", "=", number(seen))])

    def _update(
        self,
        key: str,
        sets: Sets,
        where: Where,
        *,
        add: tuple[str, ...] = (),
        remove: tuple[str, ...] = (),
        returning: bool = False,
    ) -> Statement:
        shape = tuple([(name, operator) for name, operator, _ in where])
        request: Request = {
            "Statement": partiql.update(self.table, tuple(sets), shape, add, remove, returning),
            "Parameters": [*sets.values(), text(key), *[value for _, _, value in where]],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        return Statement(key, request)


_LIFE_REMOVES: Final = ("expires_at", "cancel_requested")


def _new_life(task: Task, by: str, now: int, grace: int) -> dict[str, Value]:
    return {
        "attempts": number(0),
        "releases": number(0),
        "past": number(task.claim_no),
        "sweeps": number(0),
        "cause": text(""),
        "bucket": text(bucket_of(task.id, State.QUEUED)),
        "sent_at": number(now),
        "due_at": number(now + grace),
        "updated_at": number(now),
        "history": text(history_text(redriven(task, by, now))),
    }


def _ended(task_id: str, state: State, now: int, retention: int) -> dict[str, Value]:
    return {
        "bucket": text(bucket_of(task_id, state)),
        "due_at": number(now),
        # Only the write of a final state sets it (R1). Seconds, as DynamoDB's TTL wants them.
        "expires_at": number((now + retention) // 1000),
    }


def _held(claim_no: int) -> Where:
    return [("claim_no", "=", number(claim_no)), ("state", "=", text(State.RUNNING))]


def _dead_at(claim_no: int) -> Where:
    return [("state", "=", text(State.DEAD)), ("claim_no", "=", number(claim_no))]


def _as_read(task: Task) -> Where:
    return [("claim_no", "=", number(task.claim_no)), ("state", "=", text(task.state))]
