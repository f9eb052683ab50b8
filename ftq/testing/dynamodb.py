"""DynamoDB in memory behind `ftq.ports.Port`: the operations that ftq uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ftq.errors import CallRefused
from ftq.limits import STATEMENTS_PER_BATCH
from ftq.ports import Call, Reply
from ftq.testing import partiql
from ftq.testing.items import read_value
from ftq.testing.params import Params
from ftq.testing.schema import read_condition, read_table
from ftq.testing.table import MemoryTable, WriteRefused
from ftq.wire.item import Item, Value

VALIDATION: Final = "ValidationException"

# What a call by itself answers, where a statement of a batch has a code of its own.
_CALL_CODES: Final = {
    "ConditionalCheckFailed": "ConditionalCheckFailedException",
    "DuplicateItem": "DuplicateItemException",
    "ValidationError": VALIDATION,
}
# BatchGetItem reference: up to 100 items in one call.
_KEYS_PER_BATCH: Final = 100


class MemoryDynamo:
    """The tables of one account.

    Args:
        now: The wall clock, in milliseconds since the epoch.
        index_lag: Milliseconds by which indexes follow their table.

    Attributes:
        tables: The tables by name.
    """

    def __init__(self, now: Callable[[], int], index_lag: int = 0) -> None:
        """Begin without tables."""
        self.tables: dict[str, MemoryTable] = {}
        self._now = now
        self._index_lag = index_lag
        self._operations: dict[str, Callable[[Params], Reply]] = {
            "BatchExecuteStatement": self._batch_execute,
            "BatchGetItem": self._batch_get,
            "CreateTable": self._create_table,
            "DeleteItem": self._delete_item,
            "DeleteTable": self._delete_table,
            "DescribeTable": self._describe_table,
            "DescribeTimeToLive": self._describe_ttl,
            "ExecuteStatement": self._execute,
            "GetItem": self._get_item,
            "PutItem": self._put_item,
            "Query": self._query,
            "UpdateTimeToLive": self._update_ttl,
        }

    def apply(self, call: Call) -> Reply:
        """Answer one call.

        Raises:
            CallRefused: As AWS refuses it, or the operation is none that ftq uses.
        """
        params = Params(call.operation, VALIDATION, call.request)
        operation = self._operations.get(call.operation)
        if operation is None:
            raise params.refused(f"{call.operation} is not here", "UnknownOperationException")
        try:
            return operation(params)
        except WriteRefused as refused:
            code = _CALL_CODES[refused.code]
            wanted = params.values.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            item = refused.item if wanted else None
            raise CallRefused(call.operation, code, refused.message, item) from None

    def _table(self, params: Params, name: str | None = None) -> MemoryTable:
        name = params.text("TableName") if name is None else name
        table = self.tables.get(name)
        if table is None:
            message = f"Requested resource not found: Table: {name} not found"
            raise params.refused(message, "ResourceNotFoundException")
        return table

    # --- statements ---------------------------------------------------------------------------

    def _batch_execute(self, params: Params) -> Reply:
        statements = params.children("Statements")
        if not 1 <= len(statements) <= STATEMENTS_PER_BATCH:
            bounds = f"between 1 and {STATEMENTS_PER_BATCH}"
            raise params.refused(f"Member must have length {bounds}, has {len(statements)}")
        self._refuse_doubles(params, statements)
        return {"Responses": [self._response(statement) for statement in statements]}

    def _refuse_doubles(self, params: Params, statements: list[Params]) -> None:
        seen: set[tuple[str, str]] = set()
        for statement in statements:
            try:
                parsed, parameters = self._parse(statement)
                table = self._table(params, parsed.table)
                key = (parsed.table, table.key_of(parsed, parameters))
            except (WriteRefused, CallRefused):
                continue  # answered one by one
            if key in seen:
                raise params.refused("Batch cannot include multiple operations on one item")
            seen.add(key)

    def _response(self, statement: Params) -> dict[str, object]:
        try:
            return self._run(statement)
        except WriteRefused as refused:
            error: dict[str, object] = {"Code": refused.code, "Message": refused.message}
            wanted = statement.values.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            # The reference promises the item for a failed condition only.
            if wanted and refused.item is not None and refused.code == "ConditionalCheckFailed":
                error["Item"] = refused.item
            return {"Error": error}
        except CallRefused as refused:
            return {"Error": {"Code": "ResourceNotFound", "Message": str(refused)}}

    def _execute(self, params: Params) -> Reply:
        reply = self._run(params)
        return {"Items": [reply["Item"]] if "Item" in reply else []}

    def _run(self, statement: Params) -> dict[str, object]:
        parsed, parameters = self._parse(statement)
        item = self._table(statement, parsed.table).execute(parsed, parameters)
        return {"TableName": parsed.table, **({"Item": item} if item is not None else {})}

    def _parse(self, statement: Params) -> tuple[partiql.Parsed, list[Value]]:
        given = statement.values.get("Parameters", [])
        values = [read_value(each) for each in given] if isinstance(given, list) else [None]
        parameters = [value for value in values if value is not None]
        if len(parameters) < len(values):
            raise WriteRefused("ValidationError", "a parameter is neither a text nor a number")
        try:
            return partiql.parse(statement.text("Statement")), parameters
        except partiql.Malformed as error:
            raise WriteRefused(
                "ValidationError", f"Statement wasn't well formed: {error}"
            ) from None

    # --- items --------------------------------------------------------------------------------

    def _put_item(self, params: Params) -> Reply:
        table = self._table(params)
        item = self._item(params, "Item")
        condition = params.text("ConditionExpression", "")
        names = params.texts("ExpressionAttributeNames")
        absent = [
            f"attribute_not_exists({name})" for name, real in names.items() if real == table.key
        ]
        if condition and condition not in [*absent, f"attribute_not_exists({table.key})"]:
            raise params.refused(f"ConditionExpression {condition!r} is not one that ftq uses")
        table.put(item, if_absent=bool(condition))
        return {}

    def _get_item(self, params: Params) -> Reply:
        table = self._table(params)
        item = table.get(self._key(params, table, self._item(params, "Key")))
        return {"Item": item} if item is not None else {}

    def _delete_item(self, params: Params) -> Reply:
        table = self._table(params)
        table.delete(self._key(params, table, self._item(params, "Key")))
        return {}

    def _batch_get(self, params: Params) -> Reply:
        found: dict[str, list[Item]] = {}
        total = 0
        for name, asked in params.mapping("RequestItems").items():
            table = self._table(params, name)
            request = Params(params.operation, VALIDATION, {"Keys": [], "of": asked}).child("of")
            keys = [
                self._key(params, table, self._read_item(params, key.values))
                for key in request.children("Keys")
            ]
            if len(set(keys)) < len(keys):
                raise params.refused("Provided list of item keys contains duplicates")
            total += len(keys)
            items = [table.get(key) for key in keys]
            found[name] = [item for item in items if item is not None]
        if not 1 <= total <= _KEYS_PER_BATCH:
            raise params.refused("Too many items requested for the BatchGetItem call")
        return {"Responses": found, "UnprocessedKeys": {}}

    def _query(self, params: Params) -> Reply:
        table = self._table(params)
        index = table.indexes.get(params.text("IndexName", ""))
        if index is None:
            raise params.refused("The table does not have the specified index")
        if "FilterExpression" in params.values:
            raise params.refused("FilterExpression is not one of the things that ftq uses")
        partition, bound = read_condition(
            params, self._item(params, "ExpressionAttributeValues"), index
        )
        start = params.mapping("ExclusiveStartKey")
        page = index.query(
            partition,
            bound,
            now=self._now(),
            forward=params.values.get("ScanIndexForward", True) is not False,
            limit=params.number("Limit", 1, 1, 2**31) if "Limit" in params.values else None,
            start=self._read_item(params, start) if start else None,
        )
        reply: dict[str, object] = {"Count": len(page.items), "ScannedCount": len(page.items)}
        if params.text("Select", "") != "COUNT":
            reply["Items"] = page.items
        return {**reply, "LastEvaluatedKey": page.last} if page.last is not None else reply

    def _item(self, params: Params, name: str) -> Item:
        return self._read_item(params, params.mapping(name))

    def _read_item(self, params: Params, given: Mapping[str, object]) -> Item:
        item = {key: read for key, value in given.items() if (read := read_value(value))}
        if len(item) < len(given):
            raise params.refused("an attribute value is neither a text nor a number")
        return item

    def _key(self, params: Params, table: MemoryTable, key: Item) -> str:
        if set(key) != {table.key} or not key[table.key].get("S"):
            raise params.refused("The provided key element does not match the schema")
        return key[table.key]["S"]

    # --- tables -------------------------------------------------------------------------------

    def _create_table(self, params: Params) -> Reply:
        name = params.text("TableName")
        if name in self.tables:
            raise params.refused(f"Table already exists: {name}", "ResourceInUseException")
        self.tables[name] = read_table(params, self._now, self._index_lag)
        return {"TableDescription": {"TableName": name, "TableStatus": "ACTIVE"}}

    def _delete_table(self, params: Params) -> Reply:
        self._table(params)
        name = params.text("TableName")
        del self.tables[name]
        return {"TableDescription": {"TableName": name, "TableStatus": "DELETING"}}

    def _describe_table(self, params: Params) -> Reply:
        table = self._table(params)
        name, count = params.text("TableName"), len(table.items())
        return {"Table": {"TableName": name, "TableStatus": "ACTIVE", "ItemCount": count}}

    def _describe_ttl(self, params: Params) -> Reply:
        ttl = self._table(params).ttl
        on = {"TimeToLiveStatus": "ENABLED", "AttributeName": ttl}
        return {"TimeToLiveDescription": on if ttl else {"TimeToLiveStatus": "DISABLED"}}

    def _update_ttl(self, params: Params) -> Reply:
        table = self._table(params)
        specification = params.child("TimeToLiveSpecification")
        on = specification.values.get("Enabled") is True
        if on == bool(table.ttl):
            raise params.refused(f"TimeToLive is already {'enabled' if on else 'disabled'}")
        table.ttl = specification.text("AttributeName") if on else ""
        return {"TimeToLiveSpecification": dict(specification.values)}
