"""The X-Ray trace that a request belongs to."""

from __future__ import annotations

import re
from typing import Final

from api_lambda.http import Request
from api_lambda.service import Service

TRACE: Final = "x-amzn-trace-id"
# What X-Ray documents, and SQS checks: a header of another form would have the message refused.
_TRACE_HEADER: Final = re.compile(
    r"(?:Self=[0-9a-f-]{1,64};)?Root=1-[0-9a-f]{8}-[0-9a-f]{24}"
    r"(?:;(?:Parent=[0-9a-f]{16}|Sampled=[01?]|Lineage=[0-9a-z:|]{1,128}))*"
)


def trace_of(service: Service, request: Request) -> str:
    """The invocation's trace; where nothing traces it (local mode), the request's own."""
    for header in (service.trace(), request.headers.get(TRACE, "")):
        if _TRACE_HEADER.fullmatch(header):
            return header
    return ""
