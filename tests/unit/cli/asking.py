"""The command's client side in this process, against the real API in memory."""

from __future__ import annotations

from dataclasses import dataclass

import click
from click.testing import CliRunner

from ftq.text import Document, parse
from ftq_cli.__main__ import cli
from ftq_cli.exits import CommandError
from ftq_cli.speaking import Connector
from tests.unit.client.bridge import Bridge


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def doc(self) -> Document:
        """The one JSON document that it printed."""
        found = parse(self.out)
        assert isinstance(found, dict)
        return found


def ftq(bridge: Bridge, *arguments: str, stdin: str | None = None) -> Ran:
    """Run a command to its end."""
    connector = Connector(lambda url: bridge.client())
    done = CliRunner().invoke(
        cli, [*arguments], input=stdin, obj=connector, standalone_mode=False, color=True
    )
    error = done.exception
    if isinstance(error, click.ClickException):
        code = error.code if isinstance(error, CommandError) else error.exit_code
        return Ran(int(code), done.stdout, done.stderr + error.format_message())
    if error is not None:
        raise error
    return Ran(int(done.return_value or 0), done.stdout, done.stderr)
