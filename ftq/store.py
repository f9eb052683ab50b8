"""Storing what was submitted: the record, after a large payload beside it (PROTOCOL R8, R11).

As steps, for the Lambda and for whoever submits past it (`ftq.client.direct`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from ftq.errors import CallError, CallRefused, KeyConflict, Unavailable
from ftq.limits import STATEMENTS_PER_BATCH
from ftq.steps import Steps
from ftq.submission import Plan, same_task
from ftq.task import Task
from ftq.wire import table
from ftq.wire.item import read_task
from ftq.wire.statements import Statements

# A beside item that vanishes between a refused put and its renewal is put once more.
_BESIDE_TRIES: Final = 2

Stored: TypeAlias = Task | KeyConflict | CallError
"""The record, or why there is none: the key is another task's, or nobody knows."""


def store(to: Statements, plans: Sequence[Plan]) -> Steps[list[Stored]]:
    """Store records, or read those that their keys stand for already; a result for each.

    Many go in one call for up to 25. Whatever that does not plainly store is put by itself, as a
    single one is: the ways in which a put may end are dealt with in one place.

    Args:
        to: The statements of the table.
        plans: What to store, each of another id.
    """
    results: dict[str, Stored] = {}
    small: list[Plan] = []
    for planned in plans:
        try:
            if planned.beside is not None:
                yield from _store_beside(to, planned, planned.beside)
        except CallError as error:
            results[planned.task.id] = error
        else:
            small.append(planned)
    for first in range(0, len(small), STATEMENTS_PER_BATCH):
        results |= yield from _store_some(to, small[first : first + STATEMENTS_PER_BATCH])
    return [results[planned.task.id] for planned in plans]


def _store_some(to: Statements, plans: Sequence[Plan]) -> Steps[dict[str, Stored]]:
    if len(plans) == 1:
        return {plans[0].task.id: (yield from _store_one(to, plans[0]))}
    statements = [to.insert(planned.task) for planned in plans]
    try:
        reply = yield table.execute(statements)
    except CallError as error:
        return {planned.task.id: error for planned in plans}
    results = table.read_execute(reply, len(plans))
    stored: dict[str, Stored] = {}
    for planned, result in zip(plans, results, strict=True):
        written = isinstance(result, table.Written)
        stored[planned.task.id] = planned.task if written else (yield from _store_one(to, planned))
    return stored


def _store_one(to: Statements, planned: Plan) -> Steps[Stored]:
    try:
        (yield table.put(to.table, planned.task))
    except CallError as error:
        if not (isinstance(error, CallRefused) and error.code == table.CONDITION_FAILED):
            return error
        try:
            return same_task((yield from _stored(to, planned.task.id, error)), planned.task)
        except (KeyConflict, CallError) as why:
            return why
    return planned.task


def _stored(to: Statements, task_id: str, refused: CallRefused) -> Steps[Task]:
    stored = read_task(refused.item)
    if stored is None:
        stored = table.read_get((yield table.get(to.table, task_id)))
    if stored is None:
        # Its retention ended just now, or it is no record of ours: nothing to answer with.
        raise Unavailable("PutItem", "Unreadable", "the item in the way is no readable record")
    return stored


def _store_beside(to: Statements, planned: Plan, key: str) -> Steps[None]:
    """Store a large payload before its record, for as long as that may need it (R11)."""
    for _ in range(_BESIDE_TRIES):
        try:
            (yield table.put_beside(to.table, key, planned.payload, planned.beside_expires_at))
        except CallRefused as refused:
            if refused.code != table.CONDITION_FAILED:
                raise
            if (yield from _renewed(to, planned, key, refused)):
                return
        else:
            return
    raise Unavailable("PutItem", "Unreadable", "the payload's item comes and goes")


def _renewed(to: Statements, planned: Plan, key: str, refused: CallRefused) -> Steps[bool]:
    """Whether the payload that is there already stays long enough."""
    there = table.read_beside({"Item": refused.item})
    if there is None:
        there = table.read_beside((yield table.get(to.table, key)))
    if there is None:
        return False
    if there.expires_at >= planned.beside_expires_at:
        return True
    renewal = to.renew_beside(key, there.expires_at, planned.beside_expires_at)
    match table.read_execute((yield table.execute([renewal])), 1)[0]:
        case table.Written():
            return True
        case table.Refused(absent=absent):
            # Changed meanwhile: by another request of the same key, which moved it later too.
            return not absent
        case table.Failed(code, message):
            raise Unavailable("BatchExecuteStatement", code, message)
        case table.Duplicate():
            return False
