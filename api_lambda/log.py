"""Log lines: one JSON object each, on standard output, where Lambda picks them up."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from ftq.text import Json

LOGGER: Final = logging.getLogger("ftq.api")
# Frames of a traceback that are logged, the innermost last.
FRAMES: Final = 12


class JsonLines(logging.Handler):
    """Writes each record as one line of JSON to whatever standard output is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            sys.stdout.write(_line(record) + "\n")
            sys.stdout.flush()
        except Exception:  # logging must never break the request that is logged
            self.handleError(record)


def configure(level: str) -> None:
    """Send this package's records to standard output, and nowhere else.

    The runtime's own root handler would print each of them a second time, in its own form.
    """
    if not any(isinstance(each, JsonLines) for each in LOGGER.handlers):
        LOGGER.addHandler(JsonLines())
    LOGGER.propagate = False
    LOGGER.setLevel(level)


def log(level: int, event: str, **fields: Json) -> None:
    """Log an event with its fields. Payloads are never among them."""
    LOGGER.log(level, event, extra={"fields": fields})


def say(event: str, **fields: Json) -> None:
    """Log metrics, which are said whatever the level."""
    nowhere = (LOGGER.name, logging.INFO, "", 0, event, (), None)
    LOGGER.handle(LOGGER.makeRecord(*nowhere, extra={"fields": fields}))


def log_bug(event: str, error: BaseException, **fields: Json) -> None:
    """Log an error that should not have happened: its class and where, but not its message.

    The message of an unforeseen error may quote the payload that caused it.
    """
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    where: list[Json] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    log(logging.ERROR, event, error=type(error).__qualname__, where=where, **fields)


def _line(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    line: dict[str, object] = {
        "timestamp": at.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "event": record.getMessage(),
    }
    fields = getattr(record, "fields", None)
    if isinstance(fields, Mapping):
        line.update(fields)
    return json.dumps(line, default=str)
