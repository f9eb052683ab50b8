"""Settings from the environment: frozen, bounded, and refused with one clear line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ftq.errors import SettingsError

PREFIX: Final = "FTQ_"
M = TypeVar("M", bound="Settings")


def _http_url(value: object) -> object:
    if not (isinstance(value, str) and value.startswith(("https://", "http://"))):
        raise ValueError("must be a URL that begins with https:// or http://")
    return value


QueueUrl = Annotated[str, BeforeValidator(_http_url)]
TableName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{3,255}$")]
HandlersPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
]


class Settings(BaseModel):
    """Base of each program's settings: a field ``drain_seconds`` is set by FTQ_DRAIN_SECONDS."""

    model_config = ConfigDict(frozen=True, extra="ignore")


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
        raise SettingsError(
            [_line(fault["loc"], fault["msg"], given) for fault in error.errors()]
        ) from None


def _line(where: tuple[int | str, ...], problem: str, given: Mapping[str, str]) -> str:
    problem = problem.removeprefix("Value error, ") or "is not valid"
    if not where:
        return problem
    name = str(where[0])
    key = PREFIX + name.upper()
    if name not in given:
        return f"{key} is not set: {problem[0].lower()}{problem[1:]}"
    return f"{key}={given[name]!r}: {problem[0].lower()}{problem[1:]}"
