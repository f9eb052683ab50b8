"""GET /tasks/{id}: all that is known of one task."""

from __future__ import annotations

from typing_extensions import TypedDict

from api_lambda.http import Moment, Request, Response, moment
from api_lambda.params import read_query
from api_lambda.problems import NO_TASK, Problem
from api_lambda.service import Service
from ftq.lifecycle import State
from ftq.limits import ID_PATTERN
from ftq.settings import DEFAULT_QUEUE
from ftq.task import Entry, Failure, Task, payload_key
from ftq.text import Json, NotJson, parse
from ftq.wire import table

_Classed = TypedDict("_Classed", {"class": str})


class LastError(_Classed):
    """Why the last attempt did not succeed.

    Attributes:
        type: What sort of end it was, such as exception or timeout.
        class: The exception's class, or ''.
        message: Its message, cut to size.
        fingerprint: Equal for equal causes: 12 hex digits.
    """

    type: str
    message: str
    fingerprint: str


class HistoryEntry(_Classed):
    """How one claim ended.

    Attributes:
        claim_no: The claim.
        by: The daemon that held it, or who did it.
        at: When it ended; for a crashed claim, the moment after which it was not heard of.
        outcome: How it ended.
        class: The class of the error, or ''.
        ms: How long the handler ran; 0 when it did not or when nobody knows.
    """

    claim_no: int
    by: str
    at: Moment | None
    outcome: str
    ms: int


class Summary(TypedDict):
    """A task as a list shows it: without what may be large.

    Attributes:
        id: Its id.
        type: Its type.
        queue: Where its messages go: the queue's name in FTQ_QUEUES, or else in SQS.
        state: Where it is in its life.
        attempts: Failed attempts that were counted so far.
        crashes: Claims whose daemon was not heard of again.
        releases: Claims that were given back uncounted.
        claim_no: Claims so far.
        cause: Why a dead task is dead.
        last_error: Why the last attempt did not succeed.
        created_at: When it was accepted.
        updated_at: When it was last written.
        finished_at: When it ended.
        free_at: From when on it may be claimed; null if it may at once, or has ended.
        tenant: On whose behalf.
        correlation_id: What follows it through every program.
    """

    id: str
    type: str
    queue: str
    state: State
    attempts: int
    crashes: int
    releases: int
    claim_no: int
    cause: str | None
    last_error: LastError | None
    created_at: Moment | None
    updated_at: Moment | None
    finished_at: Moment | None
    free_at: Moment | None
    tenant: str | None
    correlation_id: str


class View(Summary):
    """All that is known of a task.

    Attributes:
        payload: As it was submitted; null if it was lost.
        result: What its handler returned.
        progress: What its handler last reported.
        history: How each claim ended, the last ones.
    """

    payload: object
    result: object
    progress: object
    history: list[HistoryEntry]


def show(service: Service, request: Request) -> Response:
    """The task as it is now."""
    read_query(request)
    task = find(service, request.params["id"])
    return Response(200, view(service, task, _payload(service, task)))


def find(service: Service, task_id: str) -> Task:
    """The record of a task.

    Raises:
        Problem: 404, there is none.
    """
    # An id that cannot be one is no task either; `#` would reach the items beside the records.
    if ID_PATTERN.fullmatch(task_id):
        task = table.read_get(service.port.call(table.get(service.table, task_id)))
        if task is not None:
            return task
    raise no_task()


def no_task() -> Problem:
    """The problem of an id that no task has."""
    detail = "No task has this id; a finished one is forgotten after its retention."
    return Problem(NO_TASK, detail)


def view(service: Service, task: Task, payload: Json) -> View:
    """A task as the API shows it.

    Args:
        service: The service.
        task: The record.
        payload: Its payload, from wherever it is kept.
    """
    return {
        **summary(service, task),
        "payload": payload,
        "result": _read(task.result),
        "progress": _read(task.progress),
        "history": [_entry(entry) for entry in task.history],
    }


def summary(service: Service, task: Task) -> Summary:
    """A task as a list shows it: without what may be large.

    Args:
        service: The service.
        task: The record.
    """
    named = {DEFAULT_QUEUE: service.terms.queue_url, **service.terms.queues}
    names = (name for name, url in named.items() if url == task.queue)
    return {
        "id": task.id,
        "type": task.type,
        # Not its URL, which tells of the account.
        "queue": next(names, task.queue.rpartition("/")[2]),
        "state": task.state,
        "attempts": task.attempts,
        "crashes": task.crashes,
        "releases": task.releases,
        "claim_no": task.claim_no,
        "cause": task.cause or None,
        "last_error": _error(task.last_error) if task.last_error else None,
        "created_at": moment(task.created_at),
        "updated_at": moment(task.updated_at),
        # The write of a final state sets `due_at` to its own moment (DESIGN §5).
        "finished_at": moment(task.due_at) if task.final else None,
        "free_at": moment(task.free_at),
        "tenant": task.tenant or None,
        "correlation_id": task.correlation_id,
    }


def _error(error: Failure) -> LastError:
    return {
        "type": error.kind,
        "class": error.class_name,
        "message": error.message,
        "fingerprint": error.fingerprint,
    }


def _entry(entry: Entry) -> HistoryEntry:
    return {
        "claim_no": entry.claim_no,
        "by": entry.by,
        "at": moment(entry.at),
        "outcome": entry.outcome,
        "class": entry.class_name,
        "ms": entry.ms,
    }


def _payload(service: Service, task: Task) -> Json:
    if task.payload is not None:
        return _read(task.payload)
    key = payload_key(task.id, task.fingerprint)
    beside = table.read_beside(service.port.call(table.get(service.table, key)))
    return _read(beside.payload) if beside is not None else None


def _read(text: str) -> Json:
    """Stored JSON text as a value; text that is none is shown as it is."""
    if not text:
        return None
    try:
        return parse(text)
    except NotJson:
        return text
