"""The intakes of all queues of a daemon, as one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ftq_daemon.intake import Intake
from ftq_daemon.slots import Slots


@dataclass(frozen=True, slots=True)
class Intakes:
    """One intake for each queue, over slots that they share.

    Attributes:
        each: The intakes.
        slots: What may be in hand at once.
    """

    each: Sequence[Intake]
    slots: Slots

    @property
    def attempts(self) -> set[asyncio.Task[None]]:
        """The messages in hand."""
        if len(self.each) == 1:
            return self.each[0].attempts
        return {task for intake in self.each for task in intake.attempts}

    @property
    def answered(self) -> bool:
        """Whether the last receive from each queue was answered."""
        return all(intake.answered for intake in self.each)

    @property
    def stalled_for(self) -> float:
        """Seconds that the oldest receive under way is overdue, beyond the long poll itself."""
        return max(intake.stalled_for for intake in self.each)

    @property
    def longest_receive(self) -> float:
        """Seconds after which a receive under way has come back or failed."""
        return max(intake.longest_receive for intake in self.each)

    def stop(self) -> None:
        """Start no further receive; those under way are awaited by `run`."""
        for intake in self.each:
            intake.stop()

    async def run(self) -> None:
        """Poll until stopped; returns when the last receive has come back."""
        async with asyncio.TaskGroup() as group:
            for intake in self.each:
                group.create_task(intake.run())
