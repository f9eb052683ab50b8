"""What the examples share: a whole ftq on this machine, and a table of what becomes of tasks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ftq.client import Client, Task
from ftq.registry import load

_UP: Final = (sys.executable, "-m", "ftq_cli", "up", "--port", "0")
LOOK_SECONDS: Final = 0.25
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0
# Of all that the programs log, what an onlooker wants to know, beside what the example says.
TOLD: Final = ("breaker.opened", "breaker.closed", "task.crashed", "daemon.failed")
STYLES: Final = {"succeeded": "green", "dead": "red", "retrying": "yellow", "running": "cyan"}


@dataclass(frozen=True, slots=True)
class Stage:
    """An ftq that runs.

    Attributes:
        client: Speaks to its API.
        console: Where things are shown.
        up: What `ftq up` wrote about itself: where it is, and its daemons' processes.
    """

    client: Client
    console: Console
    up: Path

    @property
    def daemon_pid(self) -> int:
        """The process that runs the handlers."""
        return int(json.loads(self.up.read_text())["daemons"][0]["pid"])

    def follow(self, named: Mapping[str, str], title: str) -> list[Task]:
        """Show tasks until each has ended.

        Args:
            named: What each task is called, by its id.
            title: Stands above the table.

        Returns:
            How they ended, in that order.
        """
        with Live(console=self.console, refresh_per_second=8) as live:
            while True:
                tasks = [self.client.get(each) for each in named]
                live.update(_table(title, named, tasks))
                if all(task.finished_at for task in tasks):
                    break
                time.sleep(LOOK_SECONDS)
        if not self.console.is_terminal:
            self.console.print()
        return tasks


@contextmanager
def stage(handlers: str, **environ: str) -> Iterator[Stage]:
    """Run `ftq up` with some handlers for as long as the context lasts.

    Args:
        handlers: ``module:registry``.
        **environ: More environment for the handlers.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print("Starting AWS, the API and a daemon ...", style="dim")
    with TemporaryDirectory(prefix="ftq-example-") as state:
        up = Path(state, "up.json")
        process = subprocess.Popen(
            [*_UP, "--handlers", handlers, "--state", state],
            env={"FTQ_VISIBILITY_SECONDS": "15", "FTQ_WAIT_SECONDS": "1", **os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        telling = threading.Thread(target=_tell, args=(process, console), daemon=True)
        telling.start()
        try:
            with Client(_url(process, up), registry=load(handlers)) as client:
                yield Stage(client, console, up)
        finally:
            console.print("Stopping ...", style="dim")
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()
            process.wait()
            telling.join()


def _url(process: subprocess.Popen[str], up: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while not (up.exists() and up.read_text()):
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit("ftq did not start: `ftq up` in this directory says why")
        time.sleep(0.05)
    return str(json.loads(up.read_text())["api_url"])


def _tell(process: subprocess.Popen[str], console: Console) -> None:
    for text in process.stdout or ():
        with suppress(ValueError):
            line = json.loads(text)
            by_handlers = str(line.get("logger")).startswith("examples.")
            if by_handlers or line.get("event") in TOLD:
                about = line.get("breaker") or line.get("task_id") or line.get("error", "")
                console.print(f"  {line['event']}  {about}", style="magenta", markup=False)
    if process.stdout is not None:
        process.stdout.close()


def _table(title: str, named: Mapping[str, str], tasks: list[Task]) -> Table:
    table = Table(title=title, title_justify="left", pad_edge=False)
    for column in ("task", "state", "claims", "failed"):
        table.add_column(column, no_wrap=True, min_width=len(column))
    table.add_column("what came of it", no_wrap=True, max_width=60)
    for name, task in zip(named.values(), tasks, strict=True):
        error = task.last_error
        failed = f"{error.class_name}: {error.message}" if error else ""
        came = failed if task.state != "succeeded" else json.dumps(task.result)
        state = Text(task.state, STYLES.get(task.state, ""))
        table.add_row(name, state, str(task.claim_no), str(task.attempts), came)
    return table
