"""What is printed in this process becomes lines of the log.

The handlers' module runs here for its models, whose validators may print: without this that would
go out as it is, past the redaction that all lines go through.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, TextIO

# A text without an end becomes a line of this many characters.
_MOST_CHARS: Final = 64 * 1024


class Printed(io.TextIOBase):
    """A stream whose text is logged by the line.

    Args:
        take: Takes each text.
        below: The stream that it stands before: where lines go.
    """

    def __init__(self, take: Callable[[str], object], below: TextIO) -> None:
        """Nothing has been printed yet."""
        self.below = below
        self._take = take
        # Each thread's beginning of a line.
        self._begun = threading.local()

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def fileno(self) -> int:
        """The descriptor beneath it: programs that are started here inherit it."""
        return self.below.fileno()

    def write(self, text: str) -> int:
        """Log what has come to the end of a line, and keep the rest for what follows it."""
        said = getattr(self._begun, "text", "") + text
        done = said.endswith("\n") or len(said) > _MOST_CHARS
        self._begun.text = "" if done else said
        if done and said.strip():
            self._take(said.strip())
        return len(text)


def take_over(take: Callable[[str, str], object]) -> None:
    """Log what is printed from now on.

    Args:
        take: Takes the name of the stream and each text.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, Printed):
            setattr(sys, name, Printed(partial(take, name), stream))


def beneath() -> TextIO:
    """Standard output, whatever stands before it."""
    return sys.stdout.below if isinstance(sys.stdout, Printed) else sys.stdout
