"""Keeps claims alive: one loop renews the leases of all attempts that outlast a beat.

Short tasks cost nothing here but an entry in a dictionary.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ftq import lease
from ftq.errors import CallError
from ftq.outcome import CancelAsked, Interrupted, Lost
from ftq.task import Entry, Task
from ftq.wire.table import Written
from ftq_daemon.clock import World
from ftq_daemon.events import Events, Failed
from ftq_daemon.queue import Received
from ftq_daemon.runner import Attempt
from ftq_daemon.store import Store


@dataclass(slots=True, eq=False)
class Holding:
    """A claim of ours whose handler runs.

    Attributes:
        task: The record with our claim in it.
        received: Its message.
        attempt: The run.
        renewed: Loop time of the last renewal that is known to hold.
        cancel_asked: Whether a renewal brought word that the task is to be cancelled.
        renewal: The renewal under way.
        busy: Whether another write renews it, and so no renewal may begin.
        keeping: The last extension of the message's visibility, once cut off from the table.
        released: No further renewal: the claim is about to be settled.
    """

    task: Task
    received: Received
    attempt: Attempt
    renewed: float
    cancel_asked: bool = False
    renewal: asyncio.Task[None] | None = None
    busy: bool = False
    keeping: asyncio.Task[None] | None = None
    released: bool = False


class Beat:
    """Renews what is held.

    Args:
        store: The table.
        visibility: The visibility timeout in milliseconds.
        world: The clock.
        events: Where faults are told.
    """

    def __init__(self, store: Store, visibility: int, world: World, events: Events) -> None:
        """Set up; `run` does the work."""
        self._store = store
        self._world = world
        self._events = events
        self._visibility = visibility
        self._interval = lease.beat_interval(visibility) / 1000
        self._zombie_after = lease.zombie_after(visibility) / 1000
        # A dict for its order: renewals go out in the order of the claims, in every run.
        self._held: dict[Holding, None] = {}

    @property
    def held(self) -> int:
        """How many claims are held."""
        return len(self._held)

    def hold(self, holding: Holding) -> None:
        """Keep a claim alive from now on."""
        self._held[holding] = None

    async def release(self, holding: Holding) -> None:
        """Stop keeping a claim alive, *before* it is settled: a late beat would undo a hide."""
        self._held.pop(holding, None)
        holding.released = True
        for under_way in (holding.renewal, holding.keeping):
            if under_way is not None:
                await under_way

    def is_cut_off(self, holding: Holding) -> bool:
        """Whether a claim was last renewed so long ago that it must be taken for lost (R14)."""
        return asyncio.get_running_loop().time() - holding.renewed >= self._zombie_after

    async def run(self) -> None:
        """Look around until cancelled."""
        pause = min(1.0, self._interval / 4)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(pause)
            now = loop.time()
            for holding in tuple(self._held):
                since = now - holding.renewed
                if since >= self._zombie_after:
                    self._cut_off(holding, since)
                elif since >= self._interval and not (holding.renewal or holding.busy):
                    holding.renewal = loop.create_task(self._renew(holding))

    def _cut_off(self, holding: Holding, since: float) -> None:
        """Stop a handler whose lease may be over by the time that the table answers (R14).

        The task is not to blame: its claim is given back as soon as can be, and the fence
        refuses that if somebody else has it by then. Until then its message stays hidden, if it
        still is, for whoever got it would take our silence for a crash.
        """
        if not holding.attempt.signals.lost and since < self._visibility / 1000:
            holding.keeping = asyncio.get_running_loop().create_task(self._keep(holding))
        holding.attempt.signals.tell(lost=True)
        holding.attempt.end(Interrupted())

    async def _keep(self, holding: Holding) -> None:
        await holding.received.queue.extend(holding.received)

    async def write_crash(self, holding: Holding) -> bool:
        """R17: write down that the claim before ours crashed, and renew ours with it.

        Returns:
            Whether the claim is still ours.

        Raises:
            CallError: The table did not answer.
        """
        if holding.renewal is not None:
            await holding.renewal
        # One renewal at a time: of two, the one that arrives last would set the lease's end.
        holding.busy = True
        try:
            written = await self._renew_table(holding, holding.task.history)
            if written:
                await holding.received.queue.extend(holding.received)
            return written
        finally:
            holding.busy = False

    async def _renew(self, holding: Holding) -> None:
        try:
            await self._renew_table(holding)
            # Visibility follows the lease; should it fail, the lease still refuses everybody.
            if not (holding.released or holding.attempt.signals.lost):
                await holding.received.queue.extend(holding.received)
        except CallError as error:
            self._events.emit(Failed("beat", str(error), holding.task.id))
        finally:
            holding.renewal = None

    async def _renew_table(
        self, holding: Holding, history: tuple[Entry, ...] | None = None
    ) -> bool:
        started = asyncio.get_running_loop().time()
        end = lease.lease_end(self._world.now(), self._visibility)
        task = holding.task
        beat = self._store.statements.beat(task.id, task.claim_no, end, history)
        result = await self._store.write(beat, started + self._interval)
        if not isinstance(result, Written):
            if not holding.released:
                holding.attempt.end(Lost())
            return False
        holding.renewed = started
        if result.old is not None and result.old.cancel_requested:
            holding.cancel_asked = True
            holding.attempt.end(CancelAsked())
        return True
