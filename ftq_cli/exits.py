"""How the command ends: its exit codes, and the errors that carry them."""

from __future__ import annotations

from enum import IntEnum
from typing import IO

import click


class Exit(IntEnum):
    """What the exit code says."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3


class CommandError(click.ClickException):
    """Ends the command with a message for people and an exit code for scripts."""

    def __init__(self, message: str, code: Exit) -> None:
        """Keep the message, which is shown as it is, and the exit code."""
        super().__init__(message)
        self.code = code

    def show(self, file: IO[str] | None = None) -> None:
        """Write the message to standard error."""
        click.echo(self.format_message(), file=file, err=file is None)
