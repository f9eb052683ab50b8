"""Permissions are told by AWS's refusals; what cannot be tried is not claimed."""

from __future__ import annotations

import asyncio
import json
import shlex

import pytest

from ftq.errors import CallRefused
from ftq.lifecycle import State
from ftq.ports import Call, Reply
from ftq.task import bucket_in
from ftq.testing import MemoryAws
from ftq.wire import create, index
from ftq_cli.diagnosis.finding import Level
from ftq_cli.diagnosis.permissions import Tried, granting, judged, of_queue, of_table, tried
from tests.unit.cli.diagnosis.awscli import call

ARN = "arn:aws:dynamodb:us-east-1:1:table/tasks"
WHO = "User: arn:aws:sts::1:assumed-role/daemon-role/i-1 is not authorized to perform: x"
TABLE = of_table("tasks", index.page("tasks", bucket_in(0, State.QUEUED), 1))


class Denying:
    """An account that does not allow some operations."""

    def __init__(self, *denied: str) -> None:
        self.inner = MemoryAws(lambda: 0)
        self.denied = denied

    async def call(self, call: Call) -> Reply:
        if call.operation in self.denied:
            raise CallRefused(call.operation, "AccessDeniedException", WHO)
        return await self.inner.call(call)


def asked(*denied: str) -> tuple[Tried, Tried, int]:
    """What is found of table and queue, and how many items and messages there are after it."""

    async def story() -> tuple[Tried, Tried, int]:
        account = Denying(*denied)
        url = str((await account.call(create.queue("main")))["QueueUrl"])
        await account.call(create.table("tasks"))
        found = await tried(account, TABLE), await tried(account, of_queue(url))
        count = await account.call(Call("dynamodb", "DescribeTable", {"TableName": "tasks"}))
        left = count["Table"]
        assert isinstance(left, dict)
        return *found, left["ItemCount"]

    return asyncio.run(story())


def test_what_can_be_tried_without_harm_is_and_leaves_nothing_behind() -> None:
    table, queue, items = asked()
    assert table.lacks == queue.lacks == []
    reads = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"]
    assert table.has == [*reads, "dynamodb:PartiQLUpdate"]
    # This account does not know the condition of the other two, and says so: that proves nothing.
    assert table.open == ["dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:PartiQLInsert"]
    # AWS may look at the handle before it looks at who asks.
    assert (queue.has, len(queue.open)) == ([], 4)
    assert items == 0


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("PutItem", "dynamodb:PutItem"),
        ("ExecuteStatement", "dynamodb:PartiQLUpdate"),
        ("Query", "dynamodb:Query"),
    ],
)
def test_a_refusal_on_the_table_is_told(operation: str, action: str) -> None:
    table, _, _ = asked(operation)
    assert table.lacks == [action]
    assert action not in table.has + table.open


def test_a_refusal_on_the_queue_is_told() -> None:
    _, queue, _ = asked("DeleteMessage", "SendMessageBatch")
    assert queue.lacks == ["sqs:SendMessage", "sqs:DeleteMessage"]


@pytest.mark.parametrize(("daemon", "level"), [(True, Level.WRONG), (False, Level.WARNING)])
def test_what_a_person_may_not_do_is_a_warning_and_what_a_daemon_may_not_is_wrong(
    daemon: bool, level: Level
) -> None:
    found = Tried(lacks=["dynamodb:PutItem"], said=WHO)
    (finding,) = judged("table", [ARN], found, daemon=daemon)
    assert (finding.level, finding.name) == (level, "permissions, table")


def test_the_command_allows_to_whom_aws_refused_what_it_refused() -> None:
    words = shlex.split(granting(["dynamodb:PutItem"], [ARN, f"{ARN}/index/*"], WHO))
    made = call(words)
    assert (made.operation, made.request["RoleName"]) == ("PutRolePolicy", "daemon-role")
    (statement,) = json.loads(str(made.request["PolicyDocument"]))["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Action": ["dynamodb:PutItem"],
        "Resource": [ARN, f"{ARN}/index/*"],
    }
    user = granting(["sqs:SendMessage"], ["*"], "User: arn:aws:iam::1:user/jo is not authorized")
    assert call(shlex.split(user)).request["UserName"] == "jo"
    assert '--role-name "$NAME"' in granting(["sqs:SendMessage"], ["*"], "")


def test_what_nobody_can_tell_comes_with_the_question_to_aws() -> None:
    (finding,) = judged("queue", [ARN], Tried(open=["sqs:ReceiveMessage"]), daemon=True)
    made = call(shlex.split(finding.mend.replace("$ARN", ARN)))
    assert finding.level is Level.UNKNOWN
    assert made.request["ActionNames"] == ["sqs:ReceiveMessage"]
