"""What the end-to-end tests share: the command as a child process, and a local ftq of their own."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ftq.client import AsyncClient
from ftq.text import Document, Json, parse
from ftq_cli.local import DEMO_HANDLERS, Local, Options, local

MARK = "FTQ_TEST_MARK"
# Nothing of an account of whoever runs the tests.
NO_ACCOUNT = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
# A daemon that stops awaits its last receive: with short ones the tests take less.
QUICK = {"FTQ_WAIT_SECONDS": "1"}


def environ(**more: str) -> dict[str, str]:
    """This process's environment without anything that would change what is tested."""
    # Nor of the make that runs the tests: one that a test runs has arguments of its own.
    left = ("AWS_", "FTQ_", "MAKE", "MFLAGS", "ARGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left)}
    return {**kept, **NO_ACCOUNT, "COLUMNS": "100", **more}


def ftq(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ftq_cli", *arguments],
        cwd=cwd,
        env=environ(**more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def document(text: str) -> Document:
    """A JSON object out of a program."""
    value = parse(text)
    assert isinstance(value, dict)
    return value


@dataclass(slots=True)
class Up:
    """A running `ftq up`."""

    process: subprocess.Popen[str]
    state: Path
    mark: str

    @property
    def said(self) -> Document:
        """What up.json says now."""
        return document((self.state / "up.json").read_text())

    @property
    def api(self) -> str:
        """Where its API answers."""
        return str(self.said["api_url"])

    @property
    def pids(self) -> list[int]:
        """The daemons' processes."""
        daemons = self.said["daemons"]
        assert isinstance(daemons, list)
        return [int(str(each["pid"])) for each in daemons if isinstance(each, dict)]

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        """Send it a signal and wait for its end: exit code, output, errors."""
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors


@contextmanager
def up(cwd: Path, *arguments: str, **more: str) -> Iterator[Up]:
    """Run `ftq up` until the end of the context, from the moment it is ready."""
    mark = uuid.uuid4().hex
    left = cwd / ".ftq" / "up.json"
    before = left.read_text() if left.exists() else ""
    process = subprocess.Popen(
        [sys.executable, "-m", "ftq_cli", "up", "--port", "0", *arguments],
        cwd=cwd,
        env=environ(**{**QUICK, **more, MARK: mark}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Up(process, cwd / ".ftq", mark)
    try:
        await_that(
            lambda: (
                process.poll() is not None
                or (left.exists() and left.read_text() not in ("", before))
            )
        )
        assert process.poll() is None, process.communicate()
        yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        await_that(lambda: not marked(mark))


def processes(mark: str) -> dict[int, str]:
    """All processes that carry a mark in their environment: ids and command lines."""
    found: dict[int, str] = {}
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (each / "environ").read_bytes():
                found[int(each.name)] = (each / "cmdline").read_text().replace("\0", " ")
        except (OSError, ValueError):
            continue  # gone, or not ours
    return {pid: line for pid, line in found.items() if line}  # a zombie has none


def marked(mark: str) -> list[str]:
    """The command lines of all processes that carry a mark in their environment."""
    return list(processes(mark).values())


def await_that(condition: Callable[[], object], within: float = 30.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, f"still not so: {inspect.getsource(condition).strip()}"
        time.sleep(0.05)


@dataclass(slots=True)
class Lines:
    """The log lines of programs."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        """Take one."""
        self.lines.append(line)

    def events(self, name: str, task_id: str | None = None) -> list[Document]:
        """Those of one kind."""
        said = [document(line) for line in self.lines if line.startswith("{")]
        fits = [each for each in said if each.get("event") == name]
        return [each for each in fits if task_id in (None, each.get("task_id"))]


@dataclass(slots=True)
class Stage:
    """A local ftq, its API, and all that its programs say."""

    it: Local
    api: AsyncClient
    lines: Lines

    async def submit(self, type_: str, payload: Mapping[str, Json] | str | float) -> str:
        """Submit a task; its id."""
        plain = dict(payload) if isinstance(payload, Mapping) else payload
        return (await self.api.submit(type_, plain)).id

    async def get(self, task_id: str) -> Document:
        """The record of a task, as the API shows it."""
        return (await self.api.get(task_id)).document

    async def final(self, task_id: str) -> Document:
        """The record of a task once it has ended."""
        return (await self.api.wait(task_id)).document

    async def all(self, task_ids: list[str]) -> list[Document]:
        """The records of tasks."""
        return list(await asyncio.gather(*(self.get(each) for each in task_ids)))


@asynccontextmanager
async def stage(daemons: int, handlers: str = DEMO_HANDLERS, **more: str) -> AsyncIterator[Stage]:
    """A local ftq for as long as the context lasts."""
    lines = Lines()
    options = Options(daemons=daemons, handlers=handlers, environ=environ(**{**QUICK, **more}))
    async with local(options, lines, lines) as it, AsyncClient(it.api_url) as api:
        yield Stage(it, api, lines)


def numbers(value: Json) -> list[int]:
    """A JSON list of whole numbers."""
    assert isinstance(value, list)
    return [each for each in value if isinstance(each, int)]


def pretty(value: object) -> str:
    """Anything, for the message of an assertion."""
    return json.dumps(value, indent=1, default=str)
