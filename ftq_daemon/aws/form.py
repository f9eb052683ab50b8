"""The form of a request, learned from one that aiobotocore has made.

Endpoint rules, FIPS, dual-stack, overrides, account endpoints, headers, region and name to sign
with: whatever aiobotocore decides shows in the request that it sends. So one is looked at, and
made again; only if that gives the very same signature is the form known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from ftq.wire.sign import Credentials, Scope, Signer

# Said anew with each request, or telemetry of the SDK's own pipeline; none of them is needed.
_OF_ONE_REQUEST: Final = frozenset(
    {
        "amz-sdk-invocation-id",
        "amz-sdk-request",
        "authorization",
        "content-length",
        "x-amz-date",
        "x-amz-security-token",
    }
)
_OF_THE_FORM: Final = frozenset({"content-type", "user-agent", "x-amz-target", "x-amzn-query-mode"})
_CREDENTIAL: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/aws4_request,"
)


class Prepared(Protocol):
    """A request that aiobotocore is about to send."""

    method: str
    url: str
    headers: Mapping[str, str | bytes]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Form:
    """What requests of one kind have in common.

    Attributes:
        url: Where they go.
        signer: Makes their headers.
        account: The account of the credentials: the URL may hang on it.
    """

    url: str
    signer: Signer
    account: str | None


def learn(request: Prepared, who: Credentials, account: str | None) -> Form | None:
    """The form of a signed request; None if we could not make the very same one."""
    headers = {name: _text(value) for name, value in request.headers.items()}
    found = {name.lower(): value for name, value in headers.items()}
    scope = _CREDENTIAL.match(found.get("authorization", ""))
    if scope is None or request.method != "POST" or request.body is None:
        return None
    if not {"x-amz-date", "x-amz-target"} <= found.keys() <= _OF_ONE_REQUEST | _OF_THE_FORM:
        return None
    constant = {name: each for name, each in headers.items() if name.lower() in _OF_THE_FORM}
    signer = Signer(request.url, constant, Scope(*scope.groups()))
    again = signer.sign(request.body, who, found["x-amz-date"])
    if again["Authorization"] != found["authorization"]:
        return None
    return Form(request.url, signer, account)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
