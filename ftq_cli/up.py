"""`ftq up`: ftq on this machine until Ctrl-C."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from ftq_cli.local import Local, Options, health_url, local
from ftq_cli.state import UP, announced, locked


async def up(options: Options, state: Path) -> int:
    """Run until cancelled.

    Log lines of the programs go to standard output as they are, everything else to standard
    error, so that the former can be piped on.

    Raises:
        CommandError: It could not be started.
    """
    console = Console(stderr=True, highlight=False)

    def say(text: str) -> None:
        console.print(text, style="yellow", markup=False, soft_wrap=True)

    with locked(state):
        async with AsyncExitStack() as stack:
            it = await stack.enter_async_context(local(options, click.echo, say))
            stack.callback(console.print, "ftq is going down ...", style="dim")
            stack.enter_context(announced(it, state))
            _welcome(console, it, state)
            await asyncio.Event().wait()
    return 0


def _welcome(console: Console, it: Local, state: Path) -> None:
    lines = Table.grid(padding=(0, 2))
    lines.add_row("API", f"[bold]{it.api_url}[/]")
    lines.add_row("AWS", it.aws_endpoint_url)
    lines.add_row("queue", it.made.queue_url)
    lines.add_row("table", it.made.table)
    for number, child in sorted(it.daemons.items()):
        lines.add_row(f"daemon {number}", f"pid {child.pid}, {health_url(child)}")
    lines.add_row("all this", str(state / UP))
    console.print("[bold green]ftq is up[/]; Ctrl-C ends it")
    console.print(lines)
    console.print(f"  ftq submit demo.flaky '{{}}' --wait --api {it.api_url}", style="dim")
