"""GET /tasks/{id}: all that is known of one task."""

from __future__ import annotations

from api_lambda.http import Request, Response, moment
from api_lambda.params import read_query
from api_lambda.problems import NO_TASK, Problem
from api_lambda.service import Service
from ftq.limits import ID_PATTERN
from ftq.task import Entry, Task, payload_key
from ftq.text import Json, NotJson, parse
from ftq.wire import table
from ftq.wire.item import error_json


def show(service: Service, request: Request) -> Response:
    """The task as it is now."""
    read_query(request)
    task = find(service, request.params["id"])
    return Response(200, view(task, _payload(service, task)))


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


def view(task: Task, payload: Json) -> dict[str, Json]:
    """A task as the API shows it.

    Args:
        task: The record.
        payload: Its payload, from wherever it is kept.
    """
    return {
        **summary(task),
        "payload": payload,
        "result": _read(task.result),
        "progress": _read(task.progress),
        "history": [_entry(entry) for entry in task.history],
    }


def summary(task: Task) -> dict[str, Json]:
    """A task as a list shows it: without what may be large.

    Args:
        task: The record.
    """
    return {
        "id": task.id,
        "type": task.type,
        "state": str(task.state),
        "attempts": task.attempts,
        "crashes": task.crashes,
        "releases": task.releases,
        "claim_no": task.claim_no,
        "cause": task.cause or None,
        "last_error": error_json(task.last_error) if task.last_error else None,
        "created_at": moment(task.created_at),
        "updated_at": moment(task.updated_at),
        # The write of a final state sets `due_at` to its own moment (DESIGN §5).
        "finished_at": moment(task.due_at) if task.final else None,
        "free_at": moment(task.free_at),
        "tenant": task.tenant or None,
        "correlation_id": task.correlation_id,
    }


def _entry(entry: Entry) -> dict[str, Json]:
    return {**entry.to_json(), "at": moment(entry.at)}


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
