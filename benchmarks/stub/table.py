"""The DynamoDB half: items in a dictionary, written by compiled statements."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypedDict

from benchmarks.stub.partiql import KEY, Compiled, Item, Value, compile_statement
from benchmarks.stub.refusal import Refusal

FINAL: Final = frozenset({"succeeded", "dead", "cancelled"})
NOT_MET: Final = "The conditional request failed"
OPEN_PAGE: Final = 1000


class StatementRequest(TypedDict, total=False):
    """One statement, alone or in a batch."""

    Statement: str
    Parameters: list[Value]
    ReturnValuesOnConditionCheckFailure: str


class Keys(TypedDict):
    """What BatchGetItem asks of one table."""

    Keys: list[Item]


class Request(StatementRequest, total=False):
    """Every field of a DynamoDB call that the stub reads."""

    TableName: str
    Statements: list[StatementRequest]
    Item: Item
    Key: Item
    RequestItems: dict[str, Keys]
    KeyConditionExpression: str
    ExpressionAttributeValues: Item
    Limit: int
    ConditionExpression: str


Reply: TypeAlias = Mapping[str, object]


@dataclass(slots=True)
class Table:
    """One table, and its index: which items are in which bucket."""

    items: dict[str, Item] = field(default_factory=dict)
    buckets: dict[str, dict[str, None]] = field(default_factory=dict)

    def store(self, key: str, old: Item | None, new: Item) -> None:
        """Put an item in the place of what was there."""
        self.items[key] = new
        if old is not None and "bucket" in old:
            self.buckets[old["bucket"]["S"]].pop(key, None)
        if "bucket" in new:
            self.buckets.setdefault(new["bucket"]["S"], {})[key] = None


class Tables:
    """All tables; one key each, named id.

    Attributes:
        operations: The calls, by name.
        entries: Statements and keys, by the call that brought them.
        settled: When each item reached a final state, on the monotonic clock in ns.
        refused: Statements whose condition did not hold.
    """

    def __init__(self) -> None:
        """No tables yet."""
        self.operations: Final[Mapping[str, Callable[[Request], Reply]]] = {
            "BatchExecuteStatement": self._batch_execute,
            "BatchGetItem": self._batch_get,
            "CreateTable": self._create,
            "DeleteTable": self._delete,
            "DescribeTable": self._described,
            "ExecuteStatement": self._execute,
            "GetItem": self._get,
            "PutItem": self._put,
            "Query": self._query,
            "UpdateTimeToLive": lambda _: {},
        }
        self.entries: Counter[str] = Counter()
        self.settled: dict[str, int] = {}
        self.refused = 0
        self._tables: dict[str, Table] = {}
        self._compiled: dict[str, Compiled] = {}

    def states(self) -> dict[str, int]:
        """How many items are in each state."""
        items = (item for table in self._tables.values() for item in table.items.values())
        return Counter(item["state"]["S"] for item in items if "state" in item)

    def _batch_execute(self, request: Request) -> Reply:
        statements = request["Statements"]
        if not 1 <= len(statements) <= 25:
            raise Refusal("ValidationException", "1 to 25 statements")
        planned = [self._planned(each) for each in statements]
        if len({key for _, key in planned}) < len(planned):
            raise Refusal("ValidationException", "multiple operations on one item")
        self.entries["BatchExecuteStatement"] += len(planned)
        run = self._run
        return {
            "Responses": [run(*how, each) for how, each in zip(planned, statements, strict=True)]
        }

    def _execute(self, request: Request) -> Reply:
        compiled, key = self._planned(request)
        self.entries["ExecuteStatement"] += 1
        response = self._run(compiled, key, request)
        error = response.get("Error")
        if isinstance(error, dict):
            kind = error.pop("Code")
            raise Refusal(f"{kind}Exception", error.pop("Message"), error)
        return {"Items": [response["Item"]] if "Item" in response else []}

    def _planned(self, request: StatementRequest) -> tuple[Compiled, str]:
        text, parameters = request["Statement"], request["Parameters"]
        compiled = self._compiled.get(text)
        if compiled is None:
            compiled = self._compiled[text] = compile_statement(text)
        if len(parameters) != compiled.parameters:
            raise Refusal("ValidationException", f"{compiled.parameters} parameters expected")
        return compiled, parameters[compiled.key_at]["S"]

    def _run(self, compiled: Compiled, key: str, request: StatementRequest) -> dict[str, object]:
        table = self._tables.get(compiled.table)
        if table is None:
            return {"Error": {"Code": "ResourceNotFound", "Message": "no such table"}}
        old, parameters = table.items.get(key), request["Parameters"]
        if compiled.inserts:
            if old is not None:
                error = {"Code": "DuplicateItem", "Message": "Duplicate primary key exists"}
                return {"Error": error, "TableName": compiled.table}
            table.store(key, None, compiled.apply({}, parameters))
            return {"TableName": compiled.table}
        if old is None or not compiled.holds(old, parameters):
            self.refused += 1
            refusal: dict[str, object] = {"Code": "ConditionalCheckFailed", "Message": NOT_MET}
            if old is not None and request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
                refusal["Item"] = old
            return {"Error": refusal, "TableName": compiled.table}
        try:
            new = compiled.apply(old, parameters)
        except KeyError as missing:
            error = {"Code": "ValidationError", "Message": f"no attribute {missing} to add to"}
            return {"Error": error, "TableName": compiled.table}
        if compiled.moves:
            table.store(key, old, new)
        else:
            table.items[key] = new
        if compiled.state_at >= 0 and parameters[compiled.state_at]["S"] in FINAL:
            self.settled[key] = time.monotonic_ns()
        if compiled.returning:
            return {"TableName": compiled.table, "Item": old}
        return {"TableName": compiled.table}

    def _put(self, request: Request) -> Reply:
        self.entries["PutItem"] += 1
        table, item = self._table(request), request["Item"]
        key = item[KEY]["S"]
        old = table.items.get(key)
        if old is not None and "attribute_not_exists" in request.get("ConditionExpression", ""):
            self.refused += 1
            raise Refusal("ConditionalCheckFailedException", NOT_MET, {"Item": old})
        table.store(key, old, item)
        return {}

    def _get(self, request: Request) -> Reply:
        self.entries["GetItem"] += 1
        item = self._table(request).items.get(request["Key"][KEY]["S"])
        return {} if item is None else {"Item": item}

    def _batch_get(self, request: Request) -> Reply:
        responses: dict[str, list[Item]] = {}
        for name, asked in request["RequestItems"].items():
            self.entries["BatchGetItem"] += len(asked["Keys"])
            keys = [key[KEY]["S"] for key in asked["Keys"]]
            items = self._tables[name].items
            responses[name] = [items[key] for key in keys if key in items]
        return {"Responses": responses, "UnprocessedKeys": {}}

    def _query(self, request: Request) -> Reply:
        """The one query there is: a bucket's items up to a `due_at`, oldest first, one page."""
        if request["KeyConditionExpression"] != "#b = :b AND #d <= :d":
            raise Refusal("ValidationException", "the stub knows one query")
        values = request["ExpressionAttributeValues"]
        bucket, until = values[":b"]["S"], int(values[":d"]["N"])
        table = self._table(request)
        items = (table.items[key] for key in table.buckets.get(bucket, ()))
        due = sorted(
            (item for item in items if int(item["due_at"]["N"]) <= until),
            key=lambda item: int(item["due_at"]["N"]),
        )
        page = due[: request.get("Limit", OPEN_PAGE)]
        return {"Items": page, "Count": len(page), "ScannedCount": len(page)}

    def _table(self, request: Request) -> Table:
        table = self._tables.get(request["TableName"])
        if table is None:
            raise Refusal("ResourceNotFoundException", "no such table")
        return table

    def _create(self, request: Request) -> Reply:
        self._tables.setdefault(request["TableName"], Table())
        return self._described(request)

    def _delete(self, request: Request) -> Reply:
        reply = self._described(request)
        del self._tables[request["TableName"]]
        return reply

    def _described(self, request: Request) -> Reply:
        self._table(request)
        description = {"TableName": request["TableName"], "TableStatus": "ACTIVE"}
        return {"TableDescription": description, "Table": description}
