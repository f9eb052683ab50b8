"""One child, as the daemon holds it: started, spoken to, and killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Collection
from typing import Final

from ftq.context import Context, Signals
from ftq.outcome import Crashed, Outcome
from ftq.redaction import Names
from ftq.task import failure
from ftq.text import Json, NotJson, parse
from ftq_daemon.children.child import NoChild
from ftq_daemon.children.pipe import BrokenPipe, Frame, load_outcome, pack, read
from ftq_daemon.children.pool import KILL_SECONDS

# What a child may take to import the handlers.
START_SECONDS: Final = 60.0
# What a child said just before its end is still on its way.
LAST_WORDS_SECONDS: Final = 1.0


class ChildProcess:
    """One process.

    Args:
        process: It.
        reader: What it says.
        writer: What it is told.

    Attributes:
        exited: Done once it is no more.
        types: The handlers that it has.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Hold a process that has just been started."""
        self._process = process
        self._reader = reader
        self._writer = writer
        self._call = 0
        self._killed = False
        self.types: Collection[Json] = ()
        self.exited = asyncio.create_task(process.wait(), name=f"child {process.pid}")
        self.exited.add_done_callback(lambda _: writer.close())

    @classmethod
    async def start(
        cls, handlers: str, log_level: str, names: Names, tracing: str = "off"
    ) -> ChildProcess:
        """Start a process and let it load the handlers.

        Raises:
            NoChild: It cannot be started, or it cannot load them; the message says why.
        """
        child = await cls._spawn()
        path: list[Json] = list(sys.path)
        child.send(
            {
                "parent": os.getpid(),
                "path": path,
                "handlers": handlers,
                "log_level": log_level,
                "redact": str(names),
                "tracing": tracing,
            }
        )
        try:
            why = await child._loads()
        finally:
            if not child.types:
                child.kill()
                await asyncio.wait({child.exited}, timeout=KILL_SECONDS)
        if why:
            raise NoChild(f"a process for handlers did not start: {why}")
        return child

    async def _loads(self) -> str:
        """Wait until it has loaded the handlers; why it did not, or ''."""
        try:
            async with asyncio.timeout(START_SECONDS):
                frame = await self._next()
        except TimeoutError:
            return f"it had not loaded its handlers after {START_SECONDS:g} s"
        except BrokenPipe as error:
            return str(error)
        if frame is None:
            return await self.obituary()
        types = frame.get("types")
        self.types = types if isinstance(types, list) else ()
        return "" if self.types else str(frame.get("error", "it has no handlers"))

    @classmethod
    async def _spawn(cls) -> ChildProcess:
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "ftq_daemon.children.program",
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Of its own: Ctrl-C goes to the daemon only, and what a handler started can be
                # killed with it.
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise NoChild(f"a process for handlers did not start: {error}") from error
        finally:
            theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return cls(process, reader, writer)

    @property
    def usable(self) -> bool:
        """Whether it can run another handler."""
        return not (self._killed or self.exited.done())

    def send(self, frame: Frame) -> None:
        """Tell it something; what one that is no more does not hear, shows as its end."""
        self._writer.write(pack(frame))

    def tell(self, signals: Signals) -> None:
        """Let its handler see what changed."""
        self.send({"stopping": signals.stopping, "lost": signals.lost})

    def end(self) -> None:
        """Raise SystemExit in its handler; cancel it if it is an async one."""
        self.send({"end": True})

    def kill(self) -> None:
        """Kill it, with all that its handler started. `exited` is done soon after."""
        if self._killed:
            return
        self._killed = True
        # Its group bears its number for as long as anything of it lives.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._writer.close()

    async def run(
        self, payload: str, context: Context, signals: Signals, timeout: float
    ) -> Outcome:
        """Run a handler to its end, which may be the end of the process: `Crashed` then."""
        self._call += 1
        self.send(
            {
                "call": self._call,
                "type": context.type,
                "payload": payload,
                "task_id": context.task_id,
                "attempt": context.attempt,
                "claim_no": context.claim_no,
                "correlation_id": context.correlation_id,
                "tenant": context.tenant,
                "trace": context.trace,
                "ms": round(timeout * 1000),
                "stopping": signals.stopping,
                "lost": signals.lost,
            }
        )
        try:
            outcome = await self._outcome(context)
        except BrokenPipe as error:
            self.kill()
            return _died(f"something else wrote to the pipe of its process: {error}")
        if outcome is not None:
            return outcome
        obituary = await self.obituary()
        self.kill()  # what its handler started, it leaves behind
        return _died(obituary)

    async def _outcome(self, context: Context) -> Outcome | None:
        while (frame := await self._next()) is not None:
            if frame.get("call") != self._call:
                continue  # from a thread that an earlier handler left there
            if "outcome" in frame:
                return load_outcome(frame["outcome"])
            try:
                _ = context.progress(parse(str(frame.get("progress"))))
            except (NotJson, ValueError) as error:
                raise BrokenPipe(str(error)) from error
        return None

    async def _next(self) -> Frame | None:
        """The next frame; None once the process is no more.

        Its pipe alone does not tell: a process that its handler forked may hold the other end.
        """
        reading = asyncio.ensure_future(read(self._reader))
        try:
            await asyncio.wait({reading, self.exited}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await asyncio.wait({reading}, timeout=LAST_WORDS_SECONDS)
            return reading.result() if reading.done() else None
        finally:
            reading.cancel()

    async def obituary(self) -> str:
        """How it ended, for people."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await asyncio.shield(self.exited)
        if not self.exited.done():
            return "its process closed the pipe"
        code = self.exited.result()
        if code >= 0:
            return f"its process exited with code {code}"
        hint = " (as when memory runs out)" if code == -signal.SIGKILL else ""
        return f"its process was killed by {_signal_name(-code)}{hint}"


def _died(how: str) -> Crashed:
    return Crashed(failure("exception", "ProcessDied", how))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
