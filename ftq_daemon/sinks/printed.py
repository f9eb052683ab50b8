"""What is printed in this process becomes log lines too, and so do errors that nobody caught.

A handler's `print`, a library that writes to standard error, a logger with a handler of its own, a
thread that dies: without this each would go out as it is, between the lines of JSON, and past the
redaction that they all go through.
"""

from __future__ import annotations

import io
import sys
import threading

from structlog.typing import FilteringBoundLogger

from ftq import printed
from ftq.redaction import USUAL, Names, redact_text


class Printed(printed.Printed):
    """A stream whose text, and bytes, are logged.

    Args:
        log: Takes what is printed: a logger of ours, which no handler's configuration changes.
        name: What stands for it in the lines.
        descriptor: Where it led, for those who ask: programs that a handler starts inherit it.
    """

    encoding = "utf-8"

    def __init__(self, log: FilteringBoundLogger, name: str, descriptor: int) -> None:
        """Nothing has been printed yet."""
        super().__init__(log.bind(logger=name).info)
        self._descriptor = descriptor
        self.buffer = _Bytes(self)

    def fileno(self) -> int:
        """The descriptor that it stands before."""
        return self._descriptor

    def flush(self) -> None:
        """Log what waits for the end of its line."""
        self.end()


class _Bytes(io.RawIOBase):
    """The same for those who write bytes."""

    def __init__(self, text: Printed) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, given: object) -> int:
        data = bytes(given) if isinstance(given, bytes | bytearray | memoryview) else b""
        self._text.write(data.decode("utf-8", "replace"))
        return len(data)


def take_over(log: FilteringBoundLogger) -> None:
    """Log what is printed from now on, and what would be printed of errors nobody caught.

    Args:
        log: Takes it.
    """

    def tell(what: str, error: BaseException | None) -> None:
        log.error("daemon.failed", what=what, exc_info=error)

    def thread_died(died: threading.ExceptHookArgs) -> None:
        tell(f"thread {died.thread.name if died.thread else ''}", died.exc_value)

    sys.stdout = Printed(log, "stdout", 1)
    sys.stderr = Printed(log, "stderr", 2)
    sys.excepthook = lambda _, error, __: tell("process", error)
    threading.excepthook = thread_died
    sys.unraisablehook = lambda failed: tell(failed.err_msg or "finalizer", failed.exc_value)


def refuse(text: str, names: Names = USUAL) -> None:
    """Say on the real standard error why this program does not start, redacted."""
    if sys.__stderr__ is not None:
        sys.__stderr__.write(f"{redact_text(text, names)}\n")
        sys.__stderr__.flush()
