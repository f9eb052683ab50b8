"""What an operator may do to a task: cancel it (PROTOCOL R19), or redrive it (R3).

Both read the record and then write on the condition that it still is as it was read. A write
that is refused brings the record as it is now, which decides what follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from ftq.errors import CallRefused, Throttled
from ftq.lifecycle import Move, State, follow
from ftq.send import Mishap, send
from ftq.steps import Steps
from ftq.task import Entry, Task
from ftq.wire import table
from ftq.wire.statements import Statement, Statements
from ftq.wire.table import Duplicate, Failed, Refused, Result, Written

# A task that moves between each read and write, this often, is not stopped by one more try.
TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Operator:
    """Who does it, when, and on which terms. Times are milliseconds.

    Attributes:
        by: Who, for the task's history.
        now: When, since the epoch.
        grace: How long an open task may be overdue before the sweeper looks at it.
        retention: How long a final record is kept.
    """

    by: str
    now: int
    grace: int
    retention: int


class CancelAnswer(StrEnum):
    """What became of the wish to cancel a task."""

    CANCELLED = "cancelled"
    """It has ended."""
    ASKED = "asked"
    """It runs, and its holder is told at its next beat."""
    OVER = "over"
    """It had ended before."""


@dataclass(frozen=True, slots=True)
class CancelResult:
    """What became of the wish to cancel a task, the task then, and its state before, if known."""

    answer: CancelAnswer
    task: Task
    was: State | None = None


def cancel(to: Statements, task_id: str, who: Operator) -> Steps[CancelResult | None]:
    """End what waits or has lapsed; ask the holder of what runs. None if there is no such task.

    Raises:
        CallError: The table does not answer, or the task moved at each try.
    """
    task = table.read_get((yield table.get(to.table, task_id)))
    for _ in range(TRIES):
        if task is None:
            return None
        if task.final:
            return CancelResult(CancelAnswer.OVER, task)
        held = task.state is State.RUNNING and task.free_at > who.now
        entry = Entry(task.claim_no, who.by, who.now, "cancelled")
        statement = (
            to.ask_cancel(task, who.now)
            if held
            else to.cancel(task, who.by, who.now, who.retention)
        )
        match (yield from _written(statement)):
            case Written():
                return _cancelled(task, who, held=held)
            case Refused(current) if current is not None and entry in current.history:
                # Ours: a try before this one was applied, and its reply lost.
                return CancelResult(CancelAnswer.CANCELLED, current)
            case Refused(current):
                task = current
            case Duplicate():
                task = None
    raise Throttled("BatchExecuteStatement", "Contended", "the task moved at each try")


def _cancelled(task: Task, who: Operator, *, held: bool) -> CancelResult:
    if held:
        asked = replace(task, cancel_requested=who.now)
        return CancelResult(CancelAnswer.ASKED, asked, task.state)
    ended = follow(task.state, Move.CANCEL)
    return CancelResult(CancelAnswer.CANCELLED, replace(task, state=ended, free_at=0), task.state)


class RedriveAnswer(StrEnum):
    """What became of the wish to redrive a death."""

    REDRIVEN = "redriven"
    """It has one more life, by this request or by one before it."""
    NOT_DEAD = "not_dead"
    """It is not dead, or not by the death that was named."""
    FAILED = "failed"
    """Nobody knows: the table did not answer for it."""


@dataclass(frozen=True, slots=True)
class RedriveResult:
    """What became of the wish to redrive a death.

    Attributes:
        answer: What became of it.
        task: The task as it was seen last.
        mishaps: Calls for its message that failed; the sweeper repairs that (R3).
    """

    answer: RedriveAnswer
    task: Task
    mishaps: tuple[Mishap, ...] = ()


def redrive(
    to: Statements, task_id: str, died_at: int | None, who: Operator
) -> Steps[RedriveResult | None]:
    """Give a dead task one more life. None if there is no such task.

    Args:
        to: The statements of the table.
        task_id: The task.
        died_at: The `claim_no` of the death that is meant; None means the one that is read.
            Whoever names it can repeat the request for ever, and gives that one life only.
        who: Who does it.

    Raises:
        CallError: The table does not answer.
    """
    task = table.read_get((yield table.get(to.table, task_id)))
    if task is None:
        return None
    (result,) = yield from redrive_many(to, [task], died_at, who)
    if result.answer is RedriveAnswer.FAILED:
        raise Throttled("BatchExecuteStatement", "Unanswered", "the table did not answer for it")
    return result


def redrive_many(
    to: Statements, seen: Sequence[Task], died_at: int | None, who: Operator
) -> Steps[list[RedriveResult]]:
    """Give up to 25 tasks one more life each, at the death that was seen; a result for each.

    Raises:
        CallError: The table does not answer.
    """
    dead = [task for task in seen if _dies_at(task, died_at)]
    results: dict[str, RedriveResult] = {}
    if dead:
        statements = [to.redrive(task, who.by, who.now, who.grace) for task in dead]
        reply = yield table.execute(statements)
        for task, result in zip(dead, table.read_execute(reply, len(dead)), strict=True):
            results[task.id] = _redriven(task, result, who)
    for task in seen:
        if task.id not in results:
            results[task.id] = _answered(task, died_at)
    # What was not begun since is sent, again if need be: a spare copy is harmless.
    waiting = [(each.task, each.task.payload) for each in results.values() if _waits(each)]
    for mishap in (yield from send(to, waiting, lambda: who.now)):
        failed = results[mishap.task.id]
        results[mishap.task.id] = replace(failed, mishaps=(*failed.mishaps, mishap))
    return [results[task.id] for task in seen]


def _dies_at(task: Task, died_at: int | None) -> bool:
    return task.state is State.DEAD and died_at in (None, task.claim_no)


def _redriven(task: Task, result: Result, who: Operator) -> RedriveResult:
    match result:
        case Written():
            return RedriveResult(RedriveAnswer.REDRIVEN, _alive(task, who))
        case Refused(current) if current is not None:
            return _answered(current, task.claim_no)
        case Failed():
            return RedriveResult(RedriveAnswer.FAILED, task)
        case Refused() | Duplicate():
            return RedriveResult(RedriveAnswer.NOT_DEAD, task)


def _alive(task: Task, who: Operator) -> Task:
    """The task as the redrive leaves it, as far as its sending has to know."""
    return replace(
        task,
        state=follow(task.state, Move.REDRIVE),
        past=task.claim_no,
        attempts=0,
        releases=0,
        free_at=0,
        due_at=who.now + who.grace,
    )


def _answered(task: Task, died_at: int | None) -> RedriveResult:
    """What a task that cannot be redriven now says about the death that was meant.

    `past` is the death at which its present life began: deaths up to there had their redrive.
    Where none was named, only a life that nobody has begun yet counts as this request's.
    """
    waits = task.state is State.QUEUED and task.past == task.claim_no > 0
    done = waits if died_at is None else 0 < died_at <= task.past
    return RedriveResult(RedriveAnswer.REDRIVEN if done else RedriveAnswer.NOT_DEAD, task)


def _waits(result: RedriveResult) -> bool:
    task = result.task
    begun = task.state is not State.QUEUED or task.past != task.claim_no
    return result.answer is RedriveAnswer.REDRIVEN and not begun


def _written(statement: Statement) -> Steps[Written | Refused | Duplicate]:
    (result,) = table.read_execute((yield table.execute([statement])), 1)
    if not isinstance(result, Failed):
        return result
    if result.transient:
        raise Throttled("BatchExecuteStatement", result.code, result.message)
    raise CallRefused("BatchExecuteStatement", result.code, result.message)
