"""``python -m ftq_daemon.children.program``: runs handlers in a process of their own.

The daemon starts it, and speaks to it through the socket whose number is its only argument. The
handler runs in the main thread, an async one on a loop there; a second thread listens. It runs one
call at a time, and it ends with its daemon, whatever happens to that.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType
from typing import Final, cast, get_args

from ftq.context import Context, OnItsWay, Signals
from ftq.errors import RegistryError
from ftq.middleware import Work
from ftq.outcome import Outcome, Raised
from ftq.redaction import Names, read_names
from ftq.registry import Registry, load
from ftq.task import failure
from ftq.text import Json
from ftq.trace import read_trace
from ftq_daemon.children.pipe import Frame, dump_outcome, pack, receive
from ftq_daemon.endings import Endings
from ftq_daemon.sinks.lines import Lines
from ftq_daemon.sinks.log import bind, configure
from ftq_daemon.tracing.port import Backend, Tracing
from ftq_daemon.tracing.start import start

# prctl(2): the signal that this process gets when the thread that started it ends.
_PR_SET_PDEATHSIG: Final = 1
# How long a reader of the log that does not keep up holds an outcome back.
LAST_LINES_SECONDS: Final = 1.0


class Program:
    """What this process does.

    Args:
        pipe: Leads to the daemon.
        registry: The handlers.
        lines: What is logged here.
        names: Secret names beside the usual ones.
        traces: Where what the handlers trace goes, if anywhere.
    """

    def __init__(
        self,
        pipe: socket.socket,
        registry: Registry,
        lines: Lines,
        names: Names,
        traces: Backend | None,
    ) -> None:
        """Set up; `run` does the work."""
        self._endings = Endings(names)
        self._pipe = pipe
        self._registry = registry
        self._lines = lines
        self._traces = traces
        self._sending = threading.Lock()
        self._calls: queue.SimpleQueue[tuple[Frame, Signals]] = queue.SimpleQueue()
        self._signals = Signals()
        self._must_end = False
        self._cancel: Callable[[], object] | None = None

    def run(self) -> None:
        """Run what the daemon asks for, until it is gone."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        threading.Thread(target=self._listen, name="ftq listen", daemon=True).start()
        while True:
            frame, signals = self._calls.get()
            outcome = contextvars.copy_context().run(self._call, frame, signals)
            # A killed process loses what it has not written out yet.
            self._lines.close(LAST_LINES_SECONDS)
            sys.stdout.flush()
            sys.stderr.flush()
            self.send({"call": frame["call"], "outcome": dump_outcome(outcome)})

    def send(self, frame: Frame) -> None:
        """Send a frame to the daemon."""
        with self._sending:
            self._pipe.sendall(pack(frame))

    def _listen(self) -> None:
        main = threading.main_thread().ident
        while (frame := receive(self._pipe)) is not None:
            if "call" in frame:
                self._signals = _signals(frame)
                self._calls.put((frame, self._signals))
            elif "end" in frame:
                self._must_end = True
                if self._cancel is not None:
                    self._cancel()
                elif main is not None:
                    signal.pthread_kill(main, signal.SIGTERM)
            else:
                told = _signals(frame)
                self._signals.tell(stopping=told.stopping, lost=told.lost)
        # The daemon is gone: whatever still runs here, or was started here, is over.
        os.killpg(0, signal.SIGKILL)

    def _on_sigterm(self, number: int, _: FrameType | None) -> None:
        # A supervisor may send it to everything that it started, as systemd does. What the
        # daemon's drain lets run must not end by it: only the daemon's own word counts.
        if self._must_end:
            raise SystemExit(128 + number)

    def _call(self, frame: Frame, signals: Signals) -> Outcome:
        context = self._context(frame, signals)
        bind(context)
        if self._traces is not None and (trace := read_trace(context.trace)):
            self._traces.join(trace)
        handler = self._registry.get(context.type)
        if handler is None:  # the daemon has compared its types with ours
            raise LookupError(context.type)
        try:
            work = self._endings.work(handler, str(frame["payload"]), context)
            if not isinstance(work, partial):
                return work
            value = asyncio.run(self._awaited(work)) if handler.is_async else work()
            return self._endings.returned(value)
        except asyncio.CancelledError:
            return Raised(failure("exception", "CancelledError", "the handler cancelled itself"))
        except BaseException as error:  # SystemExit too: the daemon decides what lives
            return self._endings.raised(error, handler)

    async def _awaited(self, work: Work) -> object:
        loop, call = asyncio.get_running_loop(), asyncio.current_task()
        if call is not None:
            self._cancel = partial(loop.call_soon_threadsafe, call.cancel)
        if self._must_end:  # it was said before there was anything to cancel
            raise asyncio.CancelledError
        value = work()
        return await value if isinstance(value, Awaitable) else value

    def _context(self, frame: Frame, signals: Signals) -> Context:
        call = frame["call"]

        def report(text: str) -> Awaitable[None]:
            self.send({"call": call, "progress": text})
            return OnItsWay()

        return Context(
            task_id=str(frame["task_id"]),
            type=str(frame["type"]),
            attempt=_number(frame["attempt"]),
            claim_no=_number(frame["claim_no"]),
            deadline=time.time() + _number(frame["ms"]) / 1000,
            correlation_id=str(frame["correlation_id"]),
            tenant=str(frame["tenant"]),
            _signals=signals,
            _report=report,
            trace=str(frame["trace"]),
        )


def _signals(frame: Frame) -> Signals:
    return Signals(frame.get("stopping") is True, frame.get("lost") is True)


def _number(value: Json) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no number")
    return value


def _tracing(value: Json) -> Tracing:
    return cast("Tracing", value) if value in get_args(Tracing) else "off"


def _die_with(parent: int) -> None:
    """See to it that this process does not outlive the daemon.

    The listener sees the pipe close, but not while a handler's native code holds the
    interpreter; on Linux the kernel sees to it even then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it was gone before that was arranged


def main() -> int:
    """Run until the daemon is gone."""
    pipe = socket.socket(fileno=int(sys.argv[1]))
    pipe.set_inheritable(False)
    # In a session of its own no terminal reaches it; a function and not SIG_IGN, which the
    # programs that a handler starts would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    hello = receive(pipe)
    if hello is None:
        return 0
    _die_with(_number(hello["parent"]))
    path = hello["path"]
    sys.path[:] = [str(each) for each in path] if isinstance(path, list) else []
    names = read_names(str(hello["redact"]))
    lines = configure(str(hello["log_level"]), names, whole=True)
    try:
        registry = load(str(hello["handlers"]))
    except RegistryError as error:
        pipe.sendall(pack({"error": str(error)}))
        return 1
    types: list[Json] = [each.type for each in registry]
    pipe.sendall(pack({"types": types}))
    traces = asyncio.run(start(_tracing(hello["tracing"]), os.environ, "", names))
    Program(pipe, registry, lines, names, traces).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
