"""The calls that carry statements to the table, and their replies read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ftq.ports import Call, Reply, Request
from ftq.sweep import Overdue
from ftq.task import Task
from ftq.value import value
from ftq.wire.item import Item, number, read_task, text, to_item
from ftq.wire.statements import Statement

INDEX: Final = "by_bucket"


@value(frozen=True, slots=True)
class Written:
    """The statement was applied; `old` is the record before it, where that was asked for."""

    old: Task | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The condition did not hold; the record that stood in the way says why.

    Attributes:
        current: The record as it is; None if there is none, or none that can be read.
        absent: There is no item at all.
    """

    current: Task | None
    absent: bool


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The item to insert is there already."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The statement was not applied.

    Attributes:
        code: The service's error code.
        message: Its words.
        transient: Whether the same statement may pass later.
    """

    code: str
    message: str
    transient: bool


Result: TypeAlias = Written | Refused | Duplicate | Failed

# Codes of BatchStatementError (DynamoDB reference), and those that a stand-in uses for them.
_REFUSED: Final = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException"})
_DUPLICATE: Final = frozenset({"DuplicateItem", "DuplicateItemException"})
_TRANSIENT: Final = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ThrottlingError",
        "TransactionConflict",
    }
)


def execute(statements: Sequence[Statement]) -> Call:
    """Up to 25 statements in one call; each succeeds or fails by itself."""
    requests = [statement.request for statement in statements]
    return Call("dynamodb", "BatchExecuteStatement", {"Statements": requests})


def read_execute(reply: Reply, sent: int) -> list[Result]:
    """One result per statement, in order. Never raises: what is missing has failed for now."""
    responses = reply.get("Responses")
    entries = responses if isinstance(responses, list) else []
    results = [_result(entry) for entry in entries[:sent]]
    missing = Failed("MissingResponse", "the reply has no entry for this statement", True)
    return results + [missing] * (sent - len(results))


def _result(entry: object) -> Result:
    if not isinstance(entry, Mapping):
        return Failed("MissingResponse", "the reply's entry is no object", True)
    error = entry.get("Error")
    if error is None:
        return Written(read_task(entry.get("Item")))
    if not isinstance(error, Mapping):
        return Failed("MissingResponse", "the reply's error is no object", True)
    code = str(error.get("Code", ""))
    if code in _REFUSED:
        # AWS and the stand-ins differ on whether the old item is in the error or beside it.
        item = error.get("Item") or entry.get("Item")
        return Refused(read_task(item), absent=not item)
    if code in _DUPLICATE:
        return Duplicate()
    return Failed(code, str(error.get("Message", "")), code in _TRANSIENT)


def put(table: str, task: Task) -> Call:
    """R8: store a record if its id is free; a refusal brings the one that is there."""
    return _put_absent(table, to_item(task))


def put_beside(table: str, key: str, payload: str, expires_at: int) -> Call:
    """R11: store a large payload beside its record, before the record."""
    item = {"id": text(key), "payload": text(payload), "expires_at": number(expires_at)}
    return _put_absent(table, item)


def _put_absent(table: str, item: Item) -> Call:
    request: Request = {
        "TableName": table,
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#id)",
        "ExpressionAttributeNames": {"#id": "id"},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    return Call("dynamodb", "PutItem", request)


CONDITION_FAILED: Final = "ConditionalCheckFailedException"
"""The code with which PutItem and ExecuteStatement refuse a condition."""


def get(table: str, key: str) -> Call:
    """Read one item, as it is now."""
    request: Request = {"TableName": table, "Key": {"id": text(key)}, "ConsistentRead": True}
    return Call("dynamodb", "GetItem", request)


def read_get(reply: Reply) -> Task | None:
    """The record that was read; None if there is none."""
    return read_task(reply.get("Item"))


@dataclass(frozen=True, slots=True)
class Beside:
    """The item of a large payload."""

    payload: str
    expires_at: int


def read_beside(reply: Reply) -> Beside | None:
    """The large payload that was read; None if there is none."""
    item = reply.get("Item")
    if not isinstance(item, Mapping):
        return None
    try:
        return Beside(str(item["payload"]["S"]), int(item["expires_at"]["N"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def overdue(table: str, bucket: str, now: int, limit: int, start: Item | None = None) -> Call:
    """R2: the open tasks of a shard whose `due_at` has passed, oldest first."""
    request: Request = {
        "TableName": table,
        "IndexName": INDEX,
        "KeyConditionExpression": "#b = :b AND #d <= :d",
        "ExpressionAttributeNames": {"#b": "bucket", "#d": "due_at"},
        "ExpressionAttributeValues": {":b": text(bucket), ":d": number(now)},
        "Limit": limit,
    }
    if start is not None:
        request["ExclusiveStartKey"] = start
    return Call("dynamodb", "Query", request)


def read_page(reply: Reply) -> tuple[list[Mapping[str, object]], Item | None]:
    """The items of a page of the index, and where the next page starts."""
    items = reply.get("Items")
    found = [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
    last = reply.get("LastEvaluatedKey")
    return found, dict(last) if isinstance(last, Mapping) and last else None


def read_overdue(item: Mapping[str, object]) -> Overdue | None:
    """An item of the index; None if it is none of ours. Never raises."""
    try:
        return Overdue(
            id=_of(item, "id", "S"),
            queue=_of(item, "queue", "S"),
            due_at=int(_of(item, "due_at", "N")),
            sent_at=int(_of(item, "sent_at", "N")),
            type=_of(item, "type", "S"),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _of(item: Mapping[str, object], name: str, kind: str) -> str:
    value = item[name]
    if not isinstance(value, Mapping):
        raise TypeError(name)
    return str(value[kind])


KEYS_PER_READ: Final = 100
"""BatchGetItem reference: up to 100 items in one call."""


def get_many(table: str, keys: Sequence[str]) -> Call:
    """Read up to 100 records, as they are now."""
    wanted = {"Keys": [{"id": text(key)} for key in keys], "ConsistentRead": True}
    return Call("dynamodb", "BatchGetItem", {"RequestItems": {table: wanted}})


def read_unprocessed(reply: Reply, table: str) -> list[str]:
    """The keys that were not read this time (16 MB a reply, or throttled). Never raises."""
    left = reply.get("UnprocessedKeys")
    asked = left.get(table) if isinstance(left, Mapping) else None
    keys = asked.get("Keys") if isinstance(asked, Mapping) else None
    found = [key.get("id") for key in keys] if isinstance(keys, list) else []
    return [str(key["S"]) for key in found if isinstance(key, Mapping)]


def read_get_many(reply: Reply, table: str) -> list[Task]:
    """The records that were read, in no order; what was not read this time is missing."""
    responses = reply.get("Responses")
    items = responses.get(table) if isinstance(responses, Mapping) else None
    found = map(read_task, items) if isinstance(items, list) else ()
    return [task for task in found if task is not None]
