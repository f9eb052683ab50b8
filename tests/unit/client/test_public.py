"""`ftq.client`: what users import from it changes only on purpose."""

from __future__ import annotations

import inspect

import ftq.client
from ftq.client import AsyncClient, Client, Options

NAMES = [
    "Accepted",
    "ApiError",
    "AsyncClient",
    "AsyncSubmitter",
    "Breaker",
    "Cancelled",
    "Client",
    "ClientError",
    "Conflict",
    "Count",
    "Daemon",
    "DeadLetters",
    "Denied",
    "Depth",
    "Group",
    "Health",
    "HistoryEntry",
    "Hour",
    "InvalidField",
    "KeyConflict",
    "KeyTaken",
    "LastError",
    "NewTask",
    "NotFound",
    "Options",
    "PayloadTooLarge",
    "Redriven",
    "Refused",
    "Results",
    "SigV4",
    "Stats",
    "StillOpen",
    "SubmissionError",
    "Submitter",
    "Task",
    "TaskFailed",
    "TooLarge",
    "Trend",
    "Unreachable",
]

METHODS = [
    "bind",
    "cancel",
    "close",
    "dead_letters",
    "get",
    "health",
    "list",
    "redrive",
    "redrive_all",
    "stats",
    "submit",
    "submit_many",
    "wait",
    "walk",
]


def public(of: type) -> list[str]:
    return sorted(name for name, _ in inspect.getmembers(of) if not name.startswith("_"))


def test_the_public_names_are_pinned_and_sorted() -> None:
    assert ftq.client.__all__ == NAMES == sorted(NAMES)


def test_every_public_name_is_there_and_explained() -> None:
    for name in ftq.client.__all__:
        assert getattr(ftq.client, name).__doc__, name


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    assert public(Client) == public(AsyncClient) == METHODS
    for name in METHODS:
        one = inspect.signature(getattr(Client, name)).parameters
        other = inspect.signature(getattr(AsyncClient, name)).parameters
        assert {each: (p.kind, p.default) for each, p in one.items() if each != "progress"} == {
            each: (p.kind, p.default) for each, p in other.items() if each != "progress"
        }, name


def test_the_options_of_a_submission_are_pinned() -> None:
    assert list(Options.__annotations__) == [
        "key",
        "delay_seconds",
        "not_before",
        "tenant",
        "correlation_id",
        "queue",
    ]
