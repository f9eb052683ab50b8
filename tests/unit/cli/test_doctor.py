"""`ftq doctor`: each check finds the fault that it looks for, and says how to mend it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from ftq.errors import CallRefused
from ftq.ports import Call, Reply
from ftq.testing import MemoryAws
from ftq.wire import create, queue
from ftq_cli import checks
from ftq_cli.checks import Finding, Wanted
from ftq_cli.doctor import aws, surroundings, wanted_of
from tests.unit.api.door import Door, dig
from tests.unit.api.dying import submitted
from tests.unit.cli.asking import ftq
from tests.unit.client.bridge import Bridge, refused

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
WANTED = Wanted("https://q/main", "https://q/dead", "tasks", 30, 60)
ARN = "arn:aws:sqs:us-east-1:0:dead"
POLICY = '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:0:dead", "maxReceiveCount": 1000}'
QUEUE = {"VisibilityTimeout": "30", "MessageRetentionPeriod": "1209600", "RedrivePolicy": POLICY}
DLQ = {"QueueArn": ARN, "MessageRetentionPeriod": "1209600"}


def wrong(findings: list[Finding]) -> list[str]:
    return [each.name for each in findings if each.ok is False]


def found(name: str, findings: list[Finding]) -> Finding:
    [one] = [each for each in findings if each.name == name]
    return one


def test_what_is_right_is_found_right() -> None:
    assert {each.ok for each in checks.queues(WANTED, QUEUE, DLQ)} == {True}


@pytest.mark.parametrize(
    ("wanted", "queue_has", "dlq_has", "name", "remedy"),
    [
        (Wanted("q", "q", "t", 30, 60), QUEUE, DLQ, "queues differ", "each dead letter"),
        (WANTED, {**QUEUE, "RedrivePolicy": "{}"}, DLQ, "redrive policy", "set its RedrivePolicy"),
        (WANTED, QUEUE, {**DLQ, "QueueArn": "arn:other"}, "redrive policy", "is not FTQ_DLQ_URL's"),
        (Wanted("a", "b", "t", 28, 60), QUEUE, DLQ, "retention", "must be more than"),
        (Wanted("a", "b", "t", 30, 7), QUEUE, DLQ, "visibility timeout", "at least 8"),
    ],
)
def test_a_fault_of_the_queues_is_found(
    wanted: Wanted,
    queue_has: Mapping[str, str],
    dlq_has: Mapping[str, str],
    name: str,
    remedy: str,
) -> None:
    findings = checks.queues(wanted, queue_has, dlq_has)
    assert wrong(findings) == [name]
    assert remedy in found(name, findings).detail


@pytest.mark.parametrize(
    ("ahead", "ok"), [(0, True), (9, True), (-9, True), (11, False), (-400, False)]
)
def test_clocks_that_differ_are_told(ahead: float, ok: bool) -> None:
    assert checks.skew(NOW, NOW + timedelta(seconds=ahead)).ok is ok
    assert checks.skew(None, NOW).ok is None


@pytest.mark.parametrize(
    ("status", "attribute", "ok"),
    [
        ("ENABLED", "expires_at", True),
        ("ENABLING", "expires_at", True),
        ("ENABLED", "ttl", False),
        ("DISABLED", None, False),
    ],
)
def test_the_time_to_live_is_told(status: str, attribute: str | None, ok: bool) -> None:
    said = {"TimeToLiveStatus": status, "AttributeName": attribute}
    assert checks.ttl({"TimeToLiveDescription": said}).ok is ok


def described(**changed: object) -> dict[str, object]:
    request = create.table("tasks").request
    indexes = request["GlobalSecondaryIndexes"]
    assert isinstance(indexes, list)
    return {"Table": {"GlobalSecondaryIndexes": [{**indexes[0], **changed}]}}


def test_the_index_that_we_create_is_right() -> None:
    assert checks.index(described()).ok is True
    assert checks.index(described(Projection={"ProjectionType": "ALL"})).ok is True


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        ({"IndexName": "other"}, "has no index by_bucket"),
        ({"Projection": {"ProjectionType": "KEYS_ONLY"}}, "does not project"),
        ({"KeySchema": [{"AttributeName": "bucket"}]}, "must have the keys"),
    ],
)
def test_a_fault_of_the_index_is_found(changed: dict[str, object], remedy: str) -> None:
    finding = checks.index(described(**changed))
    assert finding.ok is False
    assert remedy in finding.detail


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
    assert checks.sweeps(daemons, overdue).ok is ok


class Described:
    """An account that also tells of its table, which the one in memory does not."""

    def __init__(self, inner: MemoryAws) -> None:
        self.inner = inner

    async def call(self, call: Call) -> Reply:
        if call.operation == "DescribeTable":
            return described()
        if call.operation == "DescribeTimeToLive":
            raise CallRefused(call.operation, "AccessDenied", "")
        return await self.inner.call(call)


def test_queues_and_table_are_looked_at_and_what_is_missing_is_named() -> None:
    async def story() -> None:
        account = MemoryAws(lambda: int(NOW.timestamp() * 1000))
        dlq = str((await account.call(create.queue("dead")))["QueueUrl"])
        arn = queue.read_attributes(await account.call(queue.depth(dlq)))["QueueArn"]
        url = str((await account.call(create.queue("main", arn)))["QueueUrl"])
        await account.call(create.table("tasks"))
        findings, overdue = await aws(Described(account), Wanted(url, dlq, "tasks", 30, 60), NOW)
        assert (wrong(findings), overdue) == ([], 0)
        findings, _ = await aws(Described(account), Wanted(url + "x", dlq, "tasks", 30, 60), NOW)
        assert wrong(findings) == ["queue"]

    asyncio.run(story())


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
    assert dig(ran.doc, "checks", 0, "name") == "API"
    people = ftq(bridge, "doctor").out
    assert "✓ API" in people
    assert "✗ somebody sweeps  no daemon has reported: run a daemon" in people


def test_an_api_that_is_not_there_is_a_finding(bridge: Bridge) -> None:
    bridge.faults = deque([refused] * 6)
    ran = ftq(bridge, "doctor")
    assert ran.code == 3
    assert "✗ API" in ran.out
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


def test_the_queues_of_ftq_queues_are_looked_at_too(
    monkeypatch: pytest.MonkeyPatch, bridge: Bridge
) -> None:
    async def story() -> None:
        account = MemoryAws(lambda: int(NOW.timestamp() * 1000))
        dlq = str((await account.call(create.queue("dead")))["QueueUrl"])
        arn = queue.read_attributes(await account.call(queue.depth(dlq)))["QueueArn"]
        url = str((await account.call(create.queue("main", arn)))["QueueUrl"])
        slow = str((await account.call(create.queue("slow")))["QueueUrl"])
        await account.call(create.table("tasks"))
        named = {"FTQ_QUEUE_URL": url, "FTQ_DLQ_URL": dlq, "FTQ_TABLE": "tasks"}
        wanted = wanted_of({**named, "FTQ_QUEUES": f"default*3 slow={slow} gone={slow}x*2"})
        assert wanted is not None
        findings, _ = await aws(Described(account), wanted, NOW)
        assert wrong(findings) == ["redrive policy, slow", "queue gone"]

    asyncio.run(story())


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
