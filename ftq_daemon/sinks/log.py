"""Events as log lines, and the one way in which anything in this program is logged.

One JSON object a line on stdout: what handlers log through structlog or the standard library,
and what libraries say, by structlog's chain of processors; our own events, which are most of it,
straight. Both end in `render`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeAlias

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from ftq.context import Context
from ftq.lifecycle import State
from ftq.redaction import USUAL, Names, redact, redact_text
from ftq.sample import kept
from ftq.task import Failure, Task
from ftq_daemon import events as facts
from ftq_daemon.events import Event
from ftq_daemon.settings import DaemonSettings
from ftq_daemon.sinks.encoding import encode
from ftq_daemon.sinks.lines import Lines
from ftq_daemon.sinks.printed import take_over

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
    kind: tuple(field.name for field in fields(kind) if field.name != "was")
    for kind in facts.EVENTS
}
# Fields that hold words of others: a failure's have been redacted as it was made.
_FREE: Final = frozenset({"by", "error", "where", "why"})
# What went well: the lines of which a share may be enough.
_WELL: Final = frozenset(
    {facts.Promoted, facts.Claimed, facts.Succeeded, facts.Released, facts.Cancelled}
)
# The changes of a task's state that this program makes, for the audit: from and to. A claim says
# itself what it found.
_CHANGES: Final[Mapping[type[Event], tuple[str, str]]] = {
    facts.Claimed: ("", State.RUNNING),
    facts.Succeeded: (State.RUNNING, State.SUCCEEDED),
    facts.Retrying: (State.RUNNING, State.RETRYING),
    facts.Dead: (State.RUNNING, State.DEAD),
    facts.Released: (State.RUNNING, State.QUEUED),
    facts.Cancelled: (State.RUNNING, State.CANCELLED),
    facts.Promoted: (State.SCHEDULED, State.QUEUED),
    facts.Ticked: ("", State.QUEUED),
}
# What each record of the standard library has; the rest is what somebody gave as `extra`.
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
# Of a payload in a line.
_PAYLOAD_CHARS: Final = 8 * 1024
Line: TypeAlias = dict[str, object]
Log: TypeAlias = Callable[[bytes], object]
"""Takes lines."""
# What all lines of an attempt say of it: one variable, for it is set for each task.
_attempt: Final[ContextVar[Line | None]] = ContextVar("_attempt", default=None)


def configure(level: str, names: Names = USUAL, *, whole: bool = False) -> Lines:
    """Send all logging of this process to stdout as JSON lines.

    Args:
        level: The least level that is logged.
        names: Secret names beside the usual ones.
        whole: Whether the process is ours: what is printed is logged too then.

    Returns:
        The lines on their way out; close them before the process ends.
    """
    lines = Lines(sys.stdout.fileno(), _lost)
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _merge_attempt,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        partial(_render, names),
    ]
    wrapper = structlog.make_filtering_bound_logger(logging.getLevelName(level))
    structlog.configure(
        processors=processors,
        wrapper_class=wrapper,
        logger_factory=_Out(lines),
        cache_logger_on_first_use=True,
    )
    # Not structlog's own: a handler's module may configure that as it likes.
    own: FilteringBoundLogger = structlog.wrap_logger(
        _Out(lines), processors=processors, wrapper_class=wrapper
    ).bind()
    if whole:
        take_over(own)
    root = logging.getLogger()
    root.handlers = [_Foreign(own)]
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

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # arguments that do not fit their text: better half a line than none
            message = (
                record.msg if isinstance(record.msg, str) else f"<{type(record.msg).__name__}>"
            )
        # structlog knows the five levels that have names, and none between them.
        level = max(logging.DEBUG, min(record.levelno // 10 * 10, logging.CRITICAL))
        extra = {str(key): each for key, each in vars(record).items() if key not in _USUAL}
        log = self._log.bind(**{**extra, "logger": record.name})
        log.log(level, "%s", message, exc_info=record.exc_info)


def _merge_attempt(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    about = _attempt.get()
    return line if about is None else {**about, **line}


def _render(names: Names, _: WrappedLogger, __: str, line: EventDict) -> bytes:
    # Somebody else's words, which may hold anything.
    clean = redact(line, names)
    if not isinstance(clean, dict):
        raise TypeError("a line is an object")
    head = {key: clean.pop(key, None) for key in _HEAD}
    return render({**head, **clean})


def render(line: Line) -> bytes:
    """Whatever is logged comes by here last, as a whole line with its head first."""
    return encode(line)


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
        names: Secret names beside the usual ones.
        share: The share of tasks whose lines about what went well are logged.
        audit: Whether changes of state are the audit stream: marked, whole, and never left out.
        payloads: Whether a claim's line has the payload, redacted.
    """

    def __init__(
        self,
        daemon: str,
        level: str,
        write: Log,
        names: Names = USUAL,
        *,
        share: float = 1.0,
        audit: bool = False,
        payloads: bool = False,
    ) -> None:
        self._names = names
        self._share = share
        self._changes = _CHANGES if audit else {}
        self._payloads = payloads
        self._least = logging.getLevelNamesMapping()[level]
        self._daemon = daemon
        self._write = write

    def __call__(self, event: Event) -> None:
        """Log an event."""
        level = _level(event)
        change = self._changes.get(type(event))
        if change is None and not self._heard(event, level):
            return
        line = {
            # As structlog's TimeStamper writes it.
            "timestamp": datetime.now(UTC).isoformat()[:-6] + "Z",
            "level": _NAMES[level],
            "event": event.name,
            "daemon": self._daemon,
            **(_attempt.get() or {}),
        }
        self._add(line, event)
        if change is not None:
            was, now = change
            line.update(stream="audit", to=now)
            line["from"] = event.was if isinstance(event, facts.Claimed) else was
        if self._payloads and isinstance(event, facts.Claimed) and event.task.payload:
            line["payload"] = redact_text(event.task.payload, self._names, _PAYLOAD_CHARS)
        self._write(render(line))

    def _heard(self, event: Event, level: int) -> bool:
        if level < self._least:
            return isinstance(event, _LIFE)
        if self._share == 1 or type(event) not in _WELL:
            return True
        task = getattr(event, "task", None)
        return not isinstance(task, Task) or kept(task.id, self._share)

    def _add(self, line: Line, event: Event) -> None:
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
            elif name in _FREE:
                line[name] = redact_text(str(value), self._names)
            elif value is not None:
                line[name] = round(value, 6) if isinstance(value, float) else value


def _level(event: Event) -> int:
    if isinstance(event, facts.Called) and event.outcome != "ok":
        return logging.WARNING
    return _LEVELS.get(type(event), logging.INFO)


def log_sink(daemon: str, settings: DaemonSettings, write: Log) -> LogSink:
    """The log as the settings want it."""
    return LogSink(
        daemon,
        settings.log_level,
        write,
        settings.redact,
        share=settings.log_sample,
        audit=settings.audit == "all",
        payloads=settings.log_payloads == "on",
    )
