"""A global secondary index in memory: projected, sorted, and as late as one asks it to be."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Final, TypeAlias

from ftq.testing.items import size, sort_key
from ftq.wire.item import Item, Value

Order: TypeAlias = tuple[Decimal, bytes, str]

# "Query" reference: a page ends at 1 MB of items, or at Limit.
PAGE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """Part of what a query found.

    Attributes:
        items: The items, as the index projects them.
        last: The key after which the next page starts, if this one was ended by its size.
    """

    items: list[Item]
    last: Item | None


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound on the range key, of the key's own type.

    Attributes:
        operator: One of ``< <= = >= >``.
        edge: What it is compared with.
    """

    operator: str
    edge: Value

    def span(self, rows: Sequence[tuple[Order, Item]]) -> tuple[int, int]:
        """From where to before which of the ordered rows are within."""
        edge = sort_key(self.edge)
        before = bisect_left(rows, edge, key=_range_of)
        through = bisect_right(rows, edge, key=_range_of)
        match self.operator:
            case "<":
                return 0, before
            case "<=":
                return 0, through
            case ">":
                return through, len(rows)
            case ">=":
                return before, len(rows)
            case _:
                return before, through


class Index:
    """One index.

    Args:
        key: The table's key attribute.
        hash_name: The attribute that names a partition.
        range_name: The attribute that orders it.
        projected: The attributes it carries beside the keys; None for all.
        lag: Milliseconds by which it follows the table: reads of an index are always
            eventually consistent.
    """

    def __init__(
        self,
        key: str,
        hash_name: str,
        range_name: str,
        projected: frozenset[str] | None,
        lag: int = 0,
    ) -> None:
        """Begin empty."""
        self.hash_name = hash_name
        self.range_name = range_name
        self.lag = lag
        self._key = key
        self._projected = projected
        # The rows of a partition in their order, and where each key's row is.
        self._rows: dict[str, list[tuple[Order, Item]]] = {}
        self._places: dict[str, tuple[str, Order]] = {}
        self._pending: deque[tuple[int, str, Item | None]] = deque()

    def write(self, key: str, old: Item | None, new: Item | None, now: int) -> int:
        """Take over a write of the table; returns the write units that it costs here.

        "Global secondary indexes", provisioned throughput: nothing if no projected attribute
        changed, two writes if the index's own key did.
        """
        before, after = self._project(old), self._project(new)
        if before == after:
            return 0
        self._pending.append((now + self.lag, key, after))
        if before is None or after is None:
            return units(before, after)
        moved = any(before[name] != after[name] for name in (self.hash_name, self.range_name))
        return units(before, None) + units(after, None) if moved else units(before, after)

    def query(
        self,
        partition: str,
        bound: Bound | None,
        *,
        now: int,
        forward: bool = True,
        limit: int | None = None,
        start: Item | None = None,
    ) -> Page:
        """The items of a partition whose range key is within a bound, in order."""
        self._catch_up(now)
        rows = self._rows.get(partition, [])
        first, last = (0, len(rows)) if bound is None else bound.span(rows)
        if start is not None:
            edge = self._order(start)
            if forward:
                first = max(first, bisect_right(rows, edge, key=_order_of))
            else:
                last = min(last, bisect_left(rows, edge, key=_order_of))
        numbers = range(first, last) if forward else range(last - 1, first - 1, -1)
        found = (rows[n][1] for n in numbers)
        # One more than the page, to know whether anything follows.
        return self._page(list(islice(found, None if limit is None else limit + 1)), limit)

    def _page(self, found: list[Item], limit: int | None) -> Page:
        taken: list[Item] = []
        total = 0
        for row in islice(found, limit):
            taken.append(dict(row))
            total += size(row)
            if total >= PAGE_BYTES:
                break
        # A page that Limit ended has a last key even if nothing follows, as on AWS.
        ended = bool(taken) and (len(taken) == limit or len(taken) < len(found))
        names = (self._key, self.hash_name, self.range_name)
        return Page(taken, {name: taken[-1][name] for name in names} if ended else None)

    def _order(self, row: Item) -> Order:
        return (*sort_key(row[self.range_name]), row[self._key]["S"])

    def _project(self, item: Item | None) -> Item | None:
        if item is None or self.hash_name not in item or self.range_name not in item:
            return None
        if self._projected is None:
            return item
        names = {self._key, self.hash_name, self.range_name} | self._projected
        return {name: value for name, value in item.items() if name in names}

    def _catch_up(self, now: int) -> None:
        while self._pending and self._pending[0][0] <= now:
            _, key, row = self._pending.popleft()
            place = self._places.pop(key, None)
            if place is not None:
                rows = self._rows[place[0]]
                del rows[bisect_left(rows, place[1], key=_order_of)]
            if row is not None:
                partition, order = row[self.hash_name]["S"], self._order(row)
                self._places[key] = partition, order
                insort(self._rows.setdefault(partition, []), (order, row), key=_order_of)


def _order_of(row: tuple[Order, Item]) -> Order:
    return row[0]


def _range_of(row: tuple[Order, Item]) -> tuple[Decimal, bytes]:
    return row[0][:2]


def units(old: Item | None, new: Item | None) -> int:
    """Write units of a write: one for each KiB of the larger of both items, at least one."""
    largest = max(size(old) if old else 0, size(new) if new else 0)
    return max(1, -(-largest // 1024))
