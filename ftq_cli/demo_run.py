"""`ftq demo`: tasks that fail now and then, through a whole ftq, each checked at the end."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TextIO

from rich.console import Console

from ftq.text import Document
from ftq_cli.demo_tally import Run, tally
from ftq_cli.demo_view import View, closing, viewing
from ftq_cli.demo_watch import Watch, dead_letters
from ftq_cli.exits import Exit
from ftq_cli.local import Local, Options, local
from ftq_cli.relay import Line
from ftq_cli.resources import Names
from ftq_cli.state import Locked, announced, locked
from ftq_cli.terminal import Terminal, print_json

# A killed daemon's tasks come back after this: the demo shows it without making anyone wait.
VISIBILITY_SECONDS: Final = "15"


@dataclass(frozen=True, slots=True)
class Demo:
    """What was asked for.

    Attributes:
        tasks: How many tasks.
        failure_rate: The share of their attempts that fail.
        daemons: How many daemons run them.
        state: Where up.json and the log are written.
        as_json: Whether the result is one JSON document.
        real: Whether it runs on the AWS that the SDK's settings lead to.
    """

    tasks: int
    failure_rate: float
    daemons: int
    state: Path
    as_json: bool
    real: bool = False


async def demo(asked: Demo) -> int:
    """Run the demo.

    Raises:
        CommandError: It could not be started.
    """
    stream = sys.stderr if asked.as_json else sys.stdout
    # In a pipe nobody's window is too narrow.
    console = Terminal(file=stream, highlight=False, width=None if stream.isatty() else 120)
    with _own(asked.state) as state, _log(state) as log:

        def relay(line: str) -> None:
            log.write(line + "\n")
            if '"breaker.opened"' in line:
                # Expected now and then: so many failures in a row look like an outage.
                console.print("  the breaker is open: demo.flaky rests for a while", style="dim")

        console.print("Starting AWS, the API and the daemon ...", style="dim")
        run = await _in_local(asked, state, console, relay)
        result = tally(run)
        if asked.as_json:
            print_json(result.to_json())
        else:
            console.print(closing(result))
        if not result.ok:
            console.print(f"What the programs said is in {log.name}", soft_wrap=True)
    return Exit.DONE if result.ok else Exit.FAILED


def _log(state: Path) -> TextIO:
    return (state / "demo.log").open("w", encoding="utf-8", errors="replace")


@contextmanager
def _own(state: Path) -> Iterator[Path]:
    """The directory, or a temporary one if an ftq runs with it already."""
    try:
        with locked(state):
            yield state
            return
    except Locked:
        pass
    with TemporaryDirectory(prefix="ftq-demo-") as scratch:
        yield Path(scratch)


async def _in_local(asked: Demo, state: Path, console: Console, relay: Line) -> Run:
    run_id = secrets.token_hex(3)
    environ = {"FTQ_VISIBILITY_SECONDS": VISIBILITY_SECONDS, **os.environ}
    options = Options(
        daemons=asked.daemons,
        aws_log=state / "aws.log",
        # Of its own, for an AWS that was given may hold those of others.
        names=Names.of(f"ftq-demo-{run_id}"),
        temporary=True,
        real=asked.real,
        environ=environ,
    )

    def say(text: str) -> None:
        console.print(text, style="yellow", markup=False, soft_wrap=True)

    async with AsyncExitStack() as stack:
        it = await stack.enter_async_context(local(options, relay, say))
        stack.enter_context(announced(it, state))
        console.print(f"API {it.api_url}", style="dim")
        return await _run(asked, run_id, it, console)


async def _run(asked: Demo, run_id: str, it: Local, console: Console) -> Run:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        watch = await stack.enter_async_context(Watch.over(it))
        view: View = stack.enter_context(viewing(console, asked.tasks))
        payload: Document = {"failure_rate": asked.failure_rate}
        keys = [f"demo-{run_id}-{n}" for n in range(asked.tasks)]
        seen = await watch.follow(keys, payload, view.update)
        if not console.is_terminal:
            view.line("all over" if not seen.stalled else "nothing happens any more")
        seconds = time.monotonic() - began
        return Run(
            submitted=len(seen.tasks),
            failure_rate=asked.failure_rate,
            tasks=tuple(seen.tasks.values()),
            letters=await dead_letters(it, seen.dead),
            successes=await watch.successes(seen),
            deaths=it.deaths,
            calls_per_task=seen.calls_per_task if not it.deaths else None,
            seconds=seconds,
        )
