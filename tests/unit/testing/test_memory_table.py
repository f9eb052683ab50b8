from __future__ import annotations

import pytest

from ftq.errors import CallRefused
from ftq.lifecycle import State
from ftq.ports import Call
from ftq.settlement import Complete, Counter, Release, RetryAt
from ftq.task import Entry, Task, bucket_of, failure
from ftq.testing import MemoryAws, MemorySyncPort
from ftq.testing.clock import run
from ftq.wire import create, table
from ftq.wire.claimant import Claimant
from ftq.wire.item import read_task, text
from ftq.wire.statements import Statements

NOW = 1_800_000_000_000
TO = Statements("tasks")


class Clock:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def memory(clock: Clock | None = None, index_lag: int = 0) -> MemoryAws:
    aws = MemoryAws(clock or Clock(), index_lag=index_lag)
    aws.apply(create.table("tasks"))
    aws.apply(create.ttl("tasks"))
    return aws


def queued(task_id: str = "t1", payload: str = "1") -> Task:
    return Task(id=task_id, type="a", queue="q", state=State.QUEUED, due_at=NOW, payload=payload)


def claim(aws: MemoryAws, task_id: str = "t1") -> Task:
    who = Claimant("d1", "token", NOW, NOW + 1_000)
    table.read_execute(aws.apply(table.execute([TO.claim(task_id, who)])), 1)
    task = read_task(aws.table("tasks").get(task_id))
    assert task is not None
    return task


def overdue(aws: MemoryAws) -> list[object]:
    call = table.overdue("tasks", bucket_of("t1", State.QUEUED), NOW, 10)
    return [item["id"] for item in table.read_page(aws.apply(call))[0]]


def query(**changes: object) -> Call:
    call = table.overdue("tasks", bucket_of("t1", State.QUEUED), NOW, 10)
    return Call(call.service, call.operation, {**call.request, **changes})


def test_a_final_record_goes_when_its_time_is_over_and_ttl_is_asked_to() -> None:
    aws = memory()
    aws.apply(table.put("tasks", queued()))
    aws.apply(table.put("tasks", queued("open")))
    held = claim(aws)
    end = Entry(1, "d1", NOW, "succeeded")
    settle = TO.settle(held, Complete("1"), end, grace=0, retention=60_000)
    aws.apply(table.execute([settle]))
    tasks = aws.table("tasks")
    assert tasks.expire(NOW + 59_999) == 0
    assert tasks.expire(NOW + 60_000) == 1
    assert set(tasks.items()) == {"open"}


def test_nothing_expires_while_ttl_is_off() -> None:
    aws = MemoryAws(Clock())
    aws.apply(create.table("tasks"))
    aws.apply(table.put_beside("tasks", "k", "1", 1))
    assert aws.table("tasks").expire() == 0


def test_switching_ttl_on_twice_is_refused_as_aws_refuses_it() -> None:
    aws = memory()
    with pytest.raises(CallRefused, match="already enabled"):
        aws.apply(create.ttl("tasks"))
    described = aws.apply(Call("dynamodb", "DescribeTimeToLive", {"TableName": "tasks"}))
    ttl = {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    assert described == {"TimeToLiveDescription": ttl}


def test_a_table_is_made_once() -> None:
    with pytest.raises(CallRefused) as refused:
        memory().apply(create.table("tasks"))
    assert refused.value.code == "ResourceInUseException"


def test_an_index_may_be_late() -> None:
    clock = Clock()
    aws = memory(clock, index_lag=500)
    aws.apply(table.put("tasks", queued()))
    assert overdue(aws) == []
    clock.now += 499
    assert overdue(aws) == []
    clock.now += 1
    assert overdue(aws) == [text("t1")]


def test_a_query_goes_both_ways_and_may_count() -> None:
    aws = memory()
    aws.apply(table.put("tasks", queued()))
    assert aws.apply(query(Select="COUNT")) == {"Count": 1, "ScannedCount": 1}
    assert aws.apply(query(ScanIndexForward=False))["Count"] == 1


def test_a_page_that_its_limit_ended_has_a_last_key_even_if_it_was_the_last() -> None:
    aws = memory()
    aws.apply(table.put("tasks", queued()))
    items, last = table.read_page(aws.apply(query(Limit=1)))
    assert len(items) == 1
    assert last is not None
    assert table.read_page(aws.apply(query(Limit=1, ExclusiveStartKey=last))) == ([], None)


@pytest.mark.parametrize(
    "changes",
    [
        {"IndexName": "other"},
        {"KeyConditionExpression": "#d <= :d"},
        {"KeyConditionExpression": "#b = :b"},
        {"KeyConditionExpression": "begins_with(#b, :b) AND #d <= :d"},
        {"FilterExpression": "#d = :d"},
        {"Limit": 0},
    ],
    ids=str,
)
def test_a_query_that_ftq_does_not_make_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(CallRefused) as refused:
        memory().apply(query(**changes))
    assert refused.value.code == "ValidationException"


def test_many_items_are_read_at_once() -> None:
    aws = memory()
    for task_id in ("a", "b"):
        aws.apply(table.put("tasks", queued(task_id)))
    keys = [{"id": text(each)} for each in ("a", "b", "missing")]
    asked = {"RequestItems": {"tasks": {"Keys": keys, "ConsistentRead": True}}}
    reply = aws.apply(Call("dynamodb", "BatchGetItem", dict(asked)))
    match reply:
        case {"Responses": {"tasks": [{"id": one}, {"id": other}]}, "UnprocessedKeys": {}}:
            assert (one, other) == (text("a"), text("b"))
        case _:
            pytest.fail(str(reply))
    twice = {"RequestItems": {"tasks": {"Keys": [keys[0], keys[0]]}}}
    with pytest.raises(CallRefused, match="duplicates"):
        aws.apply(Call("dynamodb", "BatchGetItem", dict(twice)))


def test_a_single_statement_is_refused_by_an_error_that_brings_the_item() -> None:
    aws = memory()
    aws.apply(table.put("tasks", queued()))
    held = claim(aws)
    statement = TO.claim("t1", Claimant("d2", "token", NOW, NOW + 1))
    with pytest.raises(CallRefused) as refused:
        aws.apply(Call("dynamodb", "ExecuteStatement", statement.request))
    assert refused.value.code == table.CONDITION_FAILED
    assert read_task(refused.value.item) == held


def test_a_put_without_all_old_brings_no_item() -> None:
    aws = memory()
    call = table.put("tasks", queued())
    aws.apply(call)
    request = {**call.request, "ReturnValuesOnConditionCheckFailure": "NONE"}
    with pytest.raises(CallRefused) as refused:
        aws.apply(Call("dynamodb", "PutItem", request))
    assert refused.value.item is None


def test_what_a_settle_costs_does_not_depend_on_the_payload() -> None:
    costs: set[int] = set()
    for size in (2, 2_000, 200_000):
        aws = memory()
        payload = '"' + "x" * size + '"'
        # As submission does it: past a KiB the payload is put beside (PROTOCOL R11).
        if size > 1_024:
            aws.apply(table.put_beside("tasks", "t1#payload#f", payload, 1))
            aws.apply(table.put("tasks", queued(payload="")))
        else:
            aws.apply(table.put("tasks", queued(payload=payload)))
        held = claim(aws)
        before = aws.table("tasks").write_units
        settle = TO.settle(held, Release(), Entry(1, "d1", NOW, "released"), grace=0, retention=1)
        aws.apply(table.execute([settle]))
        costs.add(aws.table("tasks").write_units - before)
    assert costs == {1}


def test_only_writes_of_its_own_attributes_cost_the_index_anything() -> None:
    aws = memory()
    aws.apply(table.put("tasks", queued()))
    tasks = aws.table("tasks")

    def cost(*statements: object) -> int:
        before = tasks.write_units
        aws.apply(Call("dynamodb", "BatchExecuteStatement", {"Statements": list(statements)}))
        return tasks.write_units - before

    who = Claimant("d1", "token", NOW, NOW + 1_000)
    assert cost(TO.claim("t1", who).request) == 1
    assert cost(TO.beat("t1", 1, NOW + 2_000).request) == 1
    held = read_task(tasks.get("t1"))
    assert held is not None
    retry = RetryAt(NOW, Counter.ATTEMPTS, failure("exception", "E", "x"))
    settle = TO.settle(held, retry, Entry(1, "d1", NOW, "retry"), grace=7, retention=1)
    # The record, and a delete and a put in the index, whose key has changed.
    assert cost(settle.request) == 3


def test_calls_are_counted_and_one_that_is_unknown_is_refused() -> None:
    aws = memory()
    with pytest.raises(CallRefused, match="UnknownOperationException"):
        aws.apply(Call("dynamodb", "Scan", {"TableName": "tasks"}))
    assert aws.calls == {"CreateTable": 1, "UpdateTimeToLive": 1, "Scan": 1}


def test_nobody_can_change_the_table_through_what_was_read_or_written() -> None:
    aws = memory()
    aws.apply(table.put("tasks", queued()))
    reply = aws.apply(table.get("tasks", "t1"))
    item = reply["Item"]
    assert isinstance(item, dict)
    item["state"] = text("dead")
    aws.table("tasks").items()["t1"]["state"] = text("dead")
    assert table.read_get(aws.apply(table.get("tasks", "t1"))) == queued()


def test_one_account_serves_the_loop_and_the_lambda() -> None:
    aws = memory()
    MemorySyncPort(aws).call(table.put("tasks", queued()))

    async def main() -> Task | None:
        return table.read_get(await aws.call(table.get("tasks", "t1")))

    assert run(main) == queued()
