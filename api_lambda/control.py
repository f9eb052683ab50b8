"""POST /tasks/{id}/cancel and POST /tasks/{id}/redrive: what an operator does to one task.

The rules are `ftq.control`'s; here they meet HTTP.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from api_lambda.asked import read_fields
from api_lambda.http import Request, Response
from api_lambda.params import read_query
from api_lambda.problems import ALREADY_FINAL, NOT_DEAD, Problem
from api_lambda.service import Service
from api_lambda.tasks import no_task
from api_lambda.traces import trace_of
from ftq import control
from ftq.control import CancelAnswer, Operator, RedriveAnswer
from ftq.limits import ID_PATTERN
from ftq.steps import walk
from ftq.wire.statements import Statements

_NAME: Final = "api"


class NoFields(BaseModel):
    """The body of POST /tasks/{id}/cancel: none, or an empty object."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)


class RedriveFields(BaseModel):
    """The body of POST /tasks/{id}/redrive, which may be left out."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    claim_no: Annotated[int, Field(ge=1)] | None = None
    """The death that is meant: a request that names it can be repeated without a second life."""


def operator(service: Service, request: Request) -> Operator:
    """Who asks, on this service's terms."""
    return Operator(
        by=f"{_NAME}:{request.caller}" if request.caller else _NAME,
        now=service.now(),
        grace=service.terms.grace,
        retention=service.terms.retention,
        trace=trace_of(service, request),
    )


def cancel(service: Service, request: Request) -> Response:
    """Cancel a task: at once if nobody runs it, else at its holder's next beat."""
    read_query(request)
    read_fields(NoFields, request)
    to, who = Statements(service.table), operator(service, request)
    found = walk(service.port, control.cancel(to, _id(request), who))
    if found is None:
        raise no_task()
    if found.answer is CancelAnswer.OVER:
        state = str(found.task.state)
        raise Problem(ALREADY_FINAL, f"It is {state}.", members={"state": state})
    asked = found.answer is CancelAnswer.ASKED
    state = str(found.task.state)
    return Response(202, {"id": found.task.id, "state": state, "cancel_requested": asked})


def redrive(service: Service, request: Request) -> Response:
    """Give a dead task one more life, however often this is asked for."""
    read_query(request)
    asked = read_fields(RedriveFields, request)
    to, who = Statements(service.table), operator(service, request)
    found = walk(service.port, control.redrive(to, _id(request), asked.claim_no, who))
    if found is None:
        raise no_task()
    state, claim_no = str(found.task.state), found.task.claim_no
    if found.answer is not RedriveAnswer.REDRIVEN:
        detail = f"It is {state}, at claim {claim_no}."
        raise Problem(NOT_DEAD, detail, members={"state": state, "claim_no": claim_no})
    return Response(202, {"matched": 1, "redriven": 1, "id": found.task.id, "state": state})


def _id(request: Request) -> str:
    # `#` would reach the items beside the records.
    if not ID_PATTERN.fullmatch(request.params["id"]):
        raise no_task()
    return request.params["id"]
