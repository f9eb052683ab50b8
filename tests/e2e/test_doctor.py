"""`ftq doctor` on the embedded AWS: what it says is wrong is mended by the commands it says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ftq.ports import Call, Request
from ftq.wire import create, queue
from ftq_cli.diagnosis.finding import Finding, Level
from ftq_cli.diagnosis.look import Look
from ftq_cli.diagnosis.wanted import Wanted
from ftq_cli.environment import embedded
from ftq_cli.resources import Aws
from tests.backends import SEEN, started
from tests.unit.cli.diagnosis.awscli import calls

pytestmark = pytest.mark.e2e

BARE: Request = {
    "TableName": "bare",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
}


@pytest.fixture
def aws(pytestconfig: pytest.Config) -> Iterator[Aws]:
    with started("ministack", pytestconfig.stash[SEEN]) as endpoint:
        yield Aws(embedded(os.environ, endpoint))


async def findings(aws: Aws, wanted: Wanted) -> list[Finding]:
    look = Look(aws, wanted, daemon=True)
    await look.everything(datetime.now(UTC))
    return look.findings


def faults(found: list[Finding]) -> list[Finding]:
    return [each for each in found if each.level in (Level.WRONG, Level.WARNING)]


async def test_queues_and_a_table_that_somebody_made_by_hand_are_mended_by_what_doctor_says(
    aws: Aws,
) -> None:
    dlq = str((await aws.call(Call("sqs", "CreateQueue", {"QueueName": "dead"})))["QueueUrl"])
    arn = queue.read_attributes(await aws.call(queue.depth(dlq)))["QueueArn"]
    policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 3}}'
    bare: Request = {"QueueName": "bare", "Attributes": {"RedrivePolicy": policy}}
    url = str((await aws.call(Call("sqs", "CreateQueue", bare)))["QueueUrl"])
    await aws.call(Call("dynamodb", "CreateTable", BARE))
    # Judged as AWS's own would be.
    wanted = Wanted(url, dlq, "bare", 30, 60, on_aws=True)

    found = faults(await findings(aws, wanted))
    assert {each.name for each in found} >= {
        "redrive policy",
        "retention",
        "TLS only",
        "dead-letter TLS only",
        "index",
        "time to live",
        "point-in-time recovery",
        "deletion protection",
    }
    for each in found:
        for call in calls(each.mend):
            await aws.call(call)

    mended = await findings(aws, wanted)
    assert faults(mended) == []
    tried = next(each for each in mended if each.name == "permissions, table")
    operations = ("GetItem", "BatchGetItem", "Query", "PutItem", "DeleteItem", "PartiQLUpdate")
    assert tried.detail.split() == [f"dynamodb:{each}" for each in operations]
    described = await aws.call(Call("dynamodb", "DescribeTable", {"TableName": "bare"}))
    table = described["Table"]
    assert isinstance(table, dict)
    assert table["ItemCount"] == 0, "the looks left nothing behind"


async def test_what_is_missing_is_created_by_what_doctor_says(aws: Aws) -> None:
    there = await aws.call(create.queue("here"))
    here = str(there["QueueUrl"])
    wanted = Wanted(f"{here}-1", f"{here}-2", "gone", 30, 60, on_aws=False)
    missing = [each for each in await findings(aws, wanted) if each.level is Level.WRONG]
    assert [each.name for each in missing] == ["dead-letter queue", "queue", "table"]
    for each in missing:
        for call in calls(each.mend):
            await aws.call(call)
    left = [each.name for each in await findings(aws, wanted) if each.level is Level.WRONG]
    assert left == ["redrive policy", "time to live"]
