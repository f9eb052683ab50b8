"""A bank that is slow, and takes each key once: as those that have idempotency keys do."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

# What it takes to answer.
SECONDS = 1.0


class Bank:
    """A bank.

    Args:
        path: Its books.
    """

    def __init__(self, path: str) -> None:
        """Open the books."""
        self._path = path

    def charge(self, key: str, cents: int) -> str:
        """Pay; a key that it knows gets the receipt that it got then.

        It has written it down some time before the answer is back.
        """
        with closing(sqlite3.connect(self._path)) as books:
            with books:
                books.execute(
                    "INSERT INTO payments VALUES (?, ?, 1)"
                    " ON CONFLICT (key) DO UPDATE SET asked = asked + 1",
                    [key, cents],
                )
            time.sleep(SECONDS)
        return f"receipt-{key[:8]}"

    @property
    def books(self) -> dict[str, tuple[int, int]]:
        """Cents, and how often it was asked, by key."""
        with closing(sqlite3.connect(self._path)) as books:
            rows = books.execute("SELECT key, cents, asked FROM payments").fetchall()
        return {key: (cents, asked) for key, cents, asked in rows}


def open_books(shop: str, bank: str) -> None:
    """Make the shop's database, and the bank's."""
    with closing(sqlite3.connect(shop)) as made, made:
        made.execute("CREATE TABLE payments (id TEXT PRIMARY KEY, claim_no INTEGER, receipt TEXT)")
        made.execute("CREATE TABLE turnover (cents INTEGER)")
        made.execute("INSERT INTO turnover VALUES (0)")
    with closing(sqlite3.connect(bank)) as made, made:
        made.execute("CREATE TABLE payments (key TEXT PRIMARY KEY, cents INTEGER, asked INTEGER)")
