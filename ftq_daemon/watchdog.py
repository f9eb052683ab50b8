"""Sees from a thread when the event loop does not turn, and names who holds it.

A handler that computes or blocks on the loop stops everything: receives, beats, the other
handlers. Leases have a margin for that (docs/adr/0010); people need to know who it was.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Final

from ftq.limits import ID_PATTERN
from ftq_daemon.events import Events, LoopBlocked

THRESHOLD_SECONDS: Final = 1.0
_FRAMES: Final = 12


class Watchdog:
    """Watches the running loop.

    Args:
        events: Told when the loop is held, from the watchdog's own thread, and when it turns
            again.
        threshold: Seconds without a turn that are told.
        late: Told four times in each threshold by how many seconds the loop was late.
    """

    def __init__(
        self,
        events: Events,
        threshold: float = THRESHOLD_SECONDS,
        late: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Set up; `run` does the work."""
        self._events = events
        self._threshold = threshold
        self._late = late
        self._turned = time.monotonic()
        self._told = False
        self._stop = threading.Event()

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        watching = threading.Thread(
            target=self._watch, args=(loop, threading.get_ident()), name="watchdog", daemon=True
        )
        self._turned = time.monotonic()
        watching.start()
        try:
            while True:
                await asyncio.sleep(self._threshold / 4)
                now = time.monotonic()
                self._late(max(0.0, now - self._turned - self._threshold / 4))
                self._turned = now
        finally:
            self._stop.set()

    def _watch(self, loop: asyncio.AbstractEventLoop, ident: int) -> None:
        while not self._stop.wait(self._threshold / 4):
            held = time.monotonic() - self._turned
            if held < self._threshold:
                self._told = False
            elif not self._told:
                self._told = True
                # While the loop is held, the task that holds it is the current one.
                task = asyncio.current_task(loop)
                by = task.get_name() if task is not None else "the loop itself"
                # As the runner names them: the type, a space, the task.
                kind, _, task_id = by.partition(" ")
                type_ = kind if ID_PATTERN.fullmatch(task_id) else ""
                self._events.emit(LoopBlocked(by, held, _where(ident), type_))


def _where(ident: int) -> str:
    frame: FrameType | None = sys._current_frames().get(ident)
    stack = traceback.extract_stack(frame)[-_FRAMES:]
    # Innermost last, a line each: names of files and functions, no values.
    return " > ".join(
        f"{each.filename.rpartition('/')[2]}:{each.lineno} {each.name}" for each in stack
    )
