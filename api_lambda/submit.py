"""POST /tasks: store, then send (PROTOCOL R8).

A task is accepted when its record is stored, and only then. Whatever fails after that is the
sweeper's to repair, so it does not change the answer.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from typing_extensions import TypedDict

from api_lambda.asked import (
    TaskFields,
    check_registry,
    read_json,
    read_key,
    submission_of,
    validated,
)
from api_lambda.http import CORRELATION, Moment, Request, Response, moment
from api_lambda.log import audit, log
from api_lambda.params import read_query
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
from ftq.accept import accept as accepting
from ftq.errors import CallError, InvalidField, KeyConflict, PayloadTooLarge
from ftq.lifecycle import State
from ftq.send import Mishap
from ftq.steps import walk
from ftq.store import Stored
from ftq.submission import Plan, Submission, accepted_state, plan
from ftq.task import Task
from ftq.wire.statements import Statements

# The names under which a client knows what `ftq.submission` finds fault with.
_HEADER_NAMES: Final = {
    "idempotency_key": "Idempotency-Key",
    "correlation_id": "X-Correlation-Id",
}


class Accepted(TypedDict):
    """A task that was accepted.

    Attributes:
        id: Its id.
        type: Its type.
        state: The state in which it was accepted: queued or scheduled.
        created_at: When it was accepted first.
        correlation_id: What follows it through every program.
    """

    id: str
    type: str
    state: State
    created_at: Moment | None
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A submission that is as it should be.

    Attributes:
        key: The key under which it may be repeated.
        planned: What to store and send.
    """

    key: str
    planned: Plan


def submit(service: Service, request: Request) -> Response:
    """Accept a task, or say again that it was accepted."""
    type_ = ""
    try:
        asked = _read(service, request)
        type_ = asked.planned.task.type
        (found,) = accept(service, [asked], request)
        if isinstance(found, Problem):
            raise found
    except Problem as problem:
        service.tell([(type_, problem.kind.status)])
        raise
    service.tell([(type_, 202)])
    return Response(202, accepted(found), {"location": f"{request.prefix}/tasks/{found.id}"})


def _read(service: Service, request: Request) -> Asked:
    read_query(request)
    now = service.now()
    key = read_key(request, service.fresh())
    document = read_json(request)
    fields = validated(TaskFields, document)
    asked = submission_of(
        fields,
        document,
        key,
        request.headers.get(CORRELATION, ""),
        now,
        trace_of(service, request),
    )
    return ready(service, asked, now)


def ready(service: Service, asked: Submission, now: int) -> Asked:
    """Check a submission, and plan what it takes.

    Raises:
        Problem: 413 or 422, it cannot be accepted as it is.
    """
    handler = service.registry.get(asked.type) if service.registry else None
    if handler is not None and not asked.queue:
        asked = replace(asked, queue=handler.queue)
    try:
        planned = plan(asked, service.terms, now)
    except InvalidField as error:
        raise invalid(
            *((_HEADER_NAMES.get(name, name), why) for name, why in error.errors)
        ) from None
    except PayloadTooLarge as error:
        raise Problem(TOO_LARGE, f"Nothing was stored: {error}.") from None
    check_registry(service.registry, asked.type, planned.payload)
    return Asked(asked.key, planned)


def accept(service: Service, asked: Sequence[Asked], request: Request) -> list[Task | Problem]:
    """Store and send; for each the task that was accepted, or why there is none.

    Args:
        service: The service.
        asked: What to accept, each of another id.
        request: The request that asks for it.
    """
    plans = [each.planned for each in asked]
    steps = accepting(Statements(service.table), plans, service.now)
    done = walk(service.port, steps)
    log_mishaps(done.mishaps)
    for each, found in zip(plans, done.stored, strict=True):
        # What an earlier request stored has the moment of that.
        new = isinstance(found, Task) and found.created_at == each.task.created_at
        if service.audits_all and new:
            audit(request, "task.submitted", each.task, "", accepted_state(each.task))
    return [_answer(each, found) for each, found in zip(asked, done.stored, strict=True)]


def _answer(asked: Asked, found: Stored) -> Task | Problem:
    match found:
        case Task():
            return found
        case KeyConflict():
            return conflict(asked, found)
        case CallError():
            _log("api.not_stored", asked.planned.task, found.operation, found.code)
            return Problem(
                NOT_STORED,
                "Repeat the request with this idempotency_key: it stands for one task, however "
                "often.",
                headers=RETRY_AFTER,
                members={"idempotency_key": asked.key},
            )


def conflict(asked: Asked, error: KeyConflict) -> Problem:
    """The problem of a key that stands for another task."""
    detail = f"Nothing was changed: {error}."
    return Problem(KEY_CONFLICT, detail, members={"id": asked.planned.task.id})


def accepted(task: Task) -> Accepted:
    """What is said of a task that was accepted."""
    return {
        "id": task.id,
        "type": task.type,
        "state": accepted_state(task),
        "created_at": moment(task.created_at),
        "correlation_id": task.correlation_id,
    }


def log_mishaps(mishaps: Sequence[Mishap]) -> None:
    """Log what failed for tasks that are accepted, or redriven, all the same."""
    for each in mishaps:
        _log(f"api.{each.what}", each.task, each.operation, each.code)


def _log(event: str, task: Task, operation: str, code: str) -> None:
    # Not the service's words: on a refused item they may quote it.
    log(
        logging.WARNING,
        event,
        task_id=task.id,
        type=task.type,
        task_correlation_id=task.correlation_id,
        operation=operation,
        code=code,
    )
