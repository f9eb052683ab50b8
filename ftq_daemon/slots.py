"""What may be in hand at once, and whose turn it is to take it.

Queues that share a daemon share its slots. While slots are free, whoever asks takes them; once they
are short, turns decide: strictly by rank, and within a rank by weight, as start-time fair queuing
does (Goyal, Vin and Cheng, 1996): who has taken least for its weight comes first, and who was away
has saved nothing up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import Final

# With fewer slots free than one receive can fill, wait at most this long for some more.
GATHER_SECONDS: Final = 0.005


@dataclass(slots=True, eq=False)
class Turn:
    """A queue among those that share slots.

    Attributes:
        weight: Its share of the slots that queues of its rank take.
        rank: A lower one comes first, always.
        taken: Slots taken so far, for its weight.
    """

    weight: int = 1
    rank: int = 0
    taken: float = 0.0


class Slots:
    """Counts what may be in hand at once: received, running, or being settled.

    Args:
        total: How many.
    """

    def __init__(self, total: int) -> None:
        """All are free."""
        self.total = total
        self.free = total
        self._wanting: Counter[Turn] = Counter()
        # What the last one served had taken, by rank: who comes back begins there.
        self._reached: dict[int, float] = {}
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def taken(self) -> int:
        """How many are in use."""
        return self.total - self.free

    async def take(self, most: int, turn: Turn) -> int:
        """Take up to `most` slots, as soon as there is one and its turn comes; 0 once closed."""
        self._enter(turn)
        try:
            await self._mine(turn)
            if self.free < min(most, self.total):
                await self._gather(min(most, self.total))
                await self._mine(turn)
            if self._closed:
                return 0
            count = min(most, self.free)
            self._count(turn, count)
            return count
        finally:
            self._leave(turn)

    async def take_one(self, turn: Turn) -> None:
        """Take a slot for a message that is there already, in its turn; at once when closed."""
        self._enter(turn)
        try:
            await self._mine(turn)
            self._count(turn, 1)
        finally:
            self._leave(turn)

    async def come(self, turn: Turn) -> bool:
        """Wait for its turn and let it pass, taking nothing; False once closed."""
        self._enter(turn)
        try:
            await self._mine(turn)
        finally:
            self._leave(turn)
        return not self._closed

    def give(self, count: int, unused_by: Turn | None = None) -> None:
        """Give slots back; those that a turn did not use are not held against it."""
        self.free += count
        if unused_by is not None:
            unused_by.taken -= count / unused_by.weight
        self._changed.set()

    def resize(self, total: int) -> None:
        """Have so many from now on; what is taken beyond that is not taken away."""
        self.free += total - self.total
        self.total = total
        self._changed.set()

    def close(self) -> None:
        """No slot any more: whoever waits for one gets none."""
        self._closed = True
        self._changed.set()

    def _enter(self, turn: Turn) -> None:
        if not self._wanting[turn]:
            turn.taken = max(turn.taken, self._reached.get(turn.rank, 0.0))
        self._wanting[turn] += 1

    def _count(self, turn: Turn, count: int) -> None:
        self.free -= count
        self._reached[turn.rank] = turn.taken
        turn.taken += count / turn.weight

    def _leave(self, turn: Turn) -> None:
        self._wanting[turn] -= 1
        if not self._wanting[turn]:
            del self._wanting[turn]
        self._changed.set()

    async def _mine(self, turn: Turn) -> None:
        while not self._closed and (self.free <= 0 or self._next() is not turn):
            await self._change()

    async def _gather(self, wanted: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                while self.free < wanted and not self._closed:
                    await self._change()

    def _next(self) -> Turn:
        return min(self._wanting, key=lambda each: (each.rank, each.taken))

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
