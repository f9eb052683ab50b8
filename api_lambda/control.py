"""POST /tasks/{id}/cancel and POST /tasks/{id}/redrive: what an operator does to one task.

The rules are `ftq.control`'s; here they meet HTTP.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from api_lambda.asked import WHOLE, read_fields
from api_lambda.http import Request, Response
from api_lambda.log import audit
from api_lambda.params import read_query
from api_lambda.problems import ALREADY_FINAL, NOT_DEAD, Problem
from api_lambda.service import Service
from api_lambda.submit import log_mishaps
from api_lambda.tasks import no_task
from ftq import control
from ftq.control import CancelAnswer, Operator, RedriveAnswer
from ftq.lifecycle import State
from ftq.limits import ID_PATTERN
from ftq.steps import walk
from ftq.wire.statements import Statements

_NAME: Final = "api"
# More than any task has claims, and few enough digits for any reader of numbers.
CLAIMS: Final = 10**9


class NoFields(BaseModel):
    """Nothing: the body may be left out."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)


class RedriveFields(BaseModel):
    """Which life is meant; the body may be left out.

    Attributes:
        claim_no: The death that is meant: a request that names it can be repeated without a
            second life.
    """

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    claim_no: Annotated[int, Field(ge=1, le=CLAIMS), WHOLE] | None = None


class Cancelled(TypedDict):
    """What became of the wish to cancel a task.

    Attributes:
        id: The task.
        state: Its state now: cancelled, or running until its holder's next beat.
        cancel_requested: Whether its holder still has to learn of it.
    """

    id: str
    state: State
    cancel_requested: bool


class Redriven(TypedDict):
    """A task that has one more life.

    Attributes:
        matched: 1.
        redriven: 1.
        id: The task.
        state: Its state now.
    """

    matched: int
    redriven: int
    id: str
    state: State


def operator(service: Service, request: Request) -> Operator:
    """Who asks, on this service's terms."""
    return Operator(
        by=f"{_NAME}:{request.caller}" if request.caller else _NAME,
        now=service.now(),
        grace=service.terms.grace,
        retention=service.terms.retention,
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
        state = found.task.state
        raise Problem(ALREADY_FINAL, f"It is {state}.", members={"state": state})
    if found.answer is CancelAnswer.ASKED:
        audit(request, "task.cancel_asked", found.task, State.RUNNING, State.RUNNING)
    else:
        audit(request, "task.cancelled", found.task, found.was or "", found.task.state)
    told: Cancelled = {
        "id": found.task.id,
        "state": found.task.state,
        "cancel_requested": found.answer is CancelAnswer.ASKED,
    }
    return Response(202, told)


def redrive(service: Service, request: Request) -> Response:
    """Give a dead task one more life, however often this is asked for."""
    read_query(request)
    asked = read_fields(RedriveFields, request)
    to, who = Statements(service.table), operator(service, request)
    found = walk(service.port, control.redrive(to, _id(request), asked.claim_no, who))
    if found is None:
        raise no_task()
    log_mishaps(found.mishaps)
    state, claim_no = found.task.state, found.task.claim_no
    if found.answer is not RedriveAnswer.REDRIVEN:
        detail = f"It is {state}, at claim {claim_no}."
        raise Problem(NOT_DEAD, detail, members={"state": state, "claim_no": claim_no})
    audit(request, "task.redriven", found.task, State.DEAD, state)
    told: Redriven = {"matched": 1, "redriven": 1, "id": found.task.id, "state": state}
    return Response(202, told)


def _id(request: Request) -> str:
    # `#` would reach the items beside the records.
    if not ID_PATTERN.fullmatch(request.params["id"]):
        raise no_task()
    return request.params["id"]
