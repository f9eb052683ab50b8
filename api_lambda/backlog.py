"""How much waits and for how many daemons, told by the scheduled sweep.

For dashboards, and for scaling of one's own: deploy/ecs/scaling.yaml asks SQS and ECS itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ftq.emf import Value
from ftq.ports import SyncPort
from ftq.report import STALE, Report
from ftq.wire import index, queue, reports, table
from ftq.wire.item import Item
from ftq.wire.table import KEYS_PER_READ

# Daemons beyond a thousand are not counted.
MOST_PAGES: Final = 10


def backlog(port: SyncPort, table_name: str, urls: Iterable[str], now: int) -> dict[str, Value]:
    """How much waits, for how many daemons.

    Args:
        port: The way to AWS.
        table_name: The table of records.
        urls: The queues.
        now: Milliseconds since the epoch.

    Raises:
        CallError: AWS did not answer.
    """
    depths = [queue.read_attributes(port.call(queue.depth(url))) for url in urls]
    visible = sum(int(depth.get("ApproximateNumberOfMessages", 0)) for depth in depths)
    daemons = sum(not (each.stopped or each.draining) for each in _fresh(port, table_name, now))
    # Nobody is asked to divide by zero: a backlog that nobody works on is one daemon's, at least.
    per_daemon = visible / max(1, daemons)
    return {
        "BacklogVisible": visible,
        "DaemonsReporting": daemons,
        "BacklogPerDaemon": round(per_daemon, 3),
    }


def _fresh(port: SyncPort, table_name: str, now: int) -> Iterable[Report]:
    start: Item | None = None
    for _ in range(MOST_PAGES):
        asked = index.page(
            table_name, reports.BUCKET, KEYS_PER_READ, start=start, since=now - STALE
        )
        items, start = table.read_page(port.call(asked))
        keys = [row.id for row in map(index.read_row, items) if row is not None]
        if keys:
            found = port.call(reports.get_many(table_name, keys))
            yield from reports.read_get_many(found, table_name)
        if start is None:
            return
