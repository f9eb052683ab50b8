"""`ftq`: the names that users import are few, sorted, and change only on purpose."""

from __future__ import annotations

import pytest

import ftq

NAMES = [
    "BreakerPolicy",
    "CallError",
    "CallRefused",
    "Context",
    "FtqError",
    "Handler",
    "HandlerSignal",
    "IllegalTransition",
    "InvalidField",
    "KeyConflict",
    "Next",
    "NextSync",
    "PayloadTooLarge",
    "Registry",
    "RegistryError",
    "Reject",
    "Retry",
    "RetryPolicy",
    "SettingsError",
    "SubmissionError",
    "Throttled",
    "Tick",
    "Unavailable",
]


def test_the_public_names_are_pinned_and_sorted() -> None:
    assert ftq.__all__ == NAMES == sorted(NAMES)


def test_every_public_name_is_there_and_explained() -> None:
    for name in ftq.__all__:
        assert getattr(ftq, name).__doc__, name


def test_no_other_name_is_shown() -> None:
    assert dir(ftq) == NAMES


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Regsitry'"):
        getattr(ftq, "Regsitry")  # noqa: B009 - mypy would see it
