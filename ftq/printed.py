"""A stream whose text is taken by the line: what is printed becomes lines of a program's log.

Each program puts its own in the place of standard output and error, before its one log.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Final

# A text without an end becomes a line of this many characters.
_MOST_CHARS: Final = 64 * 1024


class Printed(io.TextIOBase):
    """A stream whose text is taken by the line, or by the whole text that is printed at once.

    Args:
        take: Takes each text, without space around it; none is empty.
    """

    def __init__(self, take: Callable[[str], object]) -> None:
        """Nothing has been printed yet."""
        self._take = take
        # Each thread's beginning of a line.
        self._begun = threading.local()

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def write(self, text: str) -> int:
        """Hand on what has come to the end of a line, and keep the rest for what follows it."""
        said = self._so_far() + text
        done = said.endswith("\n") or len(said) > _MOST_CHARS
        self._begun.text = "" if done else said
        if done:
            self._hand_on(said)
        return len(text)

    def end(self) -> None:
        """Hand on what waits for the end of its line."""
        said, self._begun.text = self._so_far(), ""
        self._hand_on(said)

    def _so_far(self) -> str:
        return getattr(self._begun, "text", "")

    def _hand_on(self, said: str) -> None:
        if text := said.strip():
            self._take(text)
