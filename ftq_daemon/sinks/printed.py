"""What is printed in this process becomes log lines too, and so do errors that nobody caught.

A handler's `print`, a library that writes to standard error, a logger with a handler of its own, a
thread that dies: without this each would go out as it is, between the lines of JSON, and past the
redaction that they all go through.
"""

from __future__ import annotations

import io
import sys
import threading
from typing import Final

from structlog.typing import FilteringBoundLogger

from ftq.redaction import USUAL, Names, redact_text

# A text without an end becomes a line of this many characters.
_MOST: Final = 64 * 1024


class Printed(io.TextIOBase):
    """A stream whose text is logged: by the line, or by the whole text that is printed at once.

    Args:
        log: Takes what is printed: a logger of ours, which no handler's configuration changes.
        name: What stands for it in the lines.
        descriptor: Where it led, for those who ask: programs that a handler starts inherit it.
    """

    encoding = "utf-8"

    def __init__(self, log: FilteringBoundLogger, name: str, descriptor: int) -> None:
        """Nothing has been printed yet."""
        self._logger = log.bind(logger=name)
        self._descriptor = descriptor
        # Each thread's beginning of a line.
        self._begun = threading.local()
        self.buffer = _Bytes(self)

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def fileno(self) -> int:
        """The descriptor that it stands before."""
        return self._descriptor

    def write(self, text: str) -> int:
        """Log what has come to the end of a line, and keep the rest for what follows it."""
        said = getattr(self._begun, "text", "") + text
        done = said.endswith("\n") or len(said) > _MOST
        self._begun.text = "" if done else said
        if done:
            self._log(said)
        return len(text)

    def flush(self) -> None:
        """Log what waits for the end of its line."""
        said, self._begun.text = getattr(self._begun, "text", ""), ""
        self._log(said)

    def _log(self, text: str) -> None:
        if text := text.strip():
            self._logger.info(text)


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
