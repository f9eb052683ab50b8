"""HTTP to and from the events of API Gateway's HTTP APIs, payload format 2.0.

"Working with AWS Lambda proxy integrations for HTTP APIs", API Gateway developer guide. Pure:
the clock and ids are arguments.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from api_lambda.http import SECURITY
from api_lambda.problems import BUG, MEDIA_TYPE, TOO_LARGE, UNAVAILABLE, Kind

# What the gateway hands on as text; all else travels as base64.
_TEXT: Final = ("application/json", "application/xml", "application/javascript")
DEFAULT_TYPE: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came over the wire.

    Attributes:
        method: The method.
        target: Path and query, still percent-encoded.
        headers: Names and values, in order.
        body: The body.
        source: The client's address.
        protocol: Such as ``HTTP/1.1``.
    """

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    source: str = "127.0.0.1"
    protocol: str = "HTTP/1.1"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response to send."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def problem(kind: Kind, detail: str) -> HttpResponse:
    """An answer of the gateway's own, such as its 413: of the shape that the function's have."""
    document = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": detail}
    headers = {**SECURITY, "content-type": MEDIA_TYPE}
    return HttpResponse(
        kind.status, tuple(headers.items()), json.dumps(document, separators=(",", ":")).encode()
    )


NO_HTTP: Final = Kind(400, "not-http", "The request is not acceptable HTTP")
EXPECTATION: Final = Kind(417, "expectation-failed", "What the request expects is not done here")
BROKEN: Final = problem(BUG, "The request could not be served.")
TOO_LONG: Final = problem(TOO_LARGE, "Nothing was stored: the body is too large.")
TOO_SLOW: Final = problem(UNAVAILABLE, "The function did not answer in time.")
UNREADABLE: Final = problem(NO_HTTP, "Its line, its headers or its body cannot be read.")
UNEXPECTED: Final = problem(EXPECTATION, "Only 100-continue may be expected.")


def event_of(request: HttpRequest, request_id: str, now: float) -> dict[str, object]:
    """The event that Lambda is invoked with.

    Args:
        request: The request.
        request_id: The gateway's id for it.
        now: Seconds since the epoch.
    """
    path, _, query = request.target.partition("?")
    headers, cookies = _headers(request.headers)
    event: dict[str, object] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": _context(request, path, headers, request_id, now),
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = _joined(parse_qsl(query, keep_blank_values=True))
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(
            request.body, headers.get("content-type", "")
        )
    return event


def _context(
    request: HttpRequest, path: str, headers: Mapping[str, str], request_id: str, now: float
) -> dict[str, object]:
    domain = headers.get("host", "")
    return {
        "accountId": "000000000000",
        "apiId": "local",
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": request.method,
            "path": path,
            "protocol": request.protocol,
            "sourceIp": request.source,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now * 1000),
    }


def _headers(given: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    lower = [(name.lower(), value) for name, value in given]
    cookies = [
        cookie.strip()
        for name, value in lower
        if name == "cookie"
        for cookie in value.split(";")
        if cookie.strip()
    ]
    return _joined((name, value) for name, value in lower if name != "cookie"), cookies


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith("text/") or media_type.endswith("+json") or media_type in _TEXT:
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode("ascii"), True


def response_of(answer: object) -> HttpResponse:
    """The response that a function's answer asks for; 500 for one that makes no sense."""
    if not (isinstance(answer, Mapping) and "statusCode" in answer):
        # The gateway takes anything else for the body of a 200.
        try:
            body = answer if isinstance(answer, str) else json.dumps(answer)
        except (TypeError, ValueError):
            return BROKEN
        return HttpResponse(200, (("content-type", "application/json"),), body.encode())
    status, text = answer["statusCode"], answer.get("body") or ""
    given, cookies = answer.get("headers") or {}, answer.get("cookies") or []
    fits = type(status) is int and 100 <= status <= 599 and isinstance(text, str)
    if not (fits and isinstance(given, Mapping) and isinstance(cookies, list)):
        return BROKEN
    try:
        encoded = answer.get("isBase64Encoded") is True
        content = base64.b64decode(text, validate=True) if encoded else text.encode("utf-8")
    except (binascii.Error, ValueError):
        return BROKEN
    headers = [(str(name).lower(), _value(value)) for name, value in given.items()]
    headers = [(name, value) for name, value in headers if name != "content-length"]
    if content and not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", DEFAULT_TYPE))
    headers += [("set-cookie", str(cookie)) for cookie in cookies]
    return HttpResponse(status, tuple(headers), content)


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
