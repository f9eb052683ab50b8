"""What is printed in this process becomes lines of the log.

The handlers' module runs here for its models, whose validators may print: without this that would
go out as it is, past the redaction that all lines go through.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TextIO

from ftq import printed


class Printed(printed.Printed):
    """Stands before a stream.

    Args:
        take: Takes each text.
        below: The stream that it stands before: where lines go.
    """

    def __init__(self, take: Callable[[str], object], below: TextIO) -> None:
        """Nothing has been printed yet."""
        super().__init__(take)
        self.below = below

    def fileno(self) -> int:
        """The descriptor beneath it: programs that are started here inherit it."""
        return self.below.fileno()


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
