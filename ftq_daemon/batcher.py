"""Group commit: many small writes become few calls. One batcher for each kind of call.

The rule is that of a database's group commit. A lone item goes out at once; while a call is in
flight, what arrives gathers behind it and leaves together. So an idle daemon adds no latency
and a busy one fills its batches, without a timer to tune. After a full batch the next is likely to
fill as well: it is given the time to, even if no call is in flight.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class _Waiting(Generic[T, R]):
    item: T
    future: asyncio.Future[R]


class Batcher(Generic[T, R]):
    """Collects items and flushes them in batches.

    Args:
        flush: Makes the call; returns one result for each item, in order.
        size: Items in a batch at most.
        linger: Seconds that an item waits at most while there is reason to expect company.
        in_flight: Calls under way at once at most.
        key: Two items of equal key never share a batch.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        size: int,
        linger: float = 0.005,
        in_flight: int = 4,
        key: Callable[[T], object] = id,
    ) -> None:
        """Set up; nothing runs before the first item."""
        self._flush = flush
        self._size = size
        self._linger = linger
        self._in_flight = in_flight
        self._key = key
        self._pending: deque[_Waiting[T, R]] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Handle | None = None
        # Whether the last batch that left was full.
        self._busy = False

    async def submit(self, item: T) -> R:
        """Have an item flushed, and wait for its result.

        A caller that is cancelled does not take its item back: writes in flight are never
        cancelled, nor is one that is about to be (PROTOCOL R5).

        Raises:
            Exception: Whatever the flush raised.
        """
        # Asked for once for each item: Python 3.11 makes a system call of it (getpid).
        loop = asyncio.get_running_loop()
        waiting = _Waiting(item, loop.create_future())
        self._pending.append(waiting)
        self._plan(loop)
        result: R = await waiting.future
        return result

    async def close(self) -> None:
        """Flush what is pending, and wait for all calls under way."""
        while self._pending or self._calls:
            self._start_ready(lingered=True)
            if self._calls:
                await asyncio.wait(self._calls)

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        expects = bool(self._calls) or self._busy
        if len(self._pending) >= self._size and expects:
            self._start_ready()
        elif self._timer is None and expects:
            self._timer = loop.call_later(self._linger, self._on_timer, True)
        elif self._timer is None:
            # Go at the end of this turn of the loop, so that what the same turn submits (ten
            # messages of one receive) leaves together.
            self._timer = loop.call_soon(self._on_timer, False)

    def _on_timer(self, lingered: bool) -> None:
        self._timer = None
        self._start_ready(lingered=lingered)
        if self._pending and not lingered:
            self._plan(asyncio.get_running_loop())

    def _start_ready(self, *, lingered: bool = False) -> None:
        while self._pending and len(self._calls) < self._in_flight:
            full = len(self._pending) >= self._size
            if not full and not lingered and (self._calls or self._busy):
                break
            self._busy = full
            call = asyncio.get_running_loop().create_task(self._run(self._take()))
            self._calls.add(call)
            call.add_done_callback(self._on_done)

    def _on_done(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if self._pending:
            self._start_ready()
            if self._pending and self._timer is None:
                self._plan(call.get_loop())

    def _take(self) -> list[_Waiting[T, R]]:
        batch: list[_Waiting[T, R]] = []
        keys: set[object] = set()
        left: list[_Waiting[T, R]] = []
        while self._pending and len(batch) < self._size:
            waiting = self._pending.popleft()
            key = self._key(waiting.item)
            if key in keys:
                left.append(waiting)
            else:
                keys.add(key)
                batch.append(waiting)
        self._pending.extendleft(reversed(left))
        return batch

    async def _run(self, batch: list[_Waiting[T, R]]) -> None:
        try:
            results = await self._flush([waiting.item for waiting in batch])
            pairs = list(zip(batch, results, strict=True))
        except Exception as error:
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_exception(error)
            return
        for waiting, result in pairs:
            if not waiting.future.done():
                waiting.future.set_result(result)
