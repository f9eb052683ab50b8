"""Writes what must be written, however long the table takes."""

from __future__ import annotations

import asyncio
from typing import Final

from ftq.errors import Throttled, Unavailable
from ftq.wire.statements import Statement
from ftq.wire.table import Duplicate, Refused, Written
from ftq_daemon.queue import Received
from ftq_daemon.store import Store

# Visibility timeouts for which it is tried, and for which the message is kept hidden.
PATIENCE: Final = 10
KEPT: Final = 3


async def insist(
    store: Store, received: Received, statement: Statement
) -> Written | Refused | Duplicate:
    """Write the last word on a claim, and meanwhile keep its message to ourselves.

    If it came back before the table answers, whoever claimed it would take our silence for a
    crash. Bounded, for it may be only us who cannot reach the table.

    Raises:
        CallError: It could not be written, long past the end of the lease.
    """
    loop, visibility = asyncio.get_running_loop(), received.queue.visibility
    began = loop.time()
    patience = began + PATIENCE * visibility
    kept_until = began + KEPT * visibility
    while True:
        try:
            return await store.write(statement, loop.time() + visibility / 4)
        except (Throttled, Unavailable):
            if loop.time() > patience:
                raise
        # Between two tries, never beside one: an extension that came after the write would undo
        # the hide that follows it.
        if loop.time() < kept_until and loop.time() - received.seen > visibility / 3:
            await received.queue.extend(received)
