"""What CreateTable and the key condition of a Query say, read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ftq.testing.index import Bound, Index
from ftq.testing.params import Params
from ftq.testing.table import MemoryTable
from ftq.wire.item import Item

_CONDITION: Final = re.compile(
    r"\s*([#\w]+)\s*=\s*(:\w+)(?:\s+AND\s+([#\w]+)\s*(<=|>=|<|>|=)\s*(:\w+))?\s*"
)


def read_table(params: Params, now: Callable[[], int], index_lag: int) -> MemoryTable:
    """The table that CreateTable asks for.

    Raises:
        CallRefused: It is none that can be here.
    """
    keys = _key_schema(params)
    if set(keys) != {"HASH"}:
        raise params.refused("only tables with a HASH key and no RANGE key are here")
    definitions = params.children("AttributeDefinitions")
    types = {each.text("AttributeName"): each.text("AttributeType") for each in definitions}
    indexes = {
        wanted.text("IndexName"): _index(wanted, keys["HASH"], index_lag)
        for wanted in params.children("GlobalSecondaryIndexes")
    }
    return MemoryTable(keys["HASH"], types, indexes, now)


def _index(params: Params, key: str, lag: int) -> Index:
    schema, projection = _key_schema(params), params.child("Projection")
    if set(schema) != {"HASH", "RANGE"}:
        raise params.refused("only indexes with a HASH and a RANGE key are here")
    named = projection.values.get("NonKeyAttributes", [])
    projected = frozenset(map(str, named)) if isinstance(named, list) else frozenset()
    everything = projection.text("ProjectionType") == "ALL"
    return Index(key, schema["HASH"], schema["RANGE"], None if everything else projected, lag)


def _key_schema(params: Params) -> dict[str, str]:
    return {
        each.text("KeyType"): each.text("AttributeName") for each in params.children("KeySchema")
    }


def read_condition(params: Params, values: Item, index: Index) -> tuple[str, Bound | None]:
    """The partition that a Query names, and its bound on the range key.

    Raises:
        CallRefused: It is none that ftq writes, or does not fit the index.
    """
    match = _CONDITION.fullmatch(params.text("KeyConditionExpression"))
    if match is None:
        raise params.refused("KeyConditionExpression is not one that ftq uses")
    names = params.texts("ExpressionAttributeNames")
    first, value, second, operator, bound = match.groups()
    wanted = {first: index.hash_name} | ({second: index.range_name} if second else {})
    if any(names.get(name, name) != real for name, real in wanted.items()):
        raise params.refused("Query condition missed key schema element")
    if {each for each in (value, bound) if each} != set(values):
        raise params.refused("ExpressionAttributeValues must be those that the condition names")
    partition = values[value].get("S", "")
    return partition, None if second is None else Bound(operator, values[bound])
