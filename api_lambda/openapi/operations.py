"""What is said of each route. Shapes come from the models, limits from where they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from api_lambda import listing
from api_lambda.asked import BatchFields, TaskFields
from api_lambda.batch import Results
from api_lambda.control import Cancelled, NoFields, RedriveFields, Redriven
from api_lambda.dead_letters import DeadLetters
from api_lambda.health import Health
from api_lambda.listing import Listed
from api_lambda.problems import (
    ALREADY_FINAL,
    ENCODED,
    KEY_CONFLICT,
    NO_ROUTE,
    NO_TASK,
    NOT_DEAD,
    NOT_JSON,
    NOT_STORED,
    TOO_LARGE,
    Kind,
)
from api_lambda.redrives import RedrivesFields, RedrivesResult
from api_lambda.stats import Stats
from api_lambda.submit import Accepted
from api_lambda.tasks import View
from ftq.deaths import LIMITS, PATTERN
from ftq.lifecycle import State
from ftq.limits import ID_PATTERN, KEY_PATTERN, TENANT_PATTERN, TYPE_PATTERN
from ftq.text import Json


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a route.

    Attributes:
        name: Its name.
        where: ``path``, ``query`` or ``header``.
        meaning: What it is for.
        schema: What it may be.
    """

    name: str
    where: str
    meaning: str
    schema: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Link:
    """What can be asked for next.

    Attributes:
        operation: The operation's id.
        parameters: Its parameters, as runtime expressions over this answer.
        body: Its body, likewise.
    """

    operation: str
    parameters: Mapping[str, Json]
    body: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A route, as its callers have to know it.

    Attributes:
        id: The operation's id.
        tag: What it is about.
        summary: What it does.
        status: The status when it did that.
        answer: The answer's shape: a TypedDict; None is any JSON object, or text.
        asks: The body's shape; None takes no body.
        body_required: Whether there has to be a body.
        parameters: Its parameters, besides X-Correlation-Id, which all have.
        problems: How it may end besides, and besides what all have.
        location: Whether the answer says where its result can be found.
        links: What can be asked for next, by name.
        media_type: What the answer is.
    """

    id: str
    tag: str
    summary: str
    status: int
    answer: type | None
    asks: type[BaseModel] | None = None
    body_required: bool = False
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[Kind, ...] = ()
    location: bool = False
    links: Mapping[str, Link] | None = None
    media_type: str = "application/json"


def _pattern(pattern: str) -> Mapping[str, Json]:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


_ID: Final = Parameter("id", "path", "The task's id.", _pattern(ID_PATTERN.pattern))
_KEY: Final = Parameter(
    "Idempotency-Key",
    "header",
    "Equal keys of one tenant stand for one task, however often the request is repeated. "
    "Without one, each request is a task of its own.",
    _pattern(KEY_PATTERN.pattern),
)
_FILTERS: Final = (
    Parameter(
        "state", "query", "Only tasks in this state.",
        {"type": "string", "enum": [state.value for state in State]},
    ),
    Parameter("type", "query", "Only tasks of this type.", _pattern(TYPE_PATTERN.pattern)),
    Parameter("tenant", "query", "Only tasks of this tenant.", _pattern(TENANT_PATTERN.pattern)),
    Parameter(
        "limit", "query", "At most so many tasks on the page.",
        {"type": "integer", "minimum": 1, "maximum": listing.MOST, "default": listing.DEFAULT},
    ),
    Parameter(
        "cursor", "query", "Where an earlier page with the same filters ended.",
        {"type": "string"},
    ),
)  # fmt: skip
_WINDOW: Final = Parameter(
    "window",
    "query",
    f"How far back: {LIMITS}.",
    {"type": "string", "pattern": f"^(?:{PATTERN})$", "default": "24h"},
)

_BODY: Final = (NOT_JSON, TOO_LARGE, ENCODED)
_THE_TASK: Final = {"id": "$response.body#/id"}
_FOLLOW_UPS: Final = {
    "show": Link("getTask", _THE_TASK),
    "cancel": Link("cancelTask", _THE_TASK),
    "redrive": Link("redriveTask", _THE_TASK),
}

OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("POST", "/tasks"): Operation(
        id="submitTask",
        tag="submit",
        summary="Accept a task",
        status=202,
        answer=Accepted,
        asks=TaskFields,
        body_required=True,
        parameters=(_KEY,),
        problems=(*_BODY, KEY_CONFLICT, NOT_STORED),
        location=True,
        links=_FOLLOW_UPS,
    ),
    ("POST", "/tasks/batch"): Operation(
        id="submitTasks",
        tag="submit",
        summary="Accept up to 100 tasks, each by itself",
        status=200,
        answer=Results,
        asks=BatchFields,
        body_required=True,
        problems=_BODY,
        links={"show": Link("getTask", {"id": "$response.body#/results/0/id"})},
    ),
    ("GET", "/tasks"): Operation(
        id="listTasks",
        tag="tasks",
        summary="Tasks by state, type and tenant, newest first",
        status=200,
        answer=Listed,
        parameters=_FILTERS,
        links={
            "next": Link("listTasks", {"cursor": "$response.body#/cursor"}),
            "show": Link("getTask", {"id": "$response.body#/tasks/0/id"}),
        },
    ),
    ("GET", "/tasks/{id}"): Operation(
        id="getTask",
        tag="tasks",
        summary="All that is known of a task",
        status=200,
        answer=View,
        parameters=(_ID,),
        problems=(NO_TASK,),
        links={"cancel": _FOLLOW_UPS["cancel"], "redrive": _FOLLOW_UPS["redrive"]},
    ),
    ("POST", "/tasks/{id}/cancel"): Operation(
        id="cancelTask",
        tag="operate",
        summary="Cancel a task: at once if nobody runs it, else at its holder's next beat",
        status=202,
        answer=Cancelled,
        asks=NoFields,
        parameters=(_ID,),
        problems=(*_BODY, NO_TASK, ALREADY_FINAL),
        links={"show": _FOLLOW_UPS["show"]},
    ),
    ("POST", "/tasks/{id}/redrive"): Operation(
        id="redriveTask",
        tag="operate",
        summary="Give a dead task one more life, however often this is asked for",
        status=202,
        answer=Redriven,
        asks=RedriveFields,
        parameters=(_ID,),
        problems=(*_BODY, NO_TASK, NOT_DEAD),
        links={"show": _FOLLOW_UPS["show"]},
    ),
    ("POST", "/redrives"): Operation(
        id="redriveTasks",
        tag="operate",
        summary="Give many dead tasks one more life, paced, as many as one request can",
        status=202,
        answer=RedrivesResult,
        asks=RedrivesFields,
        problems=_BODY,
        links={"next": Link("redriveTasks", {}, {"cursor": "$response.body#/cursor"})},
    ),
    ("GET", "/dead-letters"): Operation(
        id="getDeadLetters",
        tag="operate",
        summary="What died, by type and error",
        status=200,
        answer=DeadLetters,
        parameters=(_WINDOW,),
        links={"redrive": Link("redriveTask", {"id": "$response.body#/groups/0/samples/0"})},
    ),
    ("GET", "/stats"): Operation(
        id="getStats",
        tag="service",
        summary="How queues, tasks, breakers and daemons are",
        status=200,
        answer=Stats,
    ),
    ("GET", "/health"): Operation(
        id="getHealth",
        tag="service",
        summary="Whether tasks can be accepted",
        status=200,
        answer=Health,
    ),
    ("GET", "/openapi.json"): Operation(
        id="getOpenapi",
        tag="service",
        summary="This document",
        status=200,
        answer=None,
    ),
    ("GET", "/console"): Operation(
        id="getConsole",
        tag="service",
        summary="A page for people, over these routes",
        status=200,
        answer=None,
        problems=(NO_ROUTE,),
        media_type="text/html",
    ),
}
