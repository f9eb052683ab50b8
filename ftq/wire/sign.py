"""AWS Signature Version 4 for requests of one form, with what does not change prepared.

"Create a signed AWS API request" of the IAM User Guide. A POST with a body, no query, and headers
that never change but for the date and the session token: all that SQS and DynamoDB need.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, Protocol
from urllib.parse import urlsplit

ALGORITHM: Final = "AWS4-HMAC-SHA256"
MOMENT: Final = "%Y%m%dT%H%M%SZ"
# Intermediaries may change it, so it is sent and not signed.
_UNSIGNED: Final = frozenset({"user-agent"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Credentials(Protocol):
    """What signs a request, as it is at one moment."""

    @property
    def access_key(self) -> str:
        """The key's id, which the request names."""
        ...

    @property
    def secret_key(self) -> str:
        """The key."""
        ...

    @property
    def token(self) -> str | None:
        """The session token of temporary credentials."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a signature holds, beside the day."""

    region: str
    service: str


class Signer:
    """Signs requests to one URL with one set of headers.

    Args:
        url: Where they go.
        headers: Names and values that do not change.
        scope: Where the signatures hold.
    """

    def __init__(self, url: str, headers: Mapping[str, str], scope: Scope) -> None:
        """Prepare the canonical request around the lines of date and token."""
        self._headers = dict(headers)
        self._scope = scope
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.port not in (None, _DEFAULT_PORTS.get(parts.scheme)):
            host = f"{host}:{parts.port}"
        lines = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        lines["host"] = host
        signed = sorted(pair for pair in lines.items() if pair[0] not in _UNSIGNED)
        before = [pair for pair in signed if pair[0] < "x-amz-date"]
        after = [pair for pair in signed if pair[0] > "x-amz-date"]
        self._head = f"POST\n{parts.path or '/'}\n\n{_lines(before)}"
        self._tail = _lines(after)
        self._names = [name for name, _ in before], [name for name, _ in after]

    def sign(self, body: bytes, who: Credentials, moment: str) -> dict[str, str]:
        """The headers of a request with this body, signature and all.

        Args:
            body: The body.
            who: The credentials.
            moment: Now, in UTC and in the form of `MOMENT`.
        """
        headers = {**self._headers, "X-Amz-Date": moment}
        names, tail = ["x-amz-date"], self._tail
        if who.token:
            headers["X-Amz-Security-Token"] = who.token
            names.append("x-amz-security-token")
            tail = f"x-amz-security-token:{who.token}\n{tail}"
        signed = ";".join([*self._names[0], *names, *self._names[1]])
        canonical = f"{self._head}x-amz-date:{moment}\n{tail}\n{signed}\n{sha256(body).hexdigest()}"
        day, scope = moment[:8], self._scope
        where = f"{day}/{scope.region}/{scope.service}/aws4_request"
        digest = sha256(canonical.encode()).hexdigest()
        key = _signing_key(who.secret_key, day, scope)
        signature = _hmac(key, f"{ALGORITHM}\n{moment}\n{where}\n{digest}").hex()
        headers["Authorization"] = (
            f"{ALGORITHM} Credential={who.access_key}/{where}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )
        return headers


def _lines(headers: list[tuple[str, str]]) -> str:
    return "".join([f"{name}:{value}\n" for name, value in headers])


# A day of two services, and of the credentials that come after these.
@lru_cache(maxsize=8)
def _signing_key(secret: str, day: str, scope: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")
