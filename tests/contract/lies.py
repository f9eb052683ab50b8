"""Where a stand-in does not do what AWS documents: each lie by name, in one table.

A test says what AWS does inside ``stage.truth("…")``. On a backend that is listed here for that
sentence the same lines must fail: the day they pass, the stand-in was mended and its line goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from ftq.errors import CallRefused

KNOWN_LIES: Final[dict[tuple[str, str], str]] = {
    ("ministack", "one batch may not name an item twice"): "applies both, one after the other",
    ("ministack", "deleting with a superseded handle reports success"): "answers an error",
    # AWS: "the request will succeed, but the message might not be deleted".
    ("localstack", "deleting with a superseded handle deletes nothing"): "deletes it",
    # AWS does not say; a receipt that is over changing another one would be the worse answer.
    ("localstack", "a superseded handle changes no visibility"): "changes it",
    ("localstack", "a sender's fault is called one"): "answers SenderFault false",
    ("ministack", "deleting twice reports success"): "answers an error",
    ("ministack", "a message whose timeout is over is not in flight"): "hides it again",
    ("localstack", "a message whose timeout is over is not in flight"): "hides it again",
    ("ministack", "a batch keeps the trace header"): "loses it; a single send keeps it",
    ("ministack", "a delay has an end"): "accepts more than 900 seconds",
    ("localstack", "a delay has an end"): "accepts more than 900 seconds",
    ("ministack", "a visibility timeout has an end"): "accepts more than 12 hours",
    ("localstack", "a visibility timeout has an end"): "accepts more than 12 hours",
    ("ministack", "a message has ten attributes at most"): "accepts eleven",
    ("localstack", "a message has ten attributes at most"): "accepts eleven",
    ("ministack", "an attribute is never empty"): "accepts the empty text",
    ("ministack", "attributes count toward the size"): "counts the body alone",
    ("localstack", "what SQS did not move has no source"): "fails with an AttributeError",
    ("ministack", "what SQS did not move has no source"): "has no StartMessageMoveTask",
    ("ministack", "dead letters can be moved by SQS"): "has no StartMessageMoveTask",
}


@contextmanager
def truth(backend: str, sentence: str) -> Iterator[None]:
    """What AWS does; fails on a backend that is known to lie about it and does not."""
    if (backend, sentence) not in KNOWN_LIES:
        yield
        return
    try:
        yield
    except (AssertionError, CallRefused, pytest.fail.Exception):
        return
    pytest.fail(f"{backend} no longer lies: “{sentence}” holds. Take it out of KNOWN_LIES.")
