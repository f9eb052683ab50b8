"""From the body and headers of POST /tasks to a submission, strictly."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from api_lambda.http import Request
from api_lambda.problems import ENCODED, NOT_JSON, TOO_LARGE, Problem, invalid
from ftq.limits import (
    DELAY_SECONDS,
    KEY_PATTERN,
    KIB,
    PAYLOAD_BYTES,
    QUEUE_PATTERN,
    TENANT_PATTERN,
    TYPE_PATTERN,
)
from ftq.submission import Submission
from ftq.text import Json, NotJson, parse

if TYPE_CHECKING:
    from ftq.registry import Registry

KEY: Final = "idempotency-key"
# Each byte of a payload may have come as an escape of six; the rest is room for other fields.
# The exact limit is on the payload as it is stored (`ftq.submission`).
BODY_BYTES: Final = 6 * PAYLOAD_BYTES + 16 * KIB
# Lambda takes 6 MB a request, and what is not plain text comes a third longer, as base64.
BATCH_BYTES: Final = 4 * KIB * KIB
BATCH_TASKS: Final = 100

# RFC 3339, the common part of ISO 8601; `datetime` alone would take week dates and more.
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)


def instant(value: object) -> int:
    """Milliseconds since the epoch, rounded up so that nothing runs before its time."""
    if not (isinstance(value, str) and _INSTANT.fullmatch(value)):
        raise ValueError("must be an ISO 8601 date and time with an offset or Z")
    # Python's own words would do, but they name its functions.
    try:
        return math.ceil(datetime.fromisoformat(value.upper()).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError("is no date and time of the calendar") from None


Instant: TypeAlias = Annotated[
    int, BeforeValidator(instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
# Held by `ftq.submission`, for every way in; here they are only described.
_Type: TypeAlias = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": f"^(?:{TYPE_PATTERN.pattern})$"})
]
_Tenant: TypeAlias = Annotated[
    str,
    Field(min_length=1),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{TENANT_PATTERN.pattern})$"}),
]


_Queue: TypeAlias = Annotated[
    str,
    Field(min_length=1, max_length=32),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{QUEUE_PATTERN.pattern})$"}),
]


def whole(value: object) -> object:
    """A number without a fraction as an integer: in JSON, 5.0 is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# For integers of a model, which pydantic's strict mode alone would hold to Python's idea of them.
WHOLE: Final = BeforeValidator(whole)


class TaskFields(BaseModel):
    """One task.

    Attributes:
        type: Which handler it is for.
        payload: Anything JSON can carry, up to 256 KiB.
        delay_seconds: It must not run for so long.
        not_before: It must not run before; only one of the two may be given.
        tenant: On whose behalf: tenants are served fairly.
        queue: Through which of the service's queues; the default one if left out.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        defer_build=True,
        json_schema_extra={
            "not": {
                "required": ["delay_seconds", "not_before"],
                "properties": {
                    "delay_seconds": {"type": "number"},
                    "not_before": {"type": "string"},
                },
            }
        },
    )

    type: _Type
    payload: object
    delay_seconds: Annotated[float, Field(ge=0, le=DELAY_SECONDS)] | None = None
    not_before: Instant | None = None
    tenant: _Tenant | None = None
    queue: _Queue | None = None


def read_key(request: Request, fresh: str) -> str:
    """The idempotency key that the client gave, or a fresh one.

    Raises:
        Problem: 422, the header is malformed.
    """
    given = request.headers.get(KEY)
    if given is None:
        return fresh
    if not KEY_PATTERN.fullmatch(given):
        raise invalid(("Idempotency-Key", f"must match {KEY_PATTERN.pattern}"))
    return given


def read_json(request: Request, most: int = BODY_BYTES) -> Json:
    """The body as JSON.

    Args:
        request: The request.
        most: Bytes that it may have.

    Raises:
        Problem: 413, it cannot hold a payload within the limit; 415, it is compressed; 400, it
            is no JSON.
    """
    # Its type is not looked at: what clients say by default (`curl -d`: a form) is often untrue.
    if request.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise Problem(ENCODED, "Send the body as it is, without a Content-Encoding.")
    body = request.body()
    if body is None:
        raise Problem(NOT_JSON, "The body is marked as base64 and is not.")
    if len(body) > most:
        raise Problem(TOO_LARGE, f"The body has {len(body)} bytes, the limit is {most}.")
    try:
        return parse(body)
    except NotJson as error:
        raise Problem(NOT_JSON, f"The body is not acceptable JSON: {error}.") from None


class EntryFields(TaskFields):
    """One task of a batch.

    Attributes:
        idempotency_key: As the header Idempotency-Key, which a batch cannot have.
    """

    idempotency_key: Annotated[str, Field(pattern=f"^(?:{KEY_PATTERN.pattern})$")] | None = None


class BatchFields(BaseModel):
    """Many tasks.

    Attributes:
        tasks: Each is read by itself.
    """

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    tasks: Annotated[list[object], Field(min_length=1, max_length=BATCH_TASKS)]


Fields = TypeVar("Fields", bound=BaseModel)


def read_fields(model: type[Fields], request: Request) -> Fields:
    """The fields of a body that may be left out altogether.

    Raises:
        Problem: 400, 413, 415 as `read_json`; 422, with the fields that are malformed or unknown.
    """
    return validated(model, read_json(request) if request.text else {})


def validated(model: type[Fields], document: Json) -> Fields:
    """A document as a model.

    Raises:
        Problem: 422, with the fields that are missing, malformed or unknown.
    """
    if not isinstance(document, dict):
        raise invalid(("", "must be a JSON object"))
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid(*faults(error)) from None


def submission_of(
    fields: TaskFields, document: Json, key: str, correlation_id: str, now: int, trace: str = ""
) -> Submission:
    """The submission that a document asks for.

    Args:
        fields: The document, validated.
        document: As it was parsed: the payload is JSON, which the model knows only as an object.
        key: The idempotency key.
        correlation_id: The request's.
        now: Milliseconds since the epoch.
        trace: The X-Ray trace header, or ''.

    Raises:
        Problem: 422, two fields do not go together.
    """
    if fields.delay_seconds is not None and fields.not_before is not None:
        raise invalid(("not_before", "give delay_seconds or not_before, not both"))
    not_before = fields.not_before or 0
    if fields.delay_seconds:
        not_before = now + math.ceil(fields.delay_seconds * 1000)
    return Submission(
        type=fields.type,
        payload=document["payload"] if isinstance(document, dict) else None,
        key=key,
        correlation_id=correlation_id,
        tenant=fields.tenant or "",
        not_before=max(0, not_before),
        queue=fields.queue or "",
        trace=trace,
    )


def check_registry(registry: Registry | None, type_: str, payload: str) -> None:
    """Hold type and payload against the handlers, if they are known here.

    Args:
        registry: The handlers; None accepts everything.
        type_: The task type.
        payload: The payload as canonical JSON text: what its handler will be given.

    Raises:
        Problem: 422, there is no such handler, or its model refuses the payload.
    """
    if registry is None:
        return
    handler = registry.get(type_)
    if handler is None:
        raise invalid(("type", "no handler is registered for it"))
    try:
        handler.payload.validate_json(payload)
    except ValidationError as error:
        raise invalid(*faults(error, "payload")) from None


def faults(error: ValidationError, root: str = "") -> list[tuple[str, str]]:
    """One (dotted path, what is wrong) pair for each fault."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [(_path(root, each["loc"]), _words(each["type"], each["msg"])) for each in found]


def _path(root: str, where: Sequence[int | str]) -> str:
    parts: Iterable[str] = (str(part) for part in where)
    return ".".join(filter(None, (root, *parts)))


def _words(kind: str, message: str) -> str:
    if kind == "union_tag_invalid":  # the one message that quotes what was given
        return "Input tag does not match any of the expected tags"
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
