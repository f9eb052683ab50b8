"""A worker under measurement: a child process on a core of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Final

from benchmarks.machine import WORKER_CPU, pin
from benchmarks.side import Side
from benchmarks.stage import POLL_SECONDS, Seen, Stage

TAIL: Final = 3000


class WorkerFailedError(RuntimeError):
    """A worker ended, or did not get on."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that runs.

    Attributes:
        process: The child.
        output: What it writes.
    """

    process: subprocess.Popen[bytes]
    output: IO[bytes]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def written(self) -> int:
        """How many bytes it has written."""
        return os.fstat(self.output.fileno()).st_size

    def tail(self) -> str:
        """The end of what it has written."""
        self.output.seek(0)
        return self.output.read()[-TAIL:].decode(errors="replace")

    async def until(self, stage: Stage, kind: str, count: int, done: int, patience: float) -> Seen:
        """Wait until so many of the loaded tasks are done.

        Raises:
            WorkerFailedError: The worker ended, or nothing was done for `patience` seconds.
        """
        clock = asyncio.get_running_loop().time
        best, since = -1, clock()
        while True:
            seen = await stage.look(count)
            if seen.done >= done:
                return seen
            if seen.done > best:
                best, since = seen.done, clock()
            if self.process.poll() is not None or clock() - since > patience:
                what = f"stopped at {seen.done} of {count} tasks"
                raise WorkerFailedError(f"{what}; its output ends:\n{self.tail()}")
            await asyncio.sleep(POLL_SECONDS[kind])


@contextmanager
def working(side: Side, stage: Stage, before: Sequence[str] = ()) -> Iterator[Worker]:
    """Run a side's program on a stage; killed at the end, for nothing of it is needed any more.

    Args:
        side: What to run.
        stage: Where.
        before: A command that runs the command, such as a profiler.
    """
    command = [*before, side.interpreter, *side.command]
    environment = {**stage.environment(), **side.environment}
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        pin(process.pid, WORKER_CPU)
        try:
            yield Worker(process, output)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
