"""Requests and responses as values, from and to API Gateway's payload format 2.0."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias, TypedDict
from urllib.parse import parse_qsl, quote

from pydantic import WithJsonSchema

VERSION: Final = "2.0"
CORRELATION: Final = "x-correlation-id"
# The longest name of a caller that is kept in a task's history.
CALLER_CHARS: Final = 120

Moment: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment as answers say it: ISO 8601, in UTC with milliseconds."""

# A JSON API that nobody may frame, sniff, cache or run.
SECURITY: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Answer(TypedDict):
    """A response as API Gateway takes it."""

    statusCode: int
    headers: dict[str, str]
    body: str
    isBase64Encoded: bool


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    Attributes:
        method: The method, in capitals.
        path: The path without the stage, still percent-encoded.
        prefix: The stage as a path prefix, or ''.
        headers: Header values by lower-case name.
        text: The body as the event has it.
        is_base64: Whether `text` is base64 of the body.
        params: What the route's template found in the path, decoded.
        query: The query, decoded, in order.
        caller: Who asks, as API Gateway's authorizer says; '' if it says nothing.
        request_id: API Gateway's id of the request, or ''.
        source: The address that it came from, or ''.
        foreign: Whether the event was none of payload format 2.0.
    """

    method: str
    path: str
    prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    is_base64: bool = False
    params: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    caller: str = ""
    request_id: str = ""
    source: str = ""
    foreign: bool = False

    def body(self) -> bytes | None:
        """The body's bytes; None if they cannot be decoded."""
        if not self.is_base64:
            # A lone surrogate stays one, to be refused as no Unicode by whoever parses.
            return self.text.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(self.text, validate=True)
        except (binascii.Error, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response.

    Attributes:
        status: The status.
        body: The document; None sends no body, or `text`.
        headers: Headers besides those that every response has.
        media_type: What the document is.
        text: A document that is no JSON.
    """

    status: int
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    text: str = ""


def read_request(given: object) -> Request:
    """The request that an event stands for. Never raises: what is missing is empty."""
    event = _mapping(given)
    context = _mapping(event.get("requestContext"))
    http = _mapping(context.get("http"))
    path = _text(event.get("rawPath")) or _text(http.get("path")) or "/"
    stage = _text(context.get("stage"))
    prefix = ""
    # A stage other than the default stands before the path, unless a domain mapping hides it.
    if stage not in ("", "$default") and path.startswith(f"/{stage}/"):
        prefix = f"/{stage}"
        path = path[len(prefix) :]
    headers = _mapping(event.get("headers"))
    return Request(
        method=_text(http.get("method")).upper(),
        path=path,
        prefix=quote(prefix, errors="replace"),
        headers={str(name).lower(): _text(value) for name, value in headers.items()},
        text=_text(event.get("body")),
        is_base64=event.get("isBase64Encoded") is True,
        query=_query(_text(event.get("rawQueryString"))),
        caller=_caller(_mapping(context.get("authorizer"))),
        request_id=_text(context.get("requestId"))[:CALLER_CHARS],
        source=_text(http.get("sourceIp"))[:CALLER_CHARS],
        # Format 1.0, and load balancers, have no `http` there.
        foreign=not isinstance(context.get("http"), Mapping)
        or event.get("version", VERSION) != VERSION,
    )


def _query(raw: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(raw, keep_blank_values=True, errors="replace"))


def _caller(authorizer: Mapping[str, object]) -> str:
    """Who the authorizer says it is: the subject of a JWT, or the ARN of an IAM identity."""
    claims = _mapping(_mapping(authorizer.get("jwt")).get("claims"))
    arn = _mapping(authorizer.get("iam")).get("userArn")
    said = _text(claims.get("sub")) or _text(arn)
    return "".join(each for each in said if each.isprintable())[:CALLER_CHARS]


def answer(response: Response, correlation_id: str) -> Answer:
    """A response as API Gateway takes it."""
    headers = {**SECURITY, CORRELATION: correlation_id, **response.headers}
    body = response.text
    if response.body is not None or body:
        headers["content-type"] = response.media_type
    if response.body is not None:
        # ASCII only: what a client sent comes back legible, and no surrogate breaks the reply.
        body = json.dumps(response.body, separators=(",", ":"))
    return {
        "statusCode": response.status,
        "headers": headers,
        "body": body,
        "isBase64Encoded": False,
    }


def moment(milliseconds: int) -> str | None:
    """A moment in ISO 8601, in UTC with milliseconds; None for 0, which stands for none."""
    if not milliseconds:
        return None
    seconds, rest = divmod(milliseconds, 1000)
    try:
        at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000, tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return None
    # Not strftime: its year has fewer than four digits before the year 1000.
    return f"{at.isoformat(timespec='milliseconds')}Z"


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
