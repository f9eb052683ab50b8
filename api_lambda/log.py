"""Log lines: one JSON object each, on standard output, where Lambda picks them up.

All that is logged in this program, by whomever, ends in `_line`, and is redacted there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from api_lambda.http import CORRELATION, Request
from api_lambda.printed import beneath
from ftq.redaction import USUAL, Names, redact
from ftq.task import Task
from ftq.text import Json

LOGGER: Final = logging.getLogger("ftq.api")
# Frames of a traceback that are logged, the innermost last.
FRAMES: Final = 12
_FORMATTER: Final = logging.Formatter()
# What each record of the standard library has; the rest is what somebody gave as `extra`.
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "fields"}


class JsonLines(logging.Handler):
    """Writes each record as one line of JSON to whatever standard output is at that moment.

    Attributes:
        names: Secret names beside the usual ones.
    """

    names: Names = USUAL

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        # Logging must never break the request that is logged, nor print what it could not write.
        with contextlib.suppress(Exception):
            out = beneath()
            out.write(_line(record, self.names) + "\n")
            out.flush()


_LINES: Final = JsonLines()


def configure(level: str, names: Names = USUAL) -> None:
    """Send all logging to standard output, and nowhere else.

    Args:
        level: The least level of this package's own records; others are heard from WARNING on.
        names: Secret names beside the usual ones.
    """
    _LINES.names = names
    # The runtime's own handler of the root would print each record in its own form, as it came.
    for logger in (LOGGER, logging.getLogger()):
        logger.handlers = [_LINES]
    LOGGER.propagate = False
    LOGGER.setLevel(level)
    logging.captureWarnings(True)


def ensure() -> None:
    """Configure what was not configured yet: what the settings said stays as they said it."""
    if _LINES not in LOGGER.handlers:
        configure("INFO")


def log(level: int, event: str, **fields: Json) -> None:
    """Log an event with its fields. Payloads are never among them."""
    LOGGER.log(level, event, extra={"fields": fields})


def printed(stream: str, text: str) -> None:
    """Log what was printed on a stream."""
    if LOGGER.isEnabledFor(logging.INFO):
        LOGGER.handle(LOGGER.makeRecord(stream, logging.INFO, "", 0, text, (), None))


def say(event: str, **fields: Json) -> None:
    """Log what is said whatever the level: metrics, and the audit."""
    nowhere = (LOGGER.name, logging.INFO, "", 0, event, (), None)
    LOGGER.handle(LOGGER.makeRecord(*nowhere, extra={"fields": fields}))


def audit(request: Request, event: str, task: Task, was: str, now: str) -> None:
    """Say who changed a task, in the audit stream: whatever the level, and never sampled.

    Args:
        request: The request that did it.
        event: What was done.
        task: The task.
        was: Its state before, or '' if there was none.
        now: Its state after.
    """
    about: dict[str, Json] = {
        "correlation_id": request.headers.get(CORRELATION, ""),
        "task_correlation_id": task.correlation_id,
        "request_id": request.request_id,
        "source": request.source,
    }
    audit_as(request.caller or "unknown", event, task, was, now, about)


def audit_as(
    who: str, event: str, task: Task, was: str, now: str, about: Mapping[str, Json] | None = None
) -> None:
    """The same of who is no caller."""
    say(
        event,
        stream="audit",
        who=who,
        task_id=task.id,
        type=task.type,
        **{"from": was, "to": now},
        claim_no=task.claim_no,
        **(about or {"correlation_id": task.correlation_id}),
    )


def log_bug(event: str, error: BaseException, **fields: Json) -> None:
    """Log an error that should not have happened: its class and where, but not its message.

    The message of an unforeseen error may quote the payload that caused it.
    """
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    where: list[Json] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    log(logging.ERROR, event, error=type(error).__qualname__, where=where, **fields)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit their text: better half a line than none
        return record.msg if isinstance(record.msg, str) else f"<{type(record.msg).__name__}>"


def _line(record: logging.LogRecord, names: Names) -> str:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    line: dict[str, object] = {
        "timestamp": at.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
    }
    said = {str(key): each for key, each in vars(record).items() if key not in _USUAL}
    said["event"] = _message(record)
    fields = getattr(record, "fields", None)
    if isinstance(fields, Mapping):
        said.update(fields)
    if record.name != LOGGER.name:
        said["logger"] = record.name
    if record.exc_info:
        said["exception"] = _FORMATTER.formatException(record.exc_info)
    clean = redact(said, names)
    return json.dumps({**line, **clean} if isinstance(clean, dict) else line)
