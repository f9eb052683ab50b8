"""Submits what is scheduled by the clock: each tick once in the whole fleet.

Every daemon watches. A tick's task has an id of its own, and is put only if it is absent, so that
however many daemons submit it, there is one. The mark of each schedule in the table spares most of
them the try, and tells what was missed while no daemon was there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ftq.errors import CallError, SubmissionError
from ftq.registry import Registry
from ftq.schedule import Schedule, due, next_after
from ftq.submission import Plan, Submission, Terms, plan
from ftq.text import parse
from ftq.wire import queue as wire
from ftq.wire import schedules
from ftq_daemon.clock import World
from ftq_daemon.events import Events, Failed, Ticked
from ftq_daemon.queue import Queue
from ftq_daemon.store import Store, in_seconds

# Daemons do not all submit at once: whoever comes later finds the mark moved on.
SPREAD_SECONDS: Final = 5.0
# However far the next tick is, for the clock may be set.
LONGEST_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 1.0


@dataclass(slots=True)
class Ticker:
    """Submits the scheduled tasks of a registry.

    Attributes:
        registry: The handlers and their schedules.
        store: The table.
        queues: The queues by URL.
        terms: What is added to each submission.
        world: Clock and dice.
        events: Where facts are told.
    """

    registry: Registry
    store: Store
    queues: Mapping[str, Queue]
    terms: Terms
    world: World
    events: Events
    _marks: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Watch the clock until cancelled."""
        while True:
            failed = False
            for schedule in self.registry.schedules:
                try:
                    await self._look(schedule)
                except (CallError, SubmissionError) as error:
                    failed = True
                    self.events.emit(Failed(f"schedule {schedule.key}", str(error)))
            # A tick that failed is still in time if it is tried again soon.
            spread = self.world.dice() * SPREAD_SECONDS
            await asyncio.sleep(RETRY_SECONDS + spread if failed else self._pause())

    def _pause(self) -> float:
        now = self.world.now()
        nearest = min(
            (next_after(schedule, now) for schedule in self.registry.schedules), default=None
        )
        if nearest is None or nearest - now > LONGEST_SECONDS * 1000:
            return LONGEST_SECONDS
        # A little past it, for the tick is over only then.
        return (nearest - now) / 1000 + 0.001 + self.world.dice() * SPREAD_SECONDS

    async def _look(self, schedule: Schedule) -> None:
        """Submit what is due of one schedule.

        Raises:
            CallError: The table did not answer; the next look tries again.
        """
        known = self._marks.get(schedule.key)
        if known is not None and not due(schedule, known, self.world.now()):
            return
        mark = await self._mark(schedule)
        ticks = due(schedule, mark, self.world.now())
        for tick in ticks:
            await self._submit(schedule, tick)
        if ticks:
            mark = ticks[-1]
            # After the submissions: a crash between the two repeats them, and changes nothing.
            await self.store.write(
                schedules.advance(self.store.statements.table, schedule.key, mark),
                in_seconds(PATIENCE_SECONDS),
            )
        self._marks[schedule.key] = mark

    async def _mark(self, schedule: Schedule) -> int:
        mark = await self.store.mark(schedule.key)
        if mark is not None:
            return mark
        # A schedule that is new begins now: what lies before it was never promised.
        now = self.world.now()
        begin = schedules.begin(self.store.statements.table, schedule.key, now)
        await self.store.write(begin, in_seconds(PATIENCE_SECONDS))
        return now

    async def _submit(self, schedule: Schedule, tick: int) -> None:
        handler = self.registry.get(schedule.type)
        asked = Submission(
            schedule.type,
            parse(schedule.payload_at(tick)),
            schedule.key_at(tick),
            queue=handler.queue if handler else "",
        )
        planned = plan(asked, self.terms, self.world.now())
        if await self._put(planned):
            self.events.emit(Ticked(planned.task, tick))
            # That the send fails is no loss: the sweeper sends what was put.
            queue = self.queues[planned.task.queue]
            await queue.send(wire.of_task(planned.task, planned.task.payload))

    async def _put(self, planned: Plan) -> bool:
        """Store a task; whether it was not there yet."""
        if planned.beside is not None:
            await self.store.put_beside(planned.beside, planned.payload, planned.beside_expires_at)
        return await self.store.put(planned.task)
