"""Settings are bounded, held against each other, and refused with a line that says why."""

from __future__ import annotations

import pytest

from ftq import Registry, SettingsError, Tick
from ftq.settings import read
from ftq_daemon.aws.clients import region_of
from ftq_daemon.checks import check_schedules
from ftq_daemon.settings import DaemonSettings

GOOD = {
    "FTQ_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/tasks",
    "FTQ_DLQ_URL": "https://sqs.eu-west-1.amazonaws.com/1/dlq",
    "FTQ_TABLE": "tasks",
    "FTQ_HANDLERS": "shop.tasks:registry",
}


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = read(DaemonSettings, GOOD)
    assert settings.concurrency == 64
    assert settings.visibility_seconds == 60
    assert settings.drain_seconds == 30
    assert settings.stop_timeout_seconds == 120
    assert settings.health_port == 8081
    assert settings.retention_days == 30
    assert settings.sweep_grace_seconds == 900
    assert settings.crash_limit == 3
    assert settings.aws_client == "hot"


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("FTQ_CONCURRENCY", "0", "greater than or equal to 1"),
        ("FTQ_CONCURRENCY", "many", "valid integer"),
        ("FTQ_VISIBILITY_SECONDS", "7", "greater than or equal to 8"),
        ("FTQ_VISIBILITY_SECONDS", "43201", "less than or equal to 43200"),
        ("FTQ_HEALTH_PORT", "65536", "less than or equal to 65535"),
        ("FTQ_POOL_PROCESSES", "0", "greater than or equal to 1"),
        ("FTQ_CRASH_LIMIT", "1", "greater than or equal to 2"),
        ("FTQ_AWS_CLIENT", "boto", "'hot' or 'aiobotocore'"),
        ("FTQ_QUEUE_URL", "tasks", "URL"),
        ("FTQ_TABLE", "a", "pattern"),
        ("FTQ_HANDLERS", "shop.tasks", "pattern"),
        ("FTQ_LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
    ],
)
def test_a_bad_setting_is_one_line_with_key_value_and_limit(
    key: str, value: str, limit: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read(DaemonSettings, {**GOOD, key: value})
    (line,) = refused.value.problems
    assert line.startswith(f"{key}={value!r}: ")
    assert limit in line


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        read(DaemonSettings, {"FTQ_CONCURRENCY": "-1"})
    told = [line.split("=")[0].split(" ")[0] for line in refused.value.problems]
    assert told == [
        "FTQ_QUEUE_URL",
        "FTQ_DLQ_URL",
        "FTQ_TABLE",
        "FTQ_HANDLERS",
        "FTQ_CONCURRENCY",
    ]


def test_the_lower_bound_of_the_slots_is_at_most_the_upper() -> None:
    assert read(DaemonSettings, GOOD).concurrency_min is None, "fixed unless it is asked for"
    assert read(DaemonSettings, {**GOOD, "FTQ_CONCURRENCY_MIN": "64"}).concurrency_min == 64
    problem = "FTQ_CONCURRENCY_MIN=65: must be at most FTQ_CONCURRENCY=64"
    with pytest.raises(SettingsError, match=problem):
        read(DaemonSettings, {**GOOD, "FTQ_CONCURRENCY_MIN": "65"})
    with pytest.raises(SettingsError, match=r"FTQ_CONCURRENCY_MIN='0': .* greater than"):
        read(DaemonSettings, {**GOOD, "FTQ_CONCURRENCY_MIN": "0"})


def test_a_stop_that_cannot_fit_the_stop_timeout_is_refused() -> None:
    with pytest.raises(SettingsError, match="FTQ_STOP_TIMEOUT_SECONDS=60: stopping may take 75 s"):
        read(DaemonSettings, {**GOOD, "FTQ_STOP_TIMEOUT_SECONDS": "60", "FTQ_DRAIN_SECONDS": "60"})


def test_a_receive_counts_in_the_stop_budget() -> None:
    with pytest.raises(SettingsError, match="FTQ_STOP_TIMEOUT_SECONDS=17: stopping may take 27 s"):
        read(
            DaemonSettings,
            {
                **GOOD,
                "FTQ_STOP_TIMEOUT_SECONDS": "17",
                "FTQ_DRAIN_SECONDS": "2",
                "FTQ_WAIT_SECONDS": "2",
            },
        )


def test_a_queue_is_not_its_own_dead_letter_queue() -> None:
    with pytest.raises(SettingsError, match=r"FTQ_DLQ_URL=.*must be another queue"):
        read(DaemonSettings, {**GOOD, "FTQ_DLQ_URL": GOOD["FTQ_QUEUE_URL"]})


@pytest.mark.parametrize(("key", "value"), [("FTQ_TRACING", "banana"), ("FTQ_PROCESSES", "-4")])
def test_what_this_version_cannot_do_is_refused(key: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{key}='{value}': "):
        read(DaemonSettings, {**GOOD, key: value})


def test_the_region_is_the_one_set_or_the_queues() -> None:
    assert region_of(GOOD["FTQ_QUEUE_URL"], None) == "eu-west-1"
    assert region_of(GOOD["FTQ_QUEUE_URL"], "ap-south-1") == "ap-south-1"
    assert region_of("http://127.0.0.1:4566/0/tasks", None) == "us-east-1"


def test_a_schedule_on_a_queue_that_is_not_served_is_refused_at_the_start() -> None:
    registry = Registry()

    @registry.every("0 3 * * *")
    @registry.handler("report", queue="bulk")
    async def report(_: Tick) -> None: ...

    with pytest.raises(SettingsError, match="report is scheduled on 'bulk'; there is default"):
        check_schedules(read(DaemonSettings, GOOD), registry)
    served = {**GOOD, "FTQ_QUEUES": "bulk=https://sqs.eu-west-1.amazonaws.com/1/bulk"}
    check_schedules(read(DaemonSettings, served), registry)
