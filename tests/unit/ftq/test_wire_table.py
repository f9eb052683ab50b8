"""`ftq.wire.table`: the calls that carry statements, and their replies read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.lifecycle import State
from ftq.sweep import Overdue
from ftq.task import Task
from ftq.wire.claimant import Claimant
from ftq.wire.item import number, text, to_item
from ftq.wire.statements import Statements
from ftq.wire.table import (
    INDEX,
    Beside,
    Duplicate,
    Failed,
    Refused,
    Result,
    Written,
    execute,
    get,
    get_many,
    overdue,
    put,
    put_beside,
    read_beside,
    read_execute,
    read_get,
    read_get_many,
    read_overdue,
    read_page,
)

TASK = Task("t1", "email.send", "https://queue", State.QUEUED)
NAMES = st.sampled_from(
    [
        "Responses",
        "Error",
        "Code",
        "Message",
        "Item",
        "Items",
        "LastEvaluatedKey",
        "payload",
        "expires_at",
        "id",
        "state",
        "S",
        "N",
    ]
)
GARBAGE: st.SearchStrategy[object] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        st.sampled_from(["ConditionalCheckFailed", "DuplicateItem", "ThrottlingError", "9" * 5000]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=12,
)
REPLIES = st.dictionaries(NAMES, GARBAGE, max_size=5)
RESPONSES = st.fixed_dictionaries({"Responses": st.lists(REPLIES | GARBAGE)})


@given(REPLIES | RESPONSES, st.integers(0, 25))
def test_a_reply_of_garbage_never_raises_and_has_one_result_each(
    reply: dict[str, object], sent: int
) -> None:
    results = read_execute(reply, sent)
    assert len(results) == sent
    assert all(isinstance(result, Written | Refused | Duplicate | Failed) for result in results)


@given(REPLIES)
def test_reads_of_garbage_never_raise(reply: dict[str, object]) -> None:
    assert read_get(reply) is None or "Item" in reply
    assert read_beside(reply) is None or "Item" in reply
    items, start = read_page(reply)
    assert start is None or start
    for item in items:
        assert read_overdue(item) is None or {"id", "queue", "due_at", "sent_at"} <= set(item)
    assert read_get_many(reply, "tasks") == []


@given(st.lists(GARBAGE, max_size=3) | GARBAGE)
def test_records_of_garbage_are_left_out_of_those_that_were_read(garbage: object) -> None:
    assert read_get_many({"Responses": {"tasks": garbage}}, "tasks") == []
    mixed = [garbage, to_item(TASK)]
    assert read_get_many({"Responses": {"tasks": mixed}}, "tasks") == [TASK]
    assert read_get_many({"Responses": garbage}, "tasks") == []


@pytest.mark.parametrize("value", [{"N": float("inf")}, {"N": "x"}, {"S": "1"}, {}, None, 7])
def test_a_payload_beside_with_garbage_in_it_is_none(value: object) -> None:
    good = {"payload": text("[]"), "expires_at": number(7)}
    assert read_beside({"Item": good}) == Beside("[]", 7)
    assert read_beside({"Item": {**good, "expires_at": value}}) is None
    assert read_beside({}) is None


@pytest.mark.parametrize(
    ("response", "result"),
    [
        ({}, Written(None)),
        ({"TableName": "tasks", "Item": to_item(TASK)}, Written(TASK)),
        ({"Error": None, "Item": to_item(TASK)}, Written(TASK)),
        (
            {"Error": {"Code": "ConditionalCheckFailed", "Item": to_item(TASK)}},
            Refused(TASK, absent=False),
        ),
        (
            {"Error": {"Code": "ConditionalCheckFailed"}, "Item": to_item(TASK)},
            Refused(TASK, absent=False),
        ),
        ({"Error": {"Code": "ConditionalCheckFailedException"}}, Refused(None, absent=True)),
        (
            {"Error": {"Code": "ConditionalCheckFailed", "Item": {"id": text("t1")}}},
            Refused(None, absent=False),
        ),
        ({"Error": {"Code": "DuplicateItem"}}, Duplicate()),
        ({"Error": {"Code": "DuplicateItemException"}}, Duplicate()),
        (
            {"Error": {"Code": "ValidationError", "Message": "m"}},
            Failed("ValidationError", "m", False),
        ),
        (
            {"Error": {"Code": "ThrottlingError", "Message": "m"}},
            Failed("ThrottlingError", "m", True),
        ),
        (
            {"Error": {"Code": "ProvisionedThroughputExceeded"}},
            Failed("ProvisionedThroughputExceeded", "", True),
        ),
        ({"Error": {"Code": "TransactionConflict"}}, Failed("TransactionConflict", "", True)),
        ({"Error": {}}, Failed("", "", False)),
    ],
)
def test_each_statement_of_a_batch_has_its_own_result(
    response: dict[str, object], result: Result
) -> None:
    other = {"Error": {"Code": "DuplicateItem"}}
    assert read_execute({"Responses": [other, response]}, 2) == [Duplicate(), result]


@pytest.mark.parametrize(
    "reply", [{}, {"Responses": None}, {"Responses": []}, {"Responses": [None]}, {"Responses": [7]}]
)
def test_what_the_reply_does_not_say_has_failed_for_now(reply: dict[str, object]) -> None:
    [result] = read_execute(reply, 1)
    assert isinstance(result, Failed)
    assert result.transient


def test_an_error_that_cannot_be_read_is_not_taken_for_a_success() -> None:
    [result] = read_execute({"Responses": [{"Error": "broken"}]}, 1)
    assert isinstance(result, Failed)


def test_statements_go_in_one_call_in_their_order() -> None:
    who = Claimant("d1", "k", 1, 2)
    statements = [Statements("tasks").claim(task_id, who) for task_id in ("a", "b")]
    call = execute(statements)
    assert (call.service, call.operation) == ("dynamodb", "BatchExecuteStatement")
    assert call.request == {"Statements": [statement.request for statement in statements]}


def test_a_record_is_put_only_if_its_id_is_free() -> None:
    call = put("tasks", TASK)
    assert call.operation == "PutItem"
    assert call.request == {
        "TableName": "tasks",
        "Item": to_item(TASK),
        "ConditionExpression": "attribute_not_exists(#id)",
        "ExpressionAttributeNames": {"#id": "id"},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def test_a_large_payload_is_put_only_if_it_is_not_there() -> None:
    call = put_beside("tasks", "t1#payload#0", "[]", 9)
    assert call.request["ConditionExpression"] == "attribute_not_exists(#id)"
    assert call.request["Item"] == {
        "id": text("t1#payload#0"),
        "payload": text("[]"),
        "expires_at": number(9),
    }


def test_a_record_is_read_as_it_is_now() -> None:
    call = get("tasks", "t1")
    assert (call.operation, call.request["ConsistentRead"]) == ("GetItem", True)
    assert call.request["Key"] == {"id": text("t1")}
    assert read_get({"Item": to_item(TASK)}) == TASK
    assert read_get({}) is None


def test_the_overdue_tasks_of_a_shard_are_asked_for_page_by_page() -> None:
    call = overdue("tasks", "open#03", 7, 50)
    assert call.operation == "Query"
    assert call.request == {
        "TableName": "tasks",
        "IndexName": INDEX,
        "KeyConditionExpression": "#b = :b AND #d <= :d",
        "ExpressionAttributeNames": {"#b": "bucket", "#d": "due_at"},
        "ExpressionAttributeValues": {":b": text("open#03"), ":d": number(7)},
        "Limit": 50,
    }
    start = {"id": text("t1")}
    assert overdue("tasks", "open#03", 7, 50, start).request["ExclusiveStartKey"] == start


def test_a_page_says_where_the_next_one_starts() -> None:
    item, last = {"id": text("t1")}, {"id": text("t2")}
    assert read_page({"Items": [item, 7], "LastEvaluatedKey": last}) == ([item], last)
    assert read_page({"Items": [item], "LastEvaluatedKey": {}}) == ([item], None)
    assert read_page({}) == ([], None)


def test_an_item_of_the_index_tells_what_is_overdue() -> None:
    moments = {"due_at": number(5), "sent_at": number(4)}
    item = {"id": text("t1"), "queue": text("q"), "type": text("mail"), **moments}
    assert read_overdue(item) == Overdue("t1", "q", 5, 4, "mail")
    for name in item:
        assert read_overdue({**item, name: 7}) is None
        assert read_overdue({each: item[each] for each in item if each != name}) is None


def test_records_are_read_together_as_they_are_now() -> None:
    call = get_many("tasks", ["a", "b"])
    assert call.operation == "BatchGetItem"
    keys = [{"id": text("a")}, {"id": text("b")}]
    assert call.request == {"RequestItems": {"tasks": {"Keys": keys, "ConsistentRead": True}}}
