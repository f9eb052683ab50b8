"""What programs print, on its way to where it is read.

Neither a reader that is slow or gone, nor a line without end, may hold a program up or cost more
than some memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

Line: TypeAlias = Callable[[str], None]
"""Takes one line: a log line to relay, or a sentence for people."""

CHUNK_BYTES: Final = 64 * 1024
# Above any log line of ours. What is longer is cut.
LINE_BYTES: Final = 256 * 1024
CUT: Final = " [cut]"
# What may wait for a slow reader before lines are left out.
WAITING_BYTES: Final = 16 * 1024 * 1024
LEFT_OUT: Final = "relay.lines_left_out"
# How long the last lines have, at the end, for a reader that does not read.
CLOSE_SECONDS: Final = 2.0


async def lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of a stream to its end, each at most `LINE_BYTES` long."""
    kept, cut = bytearray(), False
    while chunk := await stream.read(CHUNK_BYTES):
        first = True
        for piece in chunk.split(b"\n"):
            if not first:
                yield _text(kept, cut)
                kept, cut = bytearray(), False
            first = False
            room = LINE_BYTES - len(kept)
            kept += piece[:room]
            cut = cut or len(piece) > room
    if kept:
        yield _text(kept, cut)


def _text(line: bytearray, cut: bool) -> str:
    return line.decode("utf-8", "replace") + (CUT if cut else "")


@contextmanager
def relaying(file: int, failed: Callable[[OSError], None]) -> Iterator[Line]:
    """Write lines to a file descriptor, from a thread of its own, until the context ends.

    Lines that find too many others waiting are left out; a log line says how many.

    Args:
        file: The descriptor.
        failed: Told in the running loop, once, that nothing can be written any more.
    """
    loop = asyncio.get_running_loop()
    writer = _Writer(file, lambda error: loop.call_soon_threadsafe(failed, error))
    # Not awaited for ever: a reader may just not read.
    thread = threading.Thread(target=writer.run, name="relay", daemon=True)
    thread.start()
    try:
        yield writer.add
    finally:
        writer.close()
        thread.join(CLOSE_SECONDS)


class _Writer:
    def __init__(self, file: int, failed: Callable[[OSError], object]) -> None:
        self._file = file
        self._failed = failed
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._left_out = 0
        self._closed = False
        self._changed = threading.Condition()

    def add(self, line: str) -> None:
        content = line.encode("utf-8", "replace") + b"\n"
        with self._changed:
            if self._closed or self._bytes + len(content) > WAITING_BYTES:
                self._left_out += 1
                return
            self._waiting.append(content)
            self._bytes += len(content)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def run(self) -> None:
        try:
            while content := self._next():
                self._write(content)
        except OSError as error:
            with self._changed:
                already, self._closed = self._closed, True
                self._waiting.clear()
            if not already:
                self._failed(error)

    def _next(self) -> bytes:
        with self._changed:
            while not (self._waiting or self._left_out or self._closed):
                self._changed.wait()
            if self._waiting:
                content = self._waiting.popleft()
                self._bytes -= len(content)
                return content
            if not self._left_out or self._closed:
                return b""
            said = {"event": LEFT_OUT, "level": "warning", "lines": self._left_out}
            self._left_out = 0
            return json.dumps(said).encode() + b"\n"

    def _write(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            try:
                # Not through sys.stdout: its lock would be held by a write that never ends.
                left = left[os.write(self._file, left) :]
            except BlockingIOError:
                select.select([], [self._file], [])
