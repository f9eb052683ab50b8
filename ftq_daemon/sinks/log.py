"""Events as log lines, and the one way in which anything in this program is logged.

One JSON object a line on stdout: what handlers log through structlog or the standard library,
and what libraries say, by structlog's chain of processors; our own events, which are most of it,
straight. Both end in `render`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import fields
from datetime import UTC, datetime
from typing import Final, TypeAlias

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from ftq.context import Context
from ftq.task import Failure, Task
from ftq_daemon import events as facts
from ftq_daemon.events import Event
from ftq_daemon.sinks.lines import Lines

# Levels other than info. Calls and refusals are many and expected: debug.
_LEVELS: Final[Mapping[type[Event], int]] = {
    facts.Called: logging.DEBUG,
    facts.Refusal: logging.DEBUG,
    facts.Swept: logging.DEBUG,
    facts.BreakerOpened: logging.WARNING,
    facts.Retrying: logging.WARNING,
    facts.Crashed: logging.WARNING,
    facts.ClaimLost: logging.WARNING,
    facts.LoopBlocked: logging.ERROR,
    facts.Abandoned: logging.ERROR,
    facts.Dead: logging.ERROR,
    facts.PutAside: logging.ERROR,
    facts.Failed: logging.ERROR,
    facts.ProcessEnded: logging.ERROR,
}
_NAMES: Final[Mapping[int, str]] = {
    level: logging.getLevelName(level).lower() for level in {logging.INFO, *_LEVELS.values()}
}
_HEAD: Final = ("timestamp", "level", "event")
# The life of the process is told whatever the level: supervisors wait for these lines.
_LIFE: Final = (facts.Started, facts.Draining, facts.Stopped)
_FIELDS: Final[Mapping[type[Event], tuple[str, ...]]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in facts.EVENTS
}
Line: TypeAlias = dict[str, object]
Log: TypeAlias = Callable[[bytes], object]
"""Takes lines."""
# What all lines of an attempt say of it: one variable, for it is set for each task.
_attempt: Final[ContextVar[Line | None]] = ContextVar("_attempt", default=None)


def configure(level: str) -> Lines:
    """Send all logging of this process to stdout as JSON lines.

    Returns:
        The lines on their way out; close them before the process ends.
    """
    lines = Lines(sys.stdout.fileno(), _lost)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _merge_attempt,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=_Out(lines),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Foreign()]
    root.setLevel(level)
    logging.captureWarnings(True)
    # The AWS client logs whole requests below this: payloads are nobody's business.
    for chatty in ("botocore", "aiobotocore", "asyncio", "aiohttp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return lines


class _Out:
    """What structlog calls a logger, and its factory: it takes encoded lines."""

    def __init__(self, lines: Lines) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = lines.write
        self.exception = self.fatal = self.warn = self.msg = self.log = lines.write

    def __call__(self, *_: object) -> _Out:
        return self


class _Foreign(logging.Handler):
    """Hands what is logged through the standard library to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # arguments that do not fit their text: better half a line than none
            message = str(record.msg)
        # structlog knows the five levels that have names, and none between them.
        level = max(logging.DEBUG, min(record.levelno // 10 * 10, logging.CRITICAL))
        log = structlog.get_logger().bind(logger=record.name)
        log.log(level, "%s", message, exc_info=record.exc_info)


def _merge_attempt(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    about = _attempt.get()
    return line if about is None else {**about, **line}


def _render(_: WrappedLogger, __: str, line: EventDict) -> bytes:
    head = {key: line.pop(key, None) for key in _HEAD}
    return render({**head, **line})


def render(line: Line) -> bytes:
    """Whatever is logged comes by here last, as a whole line with its head first."""
    return encode(line)


def encode(line: Mapping[str, object]) -> bytes:
    """A line of JSON, whatever is in it."""
    try:
        return orjson.dumps(line, default=repr, option=orjson.OPT_APPEND_NEWLINE)
    except (TypeError, ValueError):
        # Numbers beyond 64 bits, halves of surrogate pairs, keys that are no text, endless depth.
        try:
            text = json.dumps({str(key): value for key, value in line.items()}, default=repr)
        except (TypeError, ValueError, RecursionError):
            text = json.dumps({str(key): repr(value) for key, value in line.items()})
        return text.encode("ascii") + b"\n"


def _lost(count: int) -> bytes:
    return encode({"level": "error", "event": "log.lost", "lines": count})


def bind(context: Context) -> None:
    """Let all that is logged in this context from now on carry the attempt that it is about."""
    _attempt.set(
        {
            "task_id": context.task_id,
            "type": context.type,
            "attempt": context.attempt,
            "claim_no": context.claim_no,
            "correlation_id": context.correlation_id,
        }
    )


class LogSink:
    """A sink that logs each event.

    Args:
        daemon: Who we are: named in every line.
        level: What is below it is not even looked at.
        write: Takes the lines.
    """

    def __init__(self, daemon: str, level: str, write: Log) -> None:
        self._least = logging.getLevelNamesMapping()[level]
        self._daemon = daemon
        self._write = write

    def __call__(self, event: Event) -> None:
        """Log an event."""
        level = _level(event)
        if level < self._least and not isinstance(event, _LIFE):
            return
        line = {
            # As structlog's TimeStamper writes it.
            "timestamp": datetime.now(UTC).isoformat()[:-6] + "Z",
            "level": _NAMES[level],
            "event": event.name,
            "daemon": self._daemon,
            **(_attempt.get() or {}),
        }
        _add(line, event)
        self._write(render(line))


def _level(event: Event) -> int:
    if isinstance(event, facts.Called) and event.outcome != "ok":
        return logging.WARNING
    return _LEVELS.get(type(event), logging.INFO)


def _add(line: Line, event: Event) -> None:
    for name in _FIELDS[type(event)]:
        value = getattr(event, name)
        if isinstance(value, Task):
            line["task_id"] = value.id
            line["type"] = value.type
            line["attempt"] = value.attempt
            line["claim_no"] = value.claim_no
            line["correlation_id"] = value.correlation_id
        elif isinstance(value, Failure):
            line["error"] = value.message
            line["error_class"] = value.class_name
            line["error_fingerprint"] = value.fingerprint
        elif value is not None:
            line[name] = round(value, 6) if isinstance(value, float) else value
