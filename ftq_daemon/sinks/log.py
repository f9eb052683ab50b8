"""Events as log lines, and the one way in which anything in this program is logged.

One JSON object a line on stdout: our events, what handlers log through structlog or the
standard library, and what libraries say, all through one formatter.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Final

import structlog
from structlog.typing import Processor

from ftq.task import Failure, Task
from ftq_daemon import events as facts
from ftq_daemon.events import Event

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
}


_LIFE: Final = (facts.Started, facts.Draining, facts.Stopped)


def configure(level: str) -> None:
    """Send all logging of this process to stdout as JSON lines."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # The AWS client logs whole requests below this: payloads are nobody's business.
    for chatty in ("botocore", "aiobotocore", "asyncio", "aiohttp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class LogSink:
    """A sink that logs each event."""

    def __init__(self, daemon: str) -> None:
        """Name the daemon in every line."""
        self._log = structlog.get_logger("ftq").bind(daemon=daemon)
        # The life of the process is told whatever the level: supervisors wait for these lines.
        life = logging.getLogger("ftq.life")
        life.setLevel(logging.INFO)
        told = structlog.make_filtering_bound_logger(logging.INFO)
        self._life = structlog.wrap_logger(life, wrapper_class=told).bind(daemon=daemon)

    def __call__(self, event: Event) -> None:
        """Log an event."""
        level = _LEVELS.get(type(event), logging.INFO)
        if isinstance(event, facts.Called) and event.outcome != "ok":
            level = logging.WARNING
        log = self._life if isinstance(event, _LIFE) else self._log
        log.log(level, event.name, **_flat(event))


def _flat(event: Event) -> dict[str, object]:
    line: dict[str, object] = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Task):
            line |= _task(value)
        elif isinstance(value, Failure):
            line |= {
                "error": value.message,
                "error_class": value.class_name,
                "error_fingerprint": value.fingerprint,
            }
        else:
            line[field.name] = round(value, 6) if isinstance(value, float) else value
    return line


def _task(task: Task) -> dict[str, object]:
    return {
        "task_id": task.id,
        "type": task.type,
        "attempt": task.attempt,
        "claim_no": task.claim_no,
        "correlation_id": task.correlation_id,
    }
