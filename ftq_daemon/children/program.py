"""``python -m ftq_daemon.children.program``: runs handlers with ``run_in="process"``.

The daemon starts it, and speaks to it through the socket whose number is its only argument. The
handler runs in the main thread; a second thread listens. It runs one call at a time, and it ends
with its daemon, whatever happens to that.
"""

from __future__ import annotations

import contextvars
import ctypes
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable
from types import FrameType
from typing import Final

from ftq.context import Context, OnItsWay, Signals
from ftq.errors import RegistryError
from ftq.handler import Handler
from ftq.outcome import Outcome
from ftq.registry import Registry, load
from ftq.text import Json
from ftq_daemon.children.pipe import Frame, dump_outcome, pack, receive
from ftq_daemon.endings import arguments, raised, returned
from ftq_daemon.sinks.lines import Lines
from ftq_daemon.sinks.log import bind, configure

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
    """

    def __init__(self, pipe: socket.socket, registry: Registry, lines: Lines) -> None:
        """Set up; `run` does the work."""
        self._pipe = pipe
        self._registry = registry
        self._lines = lines
        self._sending = threading.Lock()
        self._calls: queue.SimpleQueue[tuple[Frame, Signals]] = queue.SimpleQueue()
        self._signals = Signals()
        self._must_end = False

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
                if main is not None:
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
        handler = self._registry.get(context.type)
        if handler is None:  # the daemon has compared its types with ours
            raise LookupError(context.type)
        return _run(handler, str(frame["payload"]), context)

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
        )


def _run(handler: Handler, payload: str, context: Context) -> Outcome:
    try:
        given = arguments(handler, payload, context)
        return returned(handler.function(*given)) if isinstance(given, tuple) else given
    except BaseException as error:  # SystemExit too: the daemon decides what lives
        return raised(error, handler)


def _signals(frame: Frame) -> Signals:
    return Signals(frame.get("stopping") is True, frame.get("lost") is True)


def _number(value: Json) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no number")
    return value


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
    lines = configure(str(hello["log_level"]))
    try:
        registry = load(str(hello["handlers"]))
    except RegistryError as error:
        pipe.sendall(pack({"error": str(error)}))
        return 1
    types: list[Json] = [each.type for each in registry if each.run_in == "process"]
    pipe.sendall(pack({"types": types}))
    Program(pipe, registry, lines).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
