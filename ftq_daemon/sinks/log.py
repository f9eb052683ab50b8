"""Events as log lines, and the one way in which anything in this program is logged.

One JSON object a line on stdout: our events, what handlers log through structlog or the
standard library, and what libraries say. All of it passes one chain of processors, and one
encoder at its end.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Final

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
_HEAD: Final = ("timestamp", "level", "event")
# The life of the process is told whatever the level: supervisors wait for these lines.
_LIFE: Final = (facts.Started, facts.Draining, facts.Stopped)
_FIELDS: Final[Mapping[type[Event], tuple[str, ...]]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in facts.EVENTS
}


def configure(level: str) -> Lines:
    """Send all logging of this process to stdout as JSON lines.

    Returns:
        The lines on their way out; close them before the process ends.
    """
    lines = Lines(sys.stdout.fileno(), _lost)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _encode,
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


def _encode(_: WrappedLogger, __: str, line: EventDict) -> bytes:
    head = {key: line.pop(key, None) for key in _HEAD}
    return encode({**head, **line})


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
    structlog.contextvars.bind_contextvars(
        task_id=context.task_id,
        type=context.type,
        attempt=context.attempt,
        claim_no=context.claim_no,
        correlation_id=context.correlation_id,
    )


class LogSink:
    """A sink that logs each event.

    Args:
        daemon: Who we are: named in every line.
        level: What is below it is not even looked at.
    """

    def __init__(self, daemon: str, level: str) -> None:
        self._least = logging.getLevelNamesMapping()[level]
        self._log = structlog.get_logger().bind(daemon=daemon)
        told = structlog.make_filtering_bound_logger(logging.INFO)
        self._life = structlog.wrap_logger(None, wrapper_class=told).bind(daemon=daemon)

    def __call__(self, event: Event) -> None:
        """Log an event."""
        if isinstance(event, _LIFE):
            self._life.info(event.name, **_flat(event))
            return
        level = _LEVELS.get(type(event), logging.INFO)
        if isinstance(event, facts.Called) and event.outcome != "ok":
            level = logging.WARNING
        if level >= self._least:
            self._log.log(level, event.name, **_flat(event))


def _flat(event: Event) -> dict[str, object]:
    line: dict[str, object] = {}
    for name in _FIELDS[type(event)]:
        value = getattr(event, name)
        if isinstance(value, Task):
            line |= _task(value)
        elif isinstance(value, Failure):
            line |= {
                "error": value.message,
                "error_class": value.class_name,
                "error_fingerprint": value.fingerprint,
            }
        elif value is not None:
            line[name] = round(value, 6) if isinstance(value, float) else value
    return line


def _task(task: Task) -> dict[str, object]:
    return {
        "task_id": task.id,
        "type": task.type,
        "attempt": task.attempt,
        "claim_no": task.claim_no,
        "correlation_id": task.correlation_id,
    }
