"""A report of each day's orders, made in the night that follows it, by the clock of Berlin."""

from __future__ import annotations

import csv
import logging
import os
import sqlite3
from contextlib import closing
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from ftq import Context, Registry, RetryPolicy, Tick
from ftq.events import Dead, Succeeded

registry = Registry()
BERLIN = ZoneInfo("Europe/Berlin")


class Report(BaseModel):
    """What came of it."""

    day: str
    hours: int
    orders: int
    cents: int


@registry.every("0 3 * * *", zone="Europe/Berlin", missed="all")
@registry.handler("report.nightly", retry=RetryPolicy(attempts=10, base=60, cap=1800), timeout=3600)
def report(tick: Tick, context: Context) -> Report:
    """Write the report of the day before. Which day it is, the tick says, and not the clock."""
    night = tick.scheduled_for.astimezone(BERLIN)
    begin = datetime.combine(night.date() - timedelta(days=1), time(), BERLIN)
    end = datetime.combine(night.date(), time(), BERLIN)
    with closing(sqlite3.connect(os.environ["SHOP_DB"])) as shop:
        rows = shop.execute(
            "SELECT id, cents FROM orders WHERE at >= ? AND at < ? ORDER BY at",
            [begin.timestamp(), end.timestamp()],
        ).fetchall()
    _write(Path(os.environ["REPORTS"], f"{begin:%Y-%m-%d}.csv"), rows, context)
    hours = round((end.timestamp() - begin.timestamp()) / 3600)
    return Report(
        day=f"{begin:%Y-%m-%d}", hours=hours, orders=len(rows), cents=sum(row[1] for row in rows)
    )


@registry.listen
def announce(event: Dead | Succeeded) -> None:
    """Tell those who wait for it: a line of the log here, a chat or a pager elsewhere."""
    came = "is there" if isinstance(event, Succeeded) else f"will not come: {event.failure.message}"
    logging.getLogger(__name__).info("the report of task %s %s", event.task.id, came)


def _write(path: Path, rows: list[tuple[str, int]], context: Context) -> None:
    # Whole or not at all, and the same however often it is done.
    part = path.with_suffix(f".{context.claim_no}")
    with part.open("w", newline="") as file:
        csv.writer(file).writerows([("order", "cents"), *rows])
    part.replace(path)
