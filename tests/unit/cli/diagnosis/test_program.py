"""Clocks, sweeps and a daemon's own settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ftq_cli.diagnosis import program
from ftq_cli.diagnosis.finding import Level
from ftq_cli.diagnosis.wanted import wanted_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAEMON = {
    "FTQ_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/1/q",
    "FTQ_DLQ_URL": "https://sqs.eu-central-1.amazonaws.com/1/d",
    "FTQ_TABLE": "tasks",
    "FTQ_HANDLERS": "app:registry",
}


@pytest.mark.parametrize(
    ("ahead", "ok"), [(0, True), (9, True), (-9, True), (11, False), (-400, False)]
)
def test_clocks_that_differ_are_told(ahead: float, ok: bool) -> None:
    assert program.skew(NOW, NOW + timedelta(seconds=ahead)).ok is ok
    assert program.skew(None, NOW).level is Level.UNKNOWN


@pytest.mark.parametrize(
    ("daemons", "overdue", "ok"),
    [
        (2, 0, True),
        (1, 5, True),
        (0, 0, None),
        (0, 3, False),
        (0, None, False),
        (None, 3, False),
        (None, None, None),
    ],
)
def test_somebody_has_to_sweep(daemons: int | None, overdue: int | None, ok: bool | None) -> None:
    assert program.sweeps(daemons, overdue, None).ok is ok


def test_who_is_to_sweep_is_a_service_of_the_stack_or_a_daemon_here() -> None:
    assert program.sweeps(0, 1, None).mend == "ftq daemon"
    assert "--service tasks --desired-count 1" in program.sweeps(0, 1, "tasks").mend


def test_a_daemons_settings_are_looked_at_where_they_are() -> None:
    (unset,) = program.settings({})
    (good,) = program.settings(DAEMON)
    assert (unset.level, good.level) == (Level.UNKNOWN, Level.RIGHT)
    bad = {"FTQ_CONCURRENCY": "0", "FTQ_VISIBILITY_SECONDS": "3"}
    faults = program.settings({**DAEMON, **bad})
    assert [each.detail.split("=")[0] for each in faults] == [*bad]
    traced = {"FTQ_TRACING": "xray", "AWS_XRAY_DAEMON_ADDRESS": "here"}
    (fault,) = program.settings({**DAEMON, **traced})
    assert (fault.level, "AWS_XRAY_DAEMON_ADDRESS" in fault.detail) == (Level.WRONG, True)


@pytest.mark.parametrize(
    ("url", "on_aws"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/1/q", True),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", True),
        ("http://127.0.0.1:4566/000000000000/q", False),
        ("http://amazonaws.com.example.org/q", False),
    ],
)
def test_what_is_aws_and_what_stands_in_for_it_is_told_by_the_queues_url(
    url: str, on_aws: bool
) -> None:
    wanted = wanted_of({**DAEMON, "FTQ_QUEUE_URL": url})
    assert wanted is not None
    assert wanted.on_aws is on_aws
