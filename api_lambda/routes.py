"""Which function answers which request. The table below is the rule."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias
from urllib.parse import unquote

from api_lambda.cors import cors_headers
from api_lambda.health import health
from api_lambda.http import CORRELATION, Answer, Request, Response, answer, read_request
from api_lambda.log import log, log_bug
from api_lambda.problems import (
    BUG,
    FOREIGN,
    METHOD,
    NO_ROUTE,
    RETRY_AFTER,
    UNAVAILABLE,
    Problem,
    invalid,
)
from api_lambda.service import Service
from api_lambda.submit import submit
from api_lambda.tasks import show
from ftq.errors import CallError
from ftq.limits import CORRELATION_PATTERN
from ftq.sample import kept

Endpoint: TypeAlias = Callable[[Service, Request], Response]


# What most functions never serve is loaded by the first request that asks for it: on every cold
# start it would be a seventh of the import.


def _submit_batch(service: Service, request: Request) -> Response:
    from api_lambda.batch import submit_batch

    return submit_batch(service, request)


def _list_tasks(service: Service, request: Request) -> Response:
    from api_lambda.listing import list_tasks

    return list_tasks(service, request)


def _cancel(service: Service, request: Request) -> Response:
    from api_lambda.control import cancel

    return cancel(service, request)


def _redrive(service: Service, request: Request) -> Response:
    from api_lambda.control import redrive

    return redrive(service, request)


def _redrives(service: Service, request: Request) -> Response:
    from api_lambda.redrives import redrives

    return redrives(service, request)


def _dead_letters(service: Service, request: Request) -> Response:
    from api_lambda.dead_letters import dead_letters

    return dead_letters(service, request)


def _stats(service: Service, request: Request) -> Response:
    from api_lambda.stats import stats

    return stats(service, request)


def _openapi(service: Service, request: Request) -> Response:
    from api_lambda.openapi import openapi

    return openapi(service, request)


def _console(service: Service, request: Request) -> Response:
    from api_lambda.console import console

    return console(service, request)


ROUTES: Final[tuple[tuple[str, str, Endpoint], ...]] = (
    ("POST", "/tasks", submit),
    ("POST", "/tasks/batch", _submit_batch),
    ("GET", "/tasks", _list_tasks),
    ("GET", "/tasks/{id}", show),
    ("POST", "/tasks/{id}/cancel", _cancel),
    ("POST", "/tasks/{id}/redrive", _redrive),
    ("POST", "/redrives", _redrives),
    ("GET", "/dead-letters", _dead_letters),
    ("GET", "/stats", _stats),
    ("GET", "/health", health),
    ("GET", "/openapi.json", _openapi),
    ("GET", "/console", _console),
)


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile(
        "".join(f"(?P<{part}>[^/]+)" if n % 2 else re.escape(part) for n, part in enumerate(parts))
    )


_ENDPOINTS: Final = {
    template: {verb: endpoint for verb, there, endpoint in ROUTES if there == template}
    for _, template, _ in ROUTES
}
# Those with a parameter; all others are found by name, and first: `batch` is no task.
_PATTERNS: Final = {template: _pattern(template) for template in _ENDPOINTS if "{" in template}
# What is logged as it came.
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


@dataclass(frozen=True, slots=True)
class Api:
    """Answers requests.

    Attributes:
        service: What the routes work with.
        origins: The web origins whose pages may ask.
        share: The share of the lines about requests that went well that is logged.
    """

    service: Service
    origins: frozenset[str] = frozenset()
    share: float = 1.0

    def handle(self, event: object) -> Answer:
        """Answer one request; every error becomes a problem document."""
        began = self.service.monotonic()
        request = read_request(event)
        given = request.headers.get(CORRELATION)
        refused = given is not None and not CORRELATION_PATTERN.fullmatch(given)
        correlation_id = self.service.fresh() if given is None or refused else given
        # One id from here on, the client's or ours, through every program.
        headers = {**request.headers, CORRELATION: correlation_id}
        template, response = self._respond(replace(request, headers=headers), refused=refused)
        if response.status >= 400 or self.share == 1 or kept(correlation_id, self.share):
            log(
                logging.INFO,
                "api.request",
                correlation_id=correlation_id,
                method=request.method if request.method in _METHODS else "other",
                route=template,
                status=response.status,
                ms=round((self.service.monotonic() - began) * 1000, 1),
            )
        if request.method == "HEAD":
            response = replace(response, body=None, text="")
        if self.origins:
            allow = response.headers.get("allow", "") if request.method == "OPTIONS" else ""
            more = cors_headers(request, self.origins, allow)
            response = replace(response, headers={**response.headers, **more})
        return answer(response, correlation_id)

    def _respond(self, request: Request, *, refused: bool) -> tuple[str, Response]:
        template, correlation_id = "", request.headers[CORRELATION]
        try:
            if request.foreign:
                raise Problem(FOREIGN, "Invoke this function by an HTTP API or a function URL.")
            template, endpoint, request = _route(request)
            if refused:
                must = f"must match {CORRELATION_PATTERN.pattern}"
                raise invalid(("X-Correlation-Id", must))
            return template, endpoint(self.service.for_request(), request)
        except Problem as problem:
            return template, problem.response(self.service.names)
        except CallError as error:
            log(
                logging.WARNING,
                "api.unavailable",
                correlation_id=correlation_id,
                operation=error.operation,
                code=error.code,
            )
            detail = "A service behind this one did not answer."
            return template, Problem(UNAVAILABLE, detail, headers=RETRY_AFTER).response()
        except Exception as error:  # a bug; the client still gets JSON
            log_bug("api.bug", error, correlation_id=correlation_id)
            return template, Problem(BUG, "The request could not be served.").response()


def _template(path: str) -> tuple[str, dict[str, str]]:
    """The template that a path is of, and what stands for its parameters.

    Raises:
        Problem: 404.
    """
    if path in _ENDPOINTS and path not in _PATTERNS:
        return path, {}
    for template, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(path):
            return template, {name: unquote(value) for name, value in found.groupdict().items()}
    raise Problem(NO_ROUTE, "No route has this path.")


def _route(request: Request) -> tuple[str, Endpoint, Request]:
    """The route's template, its function, and the request with what the path says.

    Raises:
        Problem: 404, or 405 with what is allowed.
    """
    template, params = _template(request.path)
    allowed: set[str] = set()
    # HEAD is GET without the body, which `Api.handle` takes off.
    method = "GET" if request.method == "HEAD" else request.method
    for verb, endpoint in _ENDPOINTS[template].items():
        if verb == method:
            return template, endpoint, replace(request, params=params)
        allowed |= {verb, "HEAD"} if verb == "GET" else {verb}
    allow = {"allow": ", ".join(sorted({*allowed, "OPTIONS"}))}
    if request.method == "OPTIONS":
        return "", lambda _service, _request: Response(204, headers=allow), request
    raise Problem(METHOD, f"Allowed here: {allow['allow']}.", headers=allow)
