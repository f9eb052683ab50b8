"""What moves on a terminal while something is waited for, and leaves nothing behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from ftq_cli.show import STYLES

if TYPE_CHECKING:
    from rich.console import Console

    from ftq.client import Redriven, Task


@contextmanager
def waiting(console: Console, task_id: str, state: str) -> Iterator[Callable[[Task], None]]:
    """A spinner that says in which state a task is; nothing where there is no terminal."""
    if not console.is_terminal:
        yield lambda task: None
        return
    began = time.monotonic()

    def words(now: str, attempts: int) -> Text:
        text = Text.assemble(f"{task_id}  ", (now, STYLES.get(now, "")))
        text.append(f"  {time.monotonic() - began:.0f} s")
        return text.append(f"  {attempts} failed" if attempts else "")

    with console.status(words(state, 0)) as status:
        yield lambda task: status.update(words(task.state, task.attempts))


@contextmanager
def redriving(console: Console) -> Iterator[Callable[[Redriven], None]]:
    """A bar of the dead that were looked at; nothing where there is no terminal."""
    if not console.is_terminal:
        yield lambda sums: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        row = bar.add_task("looking", total=None)
        whole: int | None = None

        def update(sums: Redriven) -> None:
            nonlocal whole
            left = sums.remaining
            if whole is None and left is not None and left.exact:
                whole = left.count
            looked = whole - left.count if whole is not None and left is not None else sums.matched
            verb = "would redrive" if sums.dry_run else "redriven"
            done = sums.matched if sums.dry_run else sums.redriven
            bar.update(row, description=f"{verb} {done}", total=whole, completed=max(0, looked))

        yield update
