"""POST /tasks: store, then send (PROTOCOL R8).

A task is accepted when its record is stored, and only then. Whatever fails after that is the
sweeper's to repair, so it does not change the answer.
"""

from __future__ import annotations

import logging
from typing import Final

from api_lambda.asked import check_registry, read_json, read_key, read_submission
from api_lambda.http import CORRELATION, Request, Response, moment
from api_lambda.log import log
from api_lambda.problems import (
    KEY_CONFLICT,
    NOT_STORED,
    RETRY_AFTER,
    TOO_LARGE,
    Problem,
    invalid,
)
from api_lambda.service import Service
from api_lambda.traces import trace_of
from ftq.codec import encode
from ftq.errors import (
    CallError,
    CallRefused,
    InvalidField,
    KeyConflict,
    PayloadTooLarge,
    Unavailable,
)
from ftq.submission import (
    Plan,
    Submission,
    accepted_state,
    delay_left,
    needs_send,
    plan,
    same_task,
)
from ftq.task import Task
from ftq.wire import queue, table
from ftq.wire.item import read_task
from ftq.wire.statements import Statements

# The names under which a client knows what `ftq.submission` finds fault with.
_HEADER_NAMES: Final = {
    "idempotency_key": "Idempotency-Key",
    "correlation_id": "X-Correlation-Id",
}
# A beside item that vanishes between a refused put and its renewal is put once more.
_BESIDE_TRIES: Final = 2


def submit(service: Service, request: Request) -> Response:
    """Accept a task, or say again that it was accepted."""
    now = service.now()
    key = read_key(request, service.fresh())
    correlation_id = request.headers.get(CORRELATION, "")
    asked = read_submission(read_json(request), key, correlation_id, now)
    planned = _plan(service, asked, now)
    check_registry(service.registry, asked.type, planned.payload)
    try:
        task = _store(service, planned)
    except KeyConflict as error:
        raise Problem(
            KEY_CONFLICT, f"Nothing was changed: {error}.", members={"id": planned.task.id}
        ) from None
    except CallError as error:
        log(logging.WARNING, "api.not_stored", **_call(planned.task, error))
        raise Problem(
            NOT_STORED,
            "Repeat the request with this idempotency_key: it stands for one task, however often.",
            headers=RETRY_AFTER,
            members={"idempotency_key": key},
        ) from None
    if needs_send(task):
        _send(service, task, planned.payload, trace_of(service, request))
    return _accepted(task, request.prefix)


def _plan(service: Service, asked: Submission, now: int) -> Plan:
    try:
        return plan(asked, service.terms, now)
    except InvalidField as error:
        raise invalid(
            *((_HEADER_NAMES.get(name, name), why) for name, why in error.errors)
        ) from None
    except PayloadTooLarge as error:
        raise Problem(TOO_LARGE, f"Nothing was stored: {error}.") from None


def _store(service: Service, planned: Plan) -> Task:
    """Put the record, or read the one that the key stands for already.

    Raises:
        KeyConflict: That one is of another type or payload.
        CallError: The record is not known to be stored.
    """
    if planned.beside is not None:
        _store_beside(service, planned, planned.beside)
    try:
        service.port.call(table.put(service.table, planned.task))
    except CallRefused as refused:
        if refused.code != table.CONDITION_FAILED:
            raise
        return same_task(_stored(service, planned.task.id, refused), planned.task)
    return planned.task


def _stored(service: Service, task_id: str, refused: CallRefused) -> Task:
    stored = read_task(refused.item)
    if stored is None:
        stored = table.read_get(service.port.call(table.get(service.table, task_id)))
    if stored is None:
        # Its retention ended just now, or it is no record of ours: nothing to answer with.
        raise Unavailable("PutItem", "Unreadable", "the item in the way is no readable record")
    return stored


def _store_beside(service: Service, planned: Plan, key: str) -> None:
    """Store a large payload before its record, for as long as that may need it (R11)."""
    for _ in range(_BESIDE_TRIES):
        try:
            service.port.call(
                table.put_beside(service.table, key, planned.payload, planned.beside_expires_at)
            )
        except CallRefused as refused:
            if refused.code != table.CONDITION_FAILED:
                raise
            if _renewed(service, planned, key, refused):
                return
        else:
            return
    raise Unavailable("PutItem", "Unreadable", "the payload's item comes and goes")


def _renewed(service: Service, planned: Plan, key: str, refused: CallRefused) -> bool:
    """Whether the payload that is there already stays long enough."""
    there = table.read_beside({"Item": refused.item})
    if there is None:
        there = table.read_beside(service.port.call(table.get(service.table, key)))
    if there is None:
        return False
    if there.expires_at >= planned.beside_expires_at:
        return True
    renewal = Statements(service.table).renew_beside(
        key, there.expires_at, planned.beside_expires_at
    )
    match table.read_execute(service.port.call(table.execute([renewal])), 1)[0]:
        case table.Written():
            return True
        case table.Refused(absent=absent):
            # Changed meanwhile: by another request of the same key, which moved it later too.
            return not absent
        case table.Failed(code, message):
            raise Unavailable("BatchExecuteStatement", code, message)
        case table.Duplicate():
            return False


def _send(service: Service, task: Task, payload: str, trace: str) -> None:
    message = queue.Outgoing(
        body=encode(task, payload),
        attributes=queue.mark(queue.STORED, "1"),
        delay_seconds=delay_left(task, service.now()),
        trace=trace,
        # Fair queues share a standard queue among tenants by this.
        group=task.tenant,
    )
    try:
        service.port.call(queue.send(task.queue, message))
    except CallError as error:
        log(logging.WARNING, "api.not_sent", **_call(task, error))
        _hurry(service, task)


def _hurry(service: Service, task: Task) -> None:
    """Let the sweeper look as soon as the task may run; once, for it looks later anyway."""
    now = service.now()
    hurried = Statements(service.table).hurry(task, max(now, task.free_at))
    try:
        service.port.call(table.execute([hurried]))
    except CallError as error:
        log(logging.WARNING, "api.not_hurried", **_call(task, error))


def _accepted(task: Task, prefix: str) -> Response:
    return Response(
        202,
        {
            "id": task.id,
            "type": task.type,
            "state": str(accepted_state(task)),
            "created_at": moment(task.created_at),
            "correlation_id": task.correlation_id,
        },
        {"location": f"{prefix}/tasks/{task.id}"},
    )


def _call(task: Task, error: CallError) -> dict[str, str]:
    # Not the message: a service's words on a refused item may quote it.
    return {
        "task_id": task.id,
        "type": task.type,
        "task_correlation_id": task.correlation_id,
        "operation": error.operation,
        "code": error.code,
    }
