"""The children of one daemon: started as they are wanted, kept for the next handler, bounded.

One that was told to end, or that ended by itself, is replaced.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from typing import Final

from ftq_daemon.children.child import Child, NoChild, Start

# What SIGKILL may take: the kernel acts at once, unless the process is stuck in a call to it.
KILL_SECONDS: Final = 2.0


class Children:
    """Processes of one daemon.

    Args:
        start: Starts one.
        most: How many there are at once at most.
        keep: Whether one that ran a handler may run the next.

    Attributes:
        most: As given.
    """

    def __init__(self, start: Start, most: int, *, keep: bool) -> None:
        """None is started yet."""
        self.most = most
        self._start_one = start
        self._keep = keep
        self._free = most
        self._turns: deque[asyncio.Future[object]] = deque()
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._starting: set[asyncio.Task[Child]] = set()
        self._closed = False

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._all)

    async def check(self, types: Collection[str]) -> str:
        """Start the first one, and see whether handlers can be run there.

        Returns:
            What is wrong; '' if nothing.
        """
        try:
            child = await self._start()
        except NoChild as error:
            return str(error)
        self._idle.append(child)
        missing = ", ".join(sorted(set(types) - set(map(str, child.types))))
        return f"run_in='process': not there when a child loads it: {missing}" if missing else ""

    async def take(self, ended: asyncio.Future[object]) -> Child | None:
        """A process to run a handler in, as soon as one is free; `give` must follow.

        Args:
            ended: Done when there is no need any more; None is the answer then.

        Raises:
            NoChild: None could be started.
        """
        if not await self._place(ended):
            return None
        while self._idle:
            child = self._idle.pop()
            if child.usable:
                return child
        starting = asyncio.create_task(self._start(), name="start a child")
        self._starting.add(starting)
        try:
            either: set[asyncio.Task[Child] | asyncio.Future[object]] = {starting, ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if starting.done():
                self._starting.discard(starting)
            else:
                starting.add_done_callback(self._came_late)
        if not starting.done():
            return None
        if starting.exception() is not None:
            self._leave()
        return starting.result()

    def give(self, child: Child) -> None:
        """Give a process back; one that cannot be used again makes room for another."""
        if child.exited.done():
            self._leave()
        elif child.usable and self._keep and not self._closed:
            self._idle.append(child)
            self._leave()
        else:
            child.kill()
            child.exited.add_done_callback(lambda _: self._leave())

    async def close(self) -> None:
        """Kill all of them."""
        self._closed = True
        starting = tuple(self._starting)
        for each in starting:
            each.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        children = tuple(self._all)
        for child in children:
            child.kill()
        if children:
            await asyncio.wait({child.exited for child in children}, timeout=KILL_SECONDS)

    async def _start(self) -> Child:
        child = await self._start_one()
        self._all.add(child)
        child.exited.add_done_callback(lambda _: self._all.discard(child))
        return child

    def _came_late(self, starting: asyncio.Task[Child]) -> None:
        self._starting.discard(starting)
        if starting.cancelled() or starting.exception() is not None:
            self._leave()
        else:
            self.give(starting.result())

    async def _place(self, ended: asyncio.Future[object]) -> bool:
        if self._free:
            self._free -= 1
            return True
        turn: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        has_turn = False
        try:
            await asyncio.wait({turn, ended}, return_when=asyncio.FIRST_COMPLETED)
            has_turn = not ended.done()
        finally:
            if not has_turn and not turn.cancel():
                self._leave()  # it came just as nobody wanted it any more
        return has_turn

    def _leave(self) -> None:
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
