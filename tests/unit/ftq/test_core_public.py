"""`ftq`: the names that users import are few, sorted, and change only on purpose."""

from __future__ import annotations

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


def test_no_other_name_but_modules_is_public() -> None:
    others = {name for name in vars(ftq) if not name.startswith("_")} - set(ftq.__all__)
    assert all(getattr(ftq, name).__name__ == f"ftq.{name}" for name in others)
