"""Reading many records at once, and the index that leads to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from api_lambda.service import Service
from ftq.errors import Throttled
from ftq.task import Task
from ftq.wire import index, table
from ftq.wire.index import Row
from ftq.wire.item import Item

# What one BatchGetItem leaves unread is asked for again, this often.
TRIES: Final = 4


def read_rows(
    service: Service,
    bucket: str,
    limit: int,
    *,
    start: Item | None = None,
    newest_first: bool = False,
    until: int | None = None,
    since: int | None = None,
) -> tuple[list[Row], Item | None]:
    """A page of a shard, and where the next one starts; as `ftq.wire.index.page`."""
    asked = index.page(
        service.table,
        bucket,
        limit,
        start=start,
        newest_first=newest_first,
        until=until,
        since=since,
    )
    items, last = table.read_page(service.port.call(asked))
    return [row for row in map(index.read_row, items) if row is not None], last


def read_records(service: Service, keys: Sequence[str]) -> dict[str, Task]:
    """Records by id, as they are now; what is missing is gone, or no record.

    Args:
        service: The service.
        keys: Up to ``KEYS_PER_READ`` different ids.

    Raises:
        CallError: Not all could be read.
    """
    found: dict[str, Task] = {}
    left = list(keys)
    for _ in range(TRIES):
        if not left:
            return found
        reply = service.port.call(table.get_many(service.table, left))
        found |= {task.id: task for task in table.read_get_many(reply, service.table)}
        left = table.read_unprocessed(reply, service.table)
    if left:
        raise Throttled("BatchGetItem", "Unprocessed", "some keys were not read at any try")
    return found
