"""`ftq up`: ftq on this machine until Ctrl-C."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ftq_cli.announced import UP
from ftq_cli.environment import described
from ftq_cli.exits import Exit
from ftq_cli.local import DEMO_HANDLERS, Local, Options, health_url, local
from ftq_cli.relay import relaying
from ftq_cli.state import announced, locked
from ftq_cli.terminal import Terminal


async def up(options: Options, state: Path) -> int:
    """Run until cancelled, or until there is no sense in it any more.

    Log lines of the programs go to standard output as they are, everything else to standard
    error, so that the former can be piped on.

    Returns:
        0 if nobody reads the log lines any more, 1 if the embedded AWS ended by itself.

    Raises:
        CommandError: It could not be started.
    """
    console = Terminal(stderr=True, highlight=False)
    unread: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def say(text: str) -> None:
        console.print(text, style="yellow", markup=False, soft_wrap=True)

    def not_written(error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            unread.set_result(None)
        else:
            say(f"No more log lines: they cannot be written: {error.strerror}")

    with locked(state), relaying(sys.stdout.fileno(), not_written) as relay:
        async with AsyncExitStack() as stack:
            it = await stack.enter_async_context(local(options, relay, say))
            stack.callback(console.print, "ftq is going down ...", style="dim")
            stack.enter_context(announced(it, state))
            _welcome(console, it, state, demo=options.handlers == DEMO_HANDLERS)
            ends: set[asyncio.Future[None] | asyncio.Future[str]] = {unread, it.aws_ended}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if it.aws_ended.done():
                say(f"The embedded AWS is gone: {it.aws_ended.result()}")
                return Exit.FAILED
    return Exit.DONE


def _welcome(console: Console, it: Local, state: Path, *, demo: bool) -> None:
    lines = Table.grid(padding=(0, 2))
    lines.add_row("API", f"[bold]{it.api_url}[/]")
    if it.console_url is not None:
        lines.add_row("console", f"[bold]{it.console_url}[/]")
    lines.add_row("AWS", described(it.environ))
    lines.add_row("queue", it.made.queue_url)
    lines.add_row("table", it.made.table)
    for number, child in sorted(it.daemons.items()):
        lines.add_row(f"daemon {number}", f"pid {child.pid}, {health_url(child)}")
    lines.add_row("all this", str(state / UP))
    console.print("[bold green]ftq is up[/]; Ctrl-C ends it")
    console.print(lines)
    task = "demo.flaky '{}'" if demo else "TYPE JSON"
    console.print(f"  ftq submit {task} --wait --api {it.api_url}", style="dim")
