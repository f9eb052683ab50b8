"""docs/reference/cli.md: what each command takes, from the command itself."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from ftq_cli.__main__ import cli
from pages.part import with_part

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
_COLUMNS: Final = 100


def page() -> str:
    """The page as it should be: as it is, with the help of each command written anew."""
    top = click.Context(cli, info_name="ftq")
    parts = [_help(name, top) for name in cli.list_commands(top)]
    return with_part(PAGE, "ftq_cli", "\n".join(parts))


def _help(name: str, top: click.Context) -> str:
    command = cli.get_command(top, name) or cli
    context = click.Context(command, info_name=name, parent=top, terminal_width=_COLUMNS)
    return f"### `ftq {name}`\n\n```text\n{command.get_help(context)}\n```\n"
