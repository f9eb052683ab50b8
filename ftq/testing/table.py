"""One DynamoDB table in memory: what AWS documents about items, conditions and indexes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from ftq.limits import ITEM_BYTES
from ftq.testing import partiql
from ftq.testing.index import Index, units
from ftq.testing.items import size
from ftq.wire.item import Item, Value

_CONDITION: Final = "The conditional request failed"

TableWatcher: TypeAlias = Callable[[str, Item | None, Item | None], None]
"""Told of each write that was applied: the key, the item before it and after it."""


class WriteRefused(Exception):  # an answer of the table, no fault of anybody
    """A write that was not applied.

    Attributes:
        code: As in BatchStatementError (DynamoDB reference): ``ConditionalCheckFailed``,
            ``DuplicateItem`` or ``ValidationError``.
        message: In AWS's words.
        item: The item that stood in the way.
    """

    def __init__(self, code: str, message: str, item: Item | None = None) -> None:
        """Keep the answer."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.item = item


class MemoryTable:
    """One table.

    Args:
        key: The key attribute, a text.
        types: The types of the attributes that indexes use, as in AttributeDefinitions.
        indexes: Its indexes by name.
        now: The wall clock, in milliseconds since the epoch.

    Attributes:
        ttl: The attribute that holds when an item goes, in seconds since the epoch; '' while
            that is off.
        write_units: Write capacity consumed so far, that of the indexes included.
        watchers: Who is told of each write.
    """

    def __init__(
        self,
        key: str,
        types: dict[str, str],
        indexes: dict[str, Index],
        now: Callable[[], int],
    ) -> None:
        """Begin empty."""
        self.key = key
        self.ttl = ""
        self.write_units = 0
        self.indexes = indexes
        self.watchers: list[TableWatcher] = []
        self._types = types
        self._now = now
        self._items: dict[str, Item] = {}

    def items(self) -> dict[str, Item]:
        """Everything in it by key, for tests to look at."""
        return {key: dict(item) for key, item in self._items.items()}

    def get(self, key: str) -> Item | None:
        """One item as it is now."""
        item = self._items.get(key)
        return None if item is None else dict(item)

    def put(self, item: Item, *, if_absent: bool) -> None:
        """Write a whole item.

        Raises:
            WriteRefused: An item with this key is there, or the item is not legal.
        """
        key = item.get(self.key, {}).get("S", "")
        if not key:
            raise WriteRefused("ValidationError", f"the key {self.key} is missing")
        old = self._items.get(key)
        if if_absent and old is not None:
            self.write_units += units(old, None)
            raise WriteRefused("ConditionalCheckFailed", _CONDITION, dict(old))
        self._write(key, old, dict(item))

    def key_of(self, parsed: partiql.Parsed, parameters: Sequence[Value]) -> str:
        """The key of the item that a statement writes.

        Raises:
            WriteRefused: It names none.
        """
        try:
            return partiql.key_value(parsed, self.key, parameters)
        except partiql.Malformed as error:
            raise WriteRefused("ValidationError", str(error)) from None

    def execute(self, parsed: partiql.Parsed, parameters: Sequence[Value]) -> Item | None:
        """Apply a statement; returns the item before it where that was asked for.

        Raises:
            WriteRefused: It was not applied; the old item comes with a failed condition.
        """
        key = self.key_of(parsed, parameters)
        old = self._items.get(key)
        if isinstance(parsed, partiql.Insert):
            if old is not None:
                self.write_units += units(old, None)
                message = "Duplicate primary key exists in table"
                raise WriteRefused("DuplicateItem", message, dict(old))
            self._write(key, None, partiql.inserted(parsed, parameters))
            return None
        if old is None or not partiql.holds(parsed, old, parameters):
            self.write_units += units(old, None)
            raise WriteRefused("ConditionalCheckFailed", _CONDITION, dict(old) if old else None)
        try:
            new = partiql.applied(parsed, old, parameters)
        except partiql.Malformed as error:
            raise WriteRefused("ValidationError", str(error)) from None
        self._write(key, old, new)
        return dict(old) if parsed.returning else None

    def delete(self, key: str) -> None:
        """Remove an item, if it is there."""
        self._write(key, self._items.get(key), None)

    def expire(self, now: int | None = None) -> int:
        """Remove what has outlived its TTL; returns how many items that were.

        AWS does it "within a few days" of the moment, so nothing here does it by itself.

        Args:
            now: Milliseconds since the epoch; None for the table's own clock.
        """
        seconds = (self._now() if now is None else now) // 1000
        over = [
            key
            for key, item in self._items.items()
            if self.ttl and int(item.get(self.ttl, {}).get("N", seconds + 1)) <= seconds
        ]
        for key in over:
            # Removal by TTL consumes no write capacity.
            self._write(key, self._items[key], None, free=True)
        return len(over)

    def _write(self, key: str, old: Item | None, new: Item | None, *, free: bool = False) -> None:
        if new is not None:
            self._check(new)
            self._items[key] = new
        else:
            self._items.pop(key, None)
        now = self._now()
        cost = units(old, new)
        for index in self.indexes.values():
            cost += index.write(key, old, new, now)
        self.write_units += 0 if free else cost
        for tell in self.watchers:
            tell(key, old, new)

    def _check(self, item: Item) -> None:
        # "Service, account, and table quotas": an item has at most 400 KB, its names included.
        if size(item) > ITEM_BYTES:
            message = "Item size has exceeded the maximum allowed size"
            raise WriteRefused("ValidationError", message)
        for name, kind in self._types.items():
            if name in item and not item[name].get(kind):
                message = f"the key attribute {name} must be of type {kind} and not empty"
                raise WriteRefused("ValidationError", message)
