"""The directory of the local mode: one `ftq` at a time, and the file that says what runs."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftq.text import Json
from ftq_cli.announced import UP
from ftq_cli.children import Child
from ftq_cli.exits import CommandError, Exit
from ftq_cli.local import Local, health_url


class Locked(CommandError):
    """Another ftq runs with this directory."""


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Have the directory for oneself.

    Raises:
        Locked: Somebody else has it.
        CommandError: It cannot be made.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        file = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        text = f"--state {state}: cannot be used: {error.strerror or error}"
        raise CommandError(text, Exit.USAGE) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            text = f"--state {state}: an ftq runs with it already; stop it, or name another one"
            raise Locked(text, Exit.USAGE) from error
        (state / UP).unlink(missing_ok=True)  # of one that was killed
        yield
    finally:
        os.close(file)


@contextmanager
def announced(it: Local, state: Path) -> Iterator[None]:
    """Keep ``up.json`` true for as long as the context lasts, and remove it then."""
    path = state / UP

    def write() -> None:
        fresh = path.with_suffix(".tmp")
        fresh.write_text(json.dumps(describe(it), indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)

    it.on_change = write
    write()
    try:
        yield
    finally:
        it.on_change = lambda: None
        path.unlink(missing_ok=True)


def describe(it: Local) -> dict[str, Json]:
    """What ``up.json`` says."""
    return {
        "api_url": it.api_url,
        "console_url": it.console_url,
        "aws_endpoint_url": it.aws_endpoint_url,
        "queue_url": it.made.queue_url,
        "dlq_url": it.made.dlq_url,
        "table": it.made.table,
        "daemons": [_daemon(child) for _, child in sorted(it.daemons.items())],
    }


def _daemon(child: Child) -> Json:
    return {"pid": child.pid, "health_url": health_url(child)}
