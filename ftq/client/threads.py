"""A port that blocks, for an event loop."""

from __future__ import annotations

from dataclasses import dataclass

import anyio.to_thread

from ftq.ports import Call, Reply, SyncPort


@dataclass(frozen=True, slots=True)
class InThreads:
    """Makes the calls of a port that blocks in threads, so that a loop can await them.

    Attributes:
        port: The port, safe to use from several threads, such as that of `ftq.aws.connect`.
    """

    port: SyncPort

    async def call(self, call: Call) -> Reply:
        """Make one call; raises as `ftq.ports.Port.call` does."""
        # Not given up half-way: a call that goes on unseen would be repeated beside itself.
        return await anyio.to_thread.run_sync(self.port.call, call)
