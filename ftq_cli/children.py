"""Programs of ftq as child processes: started, listened to, stopped."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from ftq.text import Json, NotJson, parse
from ftq_cli.processes import ending, stop
from ftq_cli.relay import Line, lines

START_SECONDS: Final = 30.0
# Beyond what a daemon's own phases may take (FTQ_STOP_TIMEOUT_SECONDS), as ECS would kill it.
STOP_SECONDS: Final = 125.0
TAIL_LINES: Final = 12
TAIL_CHARS: Final = 2000


class ChildFailedError(RuntimeError):
    """A program ended, or said nothing, before it was ready.

    Attributes:
        code: Its exit code; None if it did not end by itself.
    """

    def __init__(self, name: str, code: int | None, tail: Sequence[str]) -> None:
        """Keep who, how, and its last words."""
        how = f"ended with {ending(code)}" if code is not None else "did not get ready in time"
        super().__init__("\n".join([f"{name} {how}", *tail]))
        self.code = code
        self.said = "\n".join(tail)


@dataclass(frozen=True, slots=True)
class Program:
    """What is started.

    Attributes:
        name: What people call it.
        module: What ``python -m`` runs.
        environment: All of its environment.
        ready: The event whose log line says that it is ready.
        arguments: Its arguments.
        sockets: File descriptors that it inherits.
    """

    name: str
    module: str
    environment: Mapping[str, str]
    ready: str
    arguments: tuple[str, ...] = ()
    sockets: tuple[int, ...] = ()


@dataclass(slots=True)
class Child:
    """A running program.

    Attributes:
        program: What was started.
        process: The process.
        started: The log line by which it said that it was ready.
    """

    program: Program
    process: asyncio.subprocess.Process
    started: Mapping[str, Json] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


@asynccontextmanager
async def running(program: Program, relay: Line) -> AsyncIterator[Child]:
    """Run a program for as long as the context lasts; then SIGTERM, and wait for its end.

    Raises:
        ChildFailedError: It did not get ready.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ftq_cli.leashed", program.module, *program.arguments,
        env={**program.environment, "PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.PIPE,  # its leash: see `leashed`
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        pass_fds=program.sockets,
        # Ctrl-C in the terminal is for us alone: we end the children, in order.
        start_new_session=True,
    )  # fmt: skip
    child = Child(program, process)
    ready = asyncio.Event()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    listening = asyncio.create_task(_listen(child, relay, ready, tail))
    try:
        await _await_ready(child, ready, listening, tail)
        yield child
    finally:
        await stop(process, STOP_SECONDS)
        await listening


async def _listen(child: Child, relay: Line, ready: asyncio.Event, tail: deque[str]) -> None:
    """Read all that the child says, to its end: it would stand still at a pipe that is full."""
    stream, heard = child.process.stdout, True
    if stream is None:  # it has been given a pipe
        return
    async for text in lines(stream):
        tail.append(text[:TAIL_CHARS])
        if not ready.is_set() and (said := _said(text)).get("event") == child.program.ready:
            child.started = said
            ready.set()
        if heard:
            try:
                relay(text)
            except Exception:  # whatever it is, the child is not to suffer for it
                heard = False


def _said(line: str) -> Mapping[str, Json]:
    try:
        value = parse(line)
    except NotJson:
        return {}
    return value if isinstance(value, dict) else {}


async def _await_ready(
    child: Child, ready: asyncio.Event, listening: asyncio.Task[None], tail: deque[str]
) -> None:
    waiting = asyncio.create_task(ready.wait())
    ends: set[asyncio.Task[None] | asyncio.Task[bool]] = {waiting, listening}
    try:
        # Its output ends with it.
        await asyncio.wait(ends, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if not ready.is_set():
        code = await child.process.wait() if listening.done() else None
        raise ChildFailedError(child.program.name, code, tail)
