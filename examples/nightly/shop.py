"""A shop with an order each half hour."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path


def open_shop(path: Path, since: datetime, days: int) -> None:
    """Fill a database with orders."""
    with closing(sqlite3.connect(path)) as shop, shop:
        shop.execute("CREATE TABLE orders (id TEXT PRIMARY KEY, at REAL, cents INTEGER)")
        shop.executemany("INSERT INTO orders VALUES (?, ?, ?)", _orders(since, days))


def _orders(since: datetime, days: int) -> Iterator[tuple[str, float, int]]:
    for n in range(days * 48):
        yield f"order-{n}", (since + timedelta(minutes=30 * n)).timestamp(), 1000 + n
