"""POST /tasks/batch: many tasks in one request, each accepted or refused by itself."""

from __future__ import annotations

from typing import Final, cast

from typing_extensions import TypedDict

from api_lambda.asked import (
    BATCH_BYTES,
    KEY,
    BatchFields,
    EntryFields,
    read_json,
    submission_of,
    validated,
)
from api_lambda.http import CORRELATION, Request, Response
from api_lambda.params import read_query
from api_lambda.problems import Problem, ProblemDocument, invalid
from api_lambda.service import Service
from api_lambda.submit import Accepted, Asked, accept, accepted, conflict, ready
from api_lambda.traces import trace_of
from ftq.errors import KeyConflict
from ftq.redaction import Names
from ftq.submission import same_task
from ftq.task import Task
from ftq.text import Json

# Of one task. With all of a hundred tasks an answer could outgrow Lambda's 6 MB.
ERRORS: Final = 10


class Taken(Accepted):
    """A task of a batch that was accepted.

    Attributes:
        status: 202.
    """

    status: int


class Refused(TypedDict):
    """A task of a batch that was not accepted.

    Attributes:
        status: As POST /tasks would have answered it.
        problem: Why.
    """

    status: int
    problem: ProblemDocument


class Results(TypedDict):
    """What became of each task, in order.

    Attributes:
        results: One for each.
    """

    results: list[Taken | Refused]


def submit_batch(service: Service, request: Request) -> Response:
    """Accept up to 100 tasks; a result for each, in order."""
    read_query(request)
    if KEY in request.headers:
        raise invalid(("Idempotency-Key", "give each task an idempotency_key of its own"))
    document = read_json(request, BATCH_BYTES)
    fields = validated(BatchFields, document)
    now = service.now()
    # As parsed: JSON, which the model knows only as objects.
    entries = [_read(service, request, cast(Json, entry), now) for entry in fields.tasks]
    first: dict[str, Asked] = {}
    for entry in entries:
        if isinstance(entry, Asked):
            first.setdefault(entry.planned.task.id, entry)
    found = accept(service, [*first.values()], request)
    answers = dict(zip(first, found, strict=True))
    results = [
        entry if isinstance(entry, Problem) else _answer(entry, first, answers) for entry in entries
    ]
    service.tell(_told(entry, each) for entry, each in zip(entries, results, strict=True))
    told: Results = {"results": [_result(each, service.names) for each in results]}
    return Response(200, told)


def _read(service: Service, request: Request, entry: Json, now: int) -> Asked | Problem:
    try:
        fields = validated(EntryFields, entry)
        key = fields.idempotency_key or service.fresh()
        correlation_id = request.headers.get(CORRELATION, "")
        trace = trace_of(service, request)
        asked = submission_of(fields, entry, key, correlation_id, now, trace)
        return ready(service, asked, now)
    except Problem as problem:
        return problem


def _answer(
    entry: Asked, first: dict[str, Asked], answers: dict[str, Task | Problem]
) -> Task | Problem:
    """What is said of an entry: as of the first with its key, if they are of one task."""
    task_id = entry.planned.task.id
    try:
        same_task(first[task_id].planned.task, entry.planned.task)
    except KeyConflict as error:
        return conflict(entry, error)
    return answers[task_id]


def _told(entry: Asked | Problem, found: Task | Problem) -> tuple[str, int]:
    type_ = "" if isinstance(entry, Problem) else entry.planned.task.type
    return type_, found.kind.status if isinstance(found, Problem) else 202


def _result(found: Task | Problem, names: Names) -> Taken | Refused:
    if isinstance(found, Problem):
        return {"status": found.kind.status, "problem": found.document(ERRORS, names)}
    return {"status": 202, **accepted(found)}
