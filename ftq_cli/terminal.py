"""Standard output and error, whatever they are: a terminal, a pipe that closes, an old charset."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from ftq.text import Json

printed: Final[ContextVar[bool]] = ContextVar("printed", default=False)
"""Whether this command has printed its JSON document: a second one would spoil it."""


# What moves a cursor, sets a title, or turns text around: all control characters but a tab and the
# end of a line, and those that change the direction of writing (Unicode TR 9, "Trojan Source").
_COMMANDS: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def harmless(text: str) -> str:
    """Text of somebody else's, such as a payload's, as it can do nothing to a terminal.

    What a terminal would obey is written as JSON escapes it.
    """
    return _COMMANDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Terminal(Console):
    """A console that falls silent when nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        """Go on without it; rich would end the program on the spot."""
        self.quiet = True
        with suppress(OSError):
            mute(self.file.fileno())


def mute(file: int) -> None:
    """Let what is still written to a descriptor, such as at exit, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, file)
    os.close(nowhere)


def prepare() -> None:
    """Make standard output and error take whatever is written to them.

    What their charset does not have is replaced; if the program was started without them, what
    is written goes nowhere.
    """
    if sys.__stdout__ is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # to the end of the program
    if sys.__stderr__ is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # to the end of the program
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def print_json(document: Json) -> None:
    """Print a JSON document; in pure ASCII where the charset is not a Unicode one."""
    printed.set(True)
    legible = "utf" in (sys.stdout.encoding or "").lower()
    click.echo(harmless(json.dumps(document, indent=2, ensure_ascii=not legible)))
