from __future__ import annotations

import pytest

from ftq.errors import CallRefused
from ftq.ports import Call, Reply
from ftq.testing import MemoryAws
from ftq_cli.resources import Names, resources

NAMES = Names.of("try")


class Watched:
    """An account, what was made in it and is there, and a call that it refuses."""

    def __init__(self, refused: str = "") -> None:
        self.memory = MemoryAws()
        self.there: set[str] = set()
        self.refused = refused

    async def call(self, call: Call) -> Reply:
        if call.operation == self.refused:
            raise CallRefused(call.operation, "AccessDenied", "")
        reply = await self.memory.call(call)
        name = call.request.get("QueueName") or call.request.get("TableName")
        if call.operation in ("CreateQueue", "CreateTable"):
            self.there.add(f"{call.service}:{name}")
        elif call.operation == "DeleteTable":
            self.there.remove(f"dynamodb:{name}")
        elif call.operation == "DeleteQueue":
            self.there.remove(f"sqs:{str(call.request['QueueUrl']).rpartition('/')[2]}")
        return reply


ALL = {"sqs:try", "sqs:try-dlq", "dynamodb:try"}


@pytest.mark.parametrize(("temporary", "left"), [(True, set[str]()), (False, ALL)])
async def test_what_is_temporary_is_removed(temporary: bool, left: set[str]) -> None:
    aws = Watched()
    async with resources(aws, NAMES, temporary) as made:
        assert aws.there == ALL
        assert (made.queue_url, made.table) == (made.dlq_url.removesuffix("-dlq"), "try")
    assert aws.there == left


@pytest.mark.parametrize("refused", ["CreateTable", "UpdateTimeToLive"])
async def test_what_could_not_be_made_leaves_nothing_behind(refused: str) -> None:
    aws = Watched(refused)
    with pytest.raises(CallRefused):
        async with resources(aws, NAMES, temporary=True):
            raise AssertionError("it cannot be made")
    assert aws.there == set()


async def test_what_is_there_is_used() -> None:
    aws = Watched()
    async with resources(aws, NAMES, False) as first, resources(aws, NAMES, False) as second:
        assert first == second
