"""Reading the index `by_bucket`: pages of a shard, newest or oldest first, and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ftq.lifecycle import State
from ftq.ports import Call, Reply, Request
from ftq.wire.item import Item, number, text
from ftq.wire.table import INDEX


@dataclass(frozen=True, slots=True)
class Row:
    """An item of the index: a record's key, and what never changes between writes of it.

    Attributes:
        id: The record.
        bucket: The shard in which it was found.
        due_at: What orders the shard.
        type: The task's type.
        tenant: Its tenant, or ''.
        created_at: When it was submitted.
        sent_at: When it was last sent, with its delay.
        sweeps: How often it was sent again in this life.
    """

    id: str
    bucket: str
    due_at: int
    type: str = ""
    tenant: str = ""
    created_at: int = 0
    sent_at: int = 0
    sweeps: int = 0


def page(
    table: str,
    bucket: str,
    limit: int,
    *,
    start: Item | None = None,
    newest_first: bool = False,
    until: int | None = None,
    since: int | None = None,
) -> Call:
    """A page of a shard.

    Args:
        table: The table.
        bucket: The shard's key.
        limit: How many items at most.
        start: Where the page before ended.
        newest_first: The greatest `due_at` first, else the least.
        until: Only those whose `due_at` is not greater.
        since: Only those whose `due_at` is not less; not together with `until`.
    """
    request: Request = {
        "TableName": table,
        "IndexName": INDEX,
        "KeyConditionExpression": "#b = :b",
        "ExpressionAttributeNames": {"#b": "bucket"},
        "ExpressionAttributeValues": {":b": text(bucket)},
        "Limit": limit,
        "ScanIndexForward": not newest_first,
    }
    edge, operator = (until, "<=") if until is not None else (since, ">=")
    if edge is not None:
        request["KeyConditionExpression"] = f"#b = :b AND #d {operator} :d"
        request["ExpressionAttributeNames"] = {"#b": "bucket", "#d": "due_at"}
        request["ExpressionAttributeValues"] = {":b": text(bucket), ":d": number(edge)}
    if start is not None:
        request["ExclusiveStartKey"] = start
    return Call("dynamodb", "Query", request)


def count(
    table: str,
    bucket: str,
    limit: int,
    *,
    start: Item | None = None,
    newest_first: bool = False,
    until: int | None = None,
) -> Call:
    """How many items a page of a shard would have: as `page`, without the items."""
    asked = page(table, bucket, limit, start=start, newest_first=newest_first, until=until)
    return Call("dynamodb", "Query", {**asked.request, "Select": "COUNT"})


def read_count(reply: Reply) -> int:
    """How many there were; 0 if the reply does not say. Never raises."""
    found = reply.get("Count")
    return found if isinstance(found, int) else 0


def after(row: Row) -> Item:
    """The key after which a page starts, to go on behind this row.

    The item need not be there any more: a key is a place in the order, not an item.
    """
    return {"id": text(row.id), "bucket": text(row.bucket), "due_at": number(row.due_at)}


def states(table: str, keys: Sequence[str]) -> Call:
    """Ask for the states of up to 100 records, as they were a moment ago."""
    wanted = {
        "Keys": [{"id": text(key)} for key in keys],
        "ProjectionExpression": "#i, #s",
        "ExpressionAttributeNames": {"#i": "id", "#s": "state"},
    }
    return Call("dynamodb", "BatchGetItem", {"RequestItems": {table: wanted}})


def read_states(reply: Reply, table: str) -> list[State]:
    """The states that were read, in no order; what was not read is missing. Never raises."""
    responses = reply.get("Responses")
    items = responses.get(table) if isinstance(responses, Mapping) else None
    values = [item.get("state", {}).get("S") for item in (items if isinstance(items, list) else [])]
    return [State(value) for value in values if value in frozenset(State)]


def read_row(item: Mapping[str, object]) -> Row | None:
    """An item of the index; None if it is none. Never raises."""
    try:
        return Row(
            id=_of(item, "id", "S"),
            bucket=_of(item, "bucket", "S"),
            due_at=int(_of(item, "due_at", "N")),
            type=_of(item, "type", "S", ""),
            tenant=_of(item, "tenant", "S", ""),
            created_at=int(_of(item, "created_at", "N", "0")),
            sent_at=int(_of(item, "sent_at", "N", "0")),
            sweeps=int(_of(item, "sweeps", "N", "0")),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _of(item: Mapping[str, object], name: str, kind: str, default: str | None = None) -> str:
    value = item.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, Mapping):
        raise TypeError(name)
    return str(value[kind])
