"""The X-Ray trace that a request belongs to."""

from __future__ import annotations

from typing import Final

from api_lambda.http import Request
from api_lambda.service import Service
from ftq.trace import kept_trace

TRACE: Final = "x-amzn-trace-id"


def trace_of(service: Service, request: Request) -> str:
    """The invocation's trace; where nothing traces it (local mode), the request's own."""
    return kept_trace(service.trace()) or kept_trace(request.headers.get(TRACE, ""))
