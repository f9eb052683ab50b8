"""From an outcome to what it says: a document, or an error of the tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from ftq.client.answers import Answer
from ftq.client.exchange import KEY, PASSING, Ask, Exchanged, Lost, Outcome
from ftq.errors import (
    ApiError,
    Conflict,
    Denied,
    KeyTaken,
    NotFound,
    Refused,
    TooLarge,
    Unreachable,
)
from ftq.text import Document

A = TypeVar("A", bound=Answer)
STRANGER = "what answers there is not ftq's API"


def read(model: type[A], done: Exchanged) -> A:
    """The answer to a request.

    Raises:
        ClientError: There is none, or it is a problem.
    """
    document = document_of(done.ask, done.outcome)
    try:
        return model.of(document)
    except ValidationError:
        # Not its words: they may quote a payload.
        raise Unreachable(STRANGER, 0, done.ask.headers.get(KEY)) from None


def document_of(ask: Ask, outcome: Outcome) -> Document:
    """The document that answers a request.

    Raises:
        ClientError: There is none, or it is a problem.
    """
    key = ask.headers.get(KEY)
    if isinstance(outcome, Lost):
        raise Unreachable(outcome.why, 0, key)
    document = outcome.document()
    if outcome.status < 300 and document is not None:
        return document
    if outcome.status in PASSING:
        said = document or {}
        words = said.get("title") or said.get("message") or "no answer of ftq's API"
        raise Unreachable(f"{outcome.status} {words}", outcome.status, key)
    if outcome.status < 400 or (document is None and outcome.status not in (401, 403)):
        raise Unreachable(f"{outcome.status}: {STRANGER}", outcome.status, key)
    raise problem(outcome.status, document or {}, len(ask.body or b""))


def problem(status: int, document: Mapping[str, object], size: int = 0) -> ApiError:
    """The error that a problem document stands for.

    Args:
        status: The HTTP status.
        document: The document; what stands before the API has its own kind.
        size: Bytes of the request.
    """
    if "title" not in document and "message" in document:
        document = {**document, "title": document["message"]}
    match status:
        case 401 | 403:
            return Denied(status, document)
        case 404:
            return NotFound(status, document)
        case 409 if str(document.get("type", "")).endswith(":key-conflict"):
            return KeyTaken(status, document)
        case 409:
            return Conflict(status, document)
        case 413:
            return TooLarge(status, document, size)
        case 400 | 422:
            return Refused(status, document, _faults(document))
        case _:
            return ApiError(status, document)


def _faults(document: Mapping[str, object]) -> list[tuple[str, str]]:
    errors = document.get("errors")
    return [
        (str(each.get("field", "")), str(each.get("message", "")))
        for each in (errors if isinstance(errors, list) else ())
        if isinstance(each, dict)
    ]
