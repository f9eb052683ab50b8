"""`ftq doctor`: each check finds the fault that it looks for, and says how to mend it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ftq.errors import CallRefused
from ftq.ports import Call, Reply
from ftq.testing import MemoryAws
from ftq.wire import create, queue
from ftq_cli.diagnosis.finding import Finding, Level
from ftq_cli.diagnosis.look import Look
from ftq_cli.diagnosis.wanted import Wanted, wanted_of
from ftq_cli.doctor import surroundings
from tests.unit.api.door import Door, dig
from tests.unit.api.dying import submitted
from tests.unit.cli.asking import ftq
from tests.unit.cli.diagnosis.awscli import calls
from tests.unit.cli.diagnosis.test_table import described
from tests.unit.client.bridge import Bridge, refused

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def wrong(findings: list[Finding]) -> list[str]:
    return [each.name for each in findings if each.ok is False]


def found(name: str, findings: list[Finding]) -> Finding:
    [one] = [each for each in findings if each.name == name]
    return one


class Described:
    """An account that also tells of its table, which the one in memory does not."""

    def __init__(self, inner: MemoryAws) -> None:
        self.inner = inner
        self.refuses = "DescribeTimeToLive"

    async def call(self, call: Call) -> Reply:
        if call.operation == "DescribeTable" and call.request["TableName"] == "tasks":
            return described()
        if call.operation == self.refuses:
            raise CallRefused(call.operation, "AccessDenied", "")
        return await self.inner.call(call)


def looked(wanted: Wanted, account: Described) -> tuple[list[Finding], int | None]:
    look = Look(account, wanted, daemon=False)
    overdue = asyncio.run(look.everything(NOW))
    return look.findings, overdue


def account() -> tuple[Described, dict[str, str]]:
    """Two queues, the second without a redrive policy, a dead-letter queue and a table."""
    inner = MemoryAws(lambda: int(NOW.timestamp() * 1000))

    async def story() -> dict[str, str]:
        dlq = str((await inner.call(create.queue("dead")))["QueueUrl"])
        arn = queue.read_attributes(await inner.call(queue.depth(dlq)))["QueueArn"]
        url = str((await inner.call(create.queue("main", arn)))["QueueUrl"])
        slow = str((await inner.call(create.queue("slow")))["QueueUrl"])
        await inner.call(create.table("tasks"))
        return {"main": url, "dead": dlq, "slow": slow}

    return Described(inner), asyncio.run(story())


def test_queues_and_table_are_looked_at_and_what_is_missing_is_named_with_what_creates_it() -> None:
    there, urls = account()
    wanted = Wanted(urls["main"], urls["dead"], "tasks", 30, 60, on_aws=False)
    findings, overdue = looked(wanted, there)
    assert (wrong(findings), overdue) == ([], 0)
    assert found("time to live", findings).level is Level.UNKNOWN
    assert found("point-in-time recovery", findings).level is Level.UNKNOWN
    there.refuses = "Query"
    assert looked(wanted, there)[1] is None, "nobody counted"
    gone = Wanted(urls["main"] + "x", urls["dead"] + "x", "other", 30, 60, on_aws=False)
    findings, overdue = looked(gone, there)
    assert (wrong(findings), overdue) == (["dead-letter queue", "queue", "table"], None)
    made = [call for each in findings if each.ok is False for call in calls(each.mend)]
    assert made == [create.queue("deadx"), create.queue("mainx"), create.table("other")]


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory) -> Bridge:
    for name in ("FTQ_QUEUE_URL", "FTQ_DLQ_URL", "FTQ_TABLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(str(tmp_path))
    return Bridge(Door())


def test_without_anyone_to_sweep_the_doctor_is_not_content(bridge: Bridge) -> None:
    submitted(bridge.door)
    ran = ftq(bridge, "doctor", "--json")
    assert (ran.code, ran.doc["ok"]) == (1, False)
    assert dig(ran.doc, "checks", 1, "name") == "API"
    sweeps = {"name": "somebody sweeps", "ok": False, "level": "wrong", "mend": "ftq daemon"}
    said = dig(ran.doc, "checks", -1)
    assert isinstance(said, dict)
    assert sweeps.items() <= said.items()
    people = ftq(bridge, "doctor").out
    assert "✓  API" in people
    assert "✗  somebody sweeps  no daemon has reported: run a daemon" in people
    assert "✗ somebody sweeps: to mend it\n  ftq daemon\n" in people


def test_an_api_that_is_not_there_is_a_finding(bridge: Bridge) -> None:
    bridge.faults = deque([refused] * 6)
    ran = ftq(bridge, "doctor")
    assert ran.code == 3
    assert "✗  API" in ran.out
    assert "check --api or FTQ_API_URL" in ran.out


@pytest.mark.parametrize(
    ("name", "value"),
    [("FTQ_QUEUES", "slow"), ("FTQ_RETENTION_DAYS", "long"), ("FTQ_QUEUES", "a=https://q*0")],
)
def test_a_setting_that_cannot_be_read_is_bad_usage(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    ran = ftq(bridge, "doctor")
    assert ran.code == 2
    assert name in ran.err


def test_the_queues_of_ftq_queues_are_looked_at_too() -> None:
    there, urls = account()
    named = {"FTQ_QUEUE_URL": urls["main"], "FTQ_DLQ_URL": urls["dead"], "FTQ_TABLE": "tasks"}
    slow = urls["slow"]
    wanted = wanted_of({**named, "FTQ_QUEUES": f"default*3 slow={slow} gone={slow}x*2"})
    assert wanted is not None
    findings, _ = looked(replace(wanted, on_aws=False), there)
    assert wrong(findings) == ["redrive policy, slow", "queue gone"]


def test_a_local_ftq_is_looked_at_unless_settings_name_another() -> None:
    up = {
        "queue_url": "q",
        "dlq_url": "d",
        "table": "t",
        "aws_endpoint_url": "http://127.0.0.1:1",
    }
    local = surroundings({"AWS_PROFILE": "prod", "HOME": "/h"}, up)
    assert (local["FTQ_QUEUE_URL"], local["AWS_ENDPOINT_URL"]) == ("q", "http://127.0.0.1:1")
    assert "AWS_PROFILE" not in local
    named = {"FTQ_QUEUE_URL": "mine", "AWS_PROFILE": "prod"}
    assert surroundings(named, up) == named
