"""Writes lines to a descriptor that may be slow, full or gone, and never waits for it.

A line goes out at once while the reader keeps up, so that what a crash leaves behind is complete.
Once it does not, lines gather behind it, and a thread of their own brings them out in order.

Our own events come in dozens, from all that one reply of AWS sets going. They go out together, at
the end of the loop's turn: what comes of the turn, such as a handler's first step, runs after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

# A write of up to so many bytes does not block where poll(2) promises room: POSIX's least
# PIPE_BUF is 512, Linux has 4,096 (pipe(7)).
_AT_ONCE: Final = select.PIPE_BUF
WAITING_BYTES: Final = 4 * 1024 * 1024


class Out(Protocol):
    """Takes lines, and never blocks or raises."""

    lost: int

    def write(self, line: bytes) -> bool:
        """Write whole lines; whether they are out or on their way."""
        ...

    def write_soon(self, line: bytes) -> None:
        """Write a line with others of this turn of the loop."""
        ...


class Lines:
    """Lines on their way to a descriptor.

    Args:
        descriptor: Where they go; it stays open, and stays in the mode that it is in.
        told: Makes the line that says how many were lost.
        most: Bytes that may wait; what comes beyond them is lost, and counted.

    Attributes:
        lost: Lines that were lost so far.
    """

    def __init__(
        self, descriptor: int, told: Callable[[int], bytes], most: int = WAITING_BYTES
    ) -> None:
        """Set up; nothing is written, and no thread runs until one is needed."""
        self.lost = 0
        self._descriptor = descriptor
        self._told = told
        self._most = most
        self._untold = 0
        self._turn: list[bytes] = []
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._behind = False
        self._lock = threading.Lock()
        self._caught_up = threading.Condition(self._lock)
        self._shared = sys.platform == "linux" and stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)

    def write(self, line: bytes) -> bool:
        """Write whole lines, now or when there is room. From any thread; never blocks or raises.

        Returns:
            Whether they are out or on their way; False if they are lost already.
        """
        with self._lock:
            said = line + self._told(self._untold) if self._untold else line
            if not self._behind and len(said) <= _AT_ONCE and self._has_room():
                out = self._at_once(said)
                if out:
                    self._untold = 0
                elif out is not None:
                    self._lose(line)
                if out is not None:
                    return out
            if self._bytes + len(line) > self._most:
                self._lose(line)
                return False
            self._waiting.append(line)
            self._bytes += len(line)
            if not self._behind:
                self._behind = True
                threading.Thread(target=self._catch_up, name="log", daemon=True).start()
            return True

    def write_soon(self, line: bytes) -> None:
        """Write a line with others of this turn of the loop; outside of a loop, write it now."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.write(line)
            return
        if not self._turn:
            loop.call_soon(self._end_turn)
        self._turn.append(line)

    def _end_turn(self) -> None:
        lines, self._turn = self._turn, []
        together = b""
        for line in lines:
            if together and len(together) + len(line) > _AT_ONCE:
                self.write(together)
                together = b""
            together += line
        if together:
            self.write(together)

    def close(self, seconds: float) -> None:
        """Give what still waits so long to get out."""
        self._end_turn()
        with self._lock:
            self._caught_up.wait_for(lambda: not self._behind, seconds)

    def _at_once(self, line: bytes) -> bool | None:
        """Whether it was written; None if there is no room: others may write to the pipe too."""
        if self._shared:
            try:
                return os.pwritev(self._descriptor, [line], -1, os.RWF_NOWAIT) == len(line)
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    return False
                self._shared = False  # Linux before 6.4 cannot; poll's word has to do
        return self._out(line)

    def _has_room(self) -> bool:
        return bool(self._room.poll(0))

    def _catch_up(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._behind = False
                    self._caught_up.notify_all()
                    return
                line = self._waiting.popleft()
                self._bytes -= len(line)
                untold = 0 if self._waiting else self._untold
            out = self._out(line + self._told(untold) if untold else line)
            with self._lock:
                if out:
                    self._untold -= untold
                else:
                    self._lose(line)

    def _lose(self, line: bytes) -> None:
        self.lost += line.count(b"\n")
        self._untold += line.count(b"\n")

    def _out(self, line: bytes) -> bool:
        """Whether all of it was written. A reader that is gone is no reason to stop working."""
        rest = memoryview(line)
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            return True
        return False
