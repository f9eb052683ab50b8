"""What web pages of other origins may do: nothing, unless their origin is set (FTQ_CORS_ORIGINS).

The Fetch standard, "CORS protocol". Credentials are never allowed: a page signs, or carries a
token, itself. A reverse proxy or API Gateway that answers preflights by itself never asks here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from api_lambda.http import Request

# What a page may send besides what it may always, and what it may read.
_SENT: Final = (
    "authorization, content-type, idempotency-key, x-amz-date, x-amz-security-token, "
    "x-correlation-id"
)
_READ: Final = "location, retry-after, x-correlation-id"
# Chromium keeps a preflight for 2 h at most; one that was revoked is to be gone before.
_KEPT_SECONDS: Final = 600


def cors_headers(request: Request, origins: Collection[str], allow: str) -> Mapping[str, str]:
    """The headers that let a page have an answer.

    Args:
        request: The request.
        origins: The origins that may ask.
        allow: For an answer to OPTIONS, the methods that are allowed there; else ''.
    """
    if not origins:
        return {}
    # Caches must not hand one origin's answer to another.
    vary = {"vary": "origin"}
    origin = request.headers.get("origin", "")
    if origin not in origins:
        return vary
    headers = {**vary, "access-control-allow-origin": origin}
    if not (allow and "access-control-request-method" in request.headers):
        return {**headers, "access-control-expose-headers": _READ}
    return {
        **headers,
        "access-control-allow-methods": allow,
        "access-control-allow-headers": _SENT,
        "access-control-max-age": str(_KEPT_SECONDS),
    }
