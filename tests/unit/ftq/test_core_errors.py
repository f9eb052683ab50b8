"""`ftq.errors`: one tree, and what each error carries."""

from __future__ import annotations

import inspect
import re

import pytest

from ftq import errors
from ftq.errors import (
    CallError,
    CallRefused,
    FtqError,
    HandlerSignal,
    InvalidField,
    PayloadTooLarge,
    Reject,
    Retry,
    SettingsError,
    Throttled,
    Unavailable,
)
from ftq.limits import DELAY_SECONDS

CLASSES = {
    name: each
    for name, each in vars(errors).items()
    if inspect.isclass(each) and issubclass(each, Exception)
}


def drawn() -> dict[str, str]:
    """Each class of the tree in the module's docstring, with the one above it."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    line = re.compile(r"^([ │├└─]*)\b([A-Z]\w+)(?:  |$)", re.MULTILINE)
    for match in line.finditer(errors.__doc__ or ""):
        depth, name = len(match[1]), match[2]
        while path and path[-1][0] >= depth:
            path.pop()
        found[name] = path[-1][1] if path else "Exception"
        path.append((depth, name))
    return found


def test_the_tree_that_is_drawn_is_the_tree_that_is() -> None:
    assert drawn() == {name: each.__bases__[0].__name__ for name, each in CLASSES.items()}


def test_what_a_handler_says_on_purpose_is_no_error_of_ours() -> None:
    assert not issubclass(HandlerSignal, FtqError)


@pytest.mark.parametrize("after", [-0.1, DELAY_SECONDS + 1, float("nan"), float("inf")])
def test_a_retry_out_of_bounds_is_refused(after: float) -> None:
    with pytest.raises(ValueError, match="after="):
        Retry(after)


@pytest.mark.parametrize("after", [None, 0, 0.5, DELAY_SECONDS])
def test_a_retry_keeps_what_was_wished(after: float | None) -> None:
    wish = Retry(after, counts=False, reason="busy")
    assert (wish.after, wish.counts, str(wish)) == (after, False, "busy")


def test_a_retry_counts_unless_it_says_otherwise() -> None:
    assert Retry().counts
    assert str(Retry())


def test_a_rejection_keeps_its_reason() -> None:
    assert str(Reject("no such user")) == "no such user"
    assert str(Reject())


@pytest.mark.parametrize("kind", [CallError, Throttled, Unavailable, CallRefused])
def test_an_aws_call_that_failed_names_operation_code_and_words(kind: type[CallError]) -> None:
    error = kind("PutItem", "SlowDown", "later")
    assert (error.operation, error.code) == ("PutItem", "SlowDown")
    assert str(error) == "PutItem: SlowDown: later"


def test_a_refused_call_keeps_the_item_that_stood_in_the_way() -> None:
    assert CallRefused("PutItem", "C", "m", {"id": {"S": "a"}}).item == {"id": {"S": "a"}}
    assert CallRefused("PutItem", "C", "m").item is None


def test_faults_of_fields_and_settings_are_kept_and_shown() -> None:
    assert str(InvalidField([("a.b", "is wrong"), ("c", "is missing")])) == (
        "a.b: is wrong; c: is missing"
    )
    assert str(SettingsError(["one", "two"])) == "one\ntwo"
    assert str(PayloadTooLarge(5, 4)) == "the payload has 5 bytes of UTF-8, the limit is 4"
