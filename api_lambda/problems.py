"""Every problem that the API answers with (RFC 9457). This table is the rule.

A problem never quotes a payload, a stored record or what AWS said. The words of a validator that
a user wrote may do: what looks like a secret in them is redacted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from typing_extensions import TypedDict

from api_lambda.http import Response
from ftq.lifecycle import State
from ftq.redaction import USUAL, Names, redact_text

# Problems with more fields than this say so for the first ones only.
ERRORS: Final = 50
# As characters of the answer, where one that is not ASCII takes six or twelve.
FIELD_CHARS: Final = 200
MESSAGE_CHARS: Final = 500
# More than is shown, so that nothing is cut where a secret would no longer be known.
READ_CHARS: Final = 4096
MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: what is equal in all its occurrences.

    Attributes:
        status: The HTTP status.
        slug: The last part of its ``type``, for programs to tell problems apart.
        title: The same for people.
    """

    status: int
    slug: str
    title: str

    @property
    def type(self) -> str:
        """What its documents say in ``type``."""
        return f"urn:ftq:problem:{self.slug}"


class Fault(TypedDict):
    """What is wrong with one field.

    Attributes:
        field: Its dotted path, the name of a header or parameter, or '' for the whole body.
        message: What is wrong with it.
    """

    field: str
    message: str


class Members(TypedDict, total=False):
    """What some kinds of problem say besides.

    Attributes:
        id: The task that is meant.
        state: The state in which it is.
        claim_no: Its number of claims.
        idempotency_key: The key to repeat the request with.
        errors: What is wrong with each field.
    """

    id: str
    state: State
    claim_no: int
    idempotency_key: str
    errors: list[Fault]


class ProblemDocument(Members):
    """A problem document (RFC 9457).

    Attributes:
        type: The kind of problem, for programs.
        title: The same, for people.
        status: The HTTP status.
        detail: What is wrong this time.
    """

    type: str
    title: str
    status: int
    detail: str


NOT_JSON: Final = Kind(400, "not-json", "The body is not acceptable JSON")
FOREIGN: Final = Kind(400, "unknown-event", "The event is not of payload format 2.0")
NO_TASK: Final = Kind(404, "no-such-task", "There is no such task")
NO_ROUTE: Final = Kind(404, "no-such-route", "There is nothing here")
METHOD: Final = Kind(405, "method-not-allowed", "This method is not allowed here")
KEY_CONFLICT: Final = Kind(409, "key-conflict", "The idempotency key stands for another task")
ALREADY_FINAL: Final = Kind(409, "already-final", "The task has already ended")
NOT_DEAD: Final = Kind(409, "not-dead", "The task is not dead")
TOO_LARGE: Final = Kind(413, "too-large", "The payload is too large")
ENCODED: Final = Kind(415, "encoded-body", "The body is compressed, or encoded otherwise")
INVALID: Final = Kind(422, "invalid", "Some fields are not valid")
BUG: Final = Kind(500, "internal", "Something went wrong here")
UNAVAILABLE: Final = Kind(503, "unavailable", "The service is not available for now")
NOT_STORED: Final = Kind(503, "not-known-to-be-stored", "The task is not known to be stored")

RETRY_AFTER: Final[Mapping[str, str]] = {"retry-after": "2"}


class Problem(Exception):  # RFC 9457 calls it so
    """A request that ends in a problem document."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        members: Members | None = None,
    ) -> None:
        """Keep what this occurrence says.

        Args:
            kind: What kind it is.
            detail: What is wrong this time.
            errors: One (field, what is wrong) pair for each field.
            headers: Headers of the response.
            members: More members of the document.
        """
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers or {}
        self.members: Members = members or {}

    def response(self, names: Names = USUAL) -> Response:
        """The response that says so; `names` are secret beside the usual ones."""
        return Response(self.kind.status, self.document(names=names), self.headers, MEDIA_TYPE)

    def document(self, most: int = ERRORS, names: Names = USUAL) -> ProblemDocument:
        """The problem document, with at most so many of its errors."""
        document: ProblemDocument = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": redact_text(self.detail, names),
            **self.members,
        }
        if self.errors:
            document["errors"] = [
                {
                    "field": _cut(redact_text(field, names, READ_CHARS), FIELD_CHARS),
                    "message": _cut(redact_text(message, names, READ_CHARS), MESSAGE_CHARS),
                }
                for field, message in self.errors[:most]
            ]
        return document


def invalid(*errors: tuple[str, str]) -> Problem:
    """The problem of fields that are not valid."""
    names = ", ".join(dict.fromkeys(field or "the body" for field, _ in errors[:ERRORS]))
    return Problem(INVALID, _cut(f"Not valid: {names}.", MESSAGE_CHARS), errors=errors)


def _cut(text: str, most: int) -> str:
    """A text that takes at most so many characters of an answer."""
    cut = text[:most]
    if cut.isascii() and cut.isprintable():
        return cut
    while len(json.dumps(cut)) - 2 > most:
        cut = cut[: len(cut) * 3 // 4]
    return cut
