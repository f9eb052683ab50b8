"""Settings from the environment: frozen, bounded, and refused with one clear line each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ftq.errors import SettingsError
from ftq.limits import QUEUE_PATTERN
from ftq.redaction import USUAL, Names, read_names, redact_text

PREFIX: Final = "FTQ_"
M = TypeVar("M", bound="Settings")


def _http_url(value: object) -> object:
    if not (isinstance(value, str) and value.startswith(("https://", "http://"))):
        raise ValueError("must be a URL that begins with https:// or http://")
    return value


QueueUrl = Annotated[str, BeforeValidator(_http_url)]
DEFAULT_QUEUE: Final = "default"
_MOST_WEIGHT: Final = 1000
_NAMED: Final = re.compile(
    rf"(?P<name>{QUEUE_PATTERN.pattern})(=(?P<url>https?://[^\s*]+))?(\*(?P<weight>[0-9]{{1,4}}))?"
)


@dataclass(frozen=True, slots=True)
class NamedQueue:
    """A queue as FTQ_QUEUES names it.

    Attributes:
        name: Its name, as handlers and submissions say it.
        url: The queue.
        weight: Its share where several queues want the same slots.
    """

    name: str
    url: str
    weight: int = 1


def _named_queues(value: object) -> object:
    if not isinstance(value, str):
        return value
    found: list[NamedQueue] = []
    for part in value.replace(",", " ").split():
        match = _NAMED.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is not NAME=URL or NAME=URL*WEIGHT")
        name, url = match["name"], match["url"] or ""
        weight = int(match["weight"] or 1)
        if not 1 <= weight <= _MOST_WEIGHT:
            raise ValueError(f"{part!r}: the weight must be from 1 to {_MOST_WEIGHT}")
        if bool(url) == (name == DEFAULT_QUEUE):
            raise ValueError(
                f"{part!r}: {DEFAULT_QUEUE!r} is FTQ_QUEUE_URL, and needs no URL; others need one"
            )
        found.append(NamedQueue(name, url, weight))
    for what in ("name", "url"):
        values = [getattr(each, what) for each in found]
        if twice := next((each for each in values if values.count(each) > 1), None):
            raise ValueError(f"{twice!r} stands twice")
    return tuple(found)


Queues = Annotated[tuple[NamedQueue, ...], BeforeValidator(_named_queues)]


def queues_of(default_url: str, named: Sequence[NamedQueue]) -> list[NamedQueue]:
    """All queues in their order; the default comes last unless FTQ_QUEUES puts it elsewhere.

    Args:
        default_url: FTQ_QUEUE_URL.
        named: FTQ_QUEUES.
    """
    found = [each if each.url else replace(each, url=default_url) for each in named]
    if not any(each.name == DEFAULT_QUEUE for each in found):
        found.append(NamedQueue(DEFAULT_QUEUE, default_url))
    return found


TableName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{3,255}$")]
ServiceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
HandlersPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
]


def _names(value: object) -> object:
    return read_names(value) if isinstance(value, str) else value


class Settings(BaseModel):
    """Base of each program's settings: a field ``drain_seconds`` is set by FTQ_DRAIN_SECONDS.

    Attributes:
        log_level: The least level that is logged.
        redact: Names that are secret beside the usual ones.
        log_sample: The share of the lines about what went well that is logged.
        audit: Whose changes are in the audit stream: those of `operators`, or `all`.
    """

    # Built as it is read: the base never is.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    log_level: LogLevel = "INFO"
    redact: Annotated[Names, BeforeValidator(_names)] = USUAL
    log_sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    audit: Literal["operators", "all"] = "operators"


def read(model: type[M], environ: Mapping[str, str]) -> M:
    """Read a program's settings from its environment.

    An empty variable counts as not set, so that a template can pass one along unfilled.

    Raises:
        SettingsError: One line for each fault, naming key, value and limit.
    """
    given = {
        name: environ[key]
        for name in model.model_fields
        if environ.get(key := PREFIX + name.upper())
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        names = _readable_names(given.get("redact", ""))
        lines = [_line(fault["loc"], fault["msg"], given) for fault in error.errors()]
        raise SettingsError([redact_text(line, names) for line in lines]) from None


def _readable_names(text: str) -> Names:
    """FTQ_REDACT's names even though some setting is refused; none if it is itself."""
    try:
        return read_names(text)
    except ValueError:
        return USUAL


def _line(where: tuple[int | str, ...], problem: str, given: Mapping[str, str]) -> str:
    problem = problem.removeprefix("Value error, ") or "is not valid"
    if not where:
        return problem
    name = str(where[0])
    key = PREFIX + name.upper()
    if name not in given:
        return f"{key} is not set: {problem[0].lower()}{problem[1:]}"
    return f"{key}={given[name]!r}: {problem[0].lower()}{problem[1:]}"
