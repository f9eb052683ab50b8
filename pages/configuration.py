"""docs/reference/configuration.md, from the settings of the two programs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo

from api_lambda.settings import ApiSettings
from ftq.settings import PREFIX, Settings
from ftq_daemon.settings import DaemonSettings

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "configuration.md"
_ATTRIBUTE: Final = re.compile(r"^        (\w+): (.*(?:\n {12}.*)*)", re.MULTILINE)
# What cannot be written as a number or a word.
_SPOKEN: Final = {"redact": "none", "pool_processes": "one per core"}
_HEAD: Final = """\
# Configuration

<!-- Written by `python -m pages` from the settings of each program; edit there. -->

Each program reads its environment once, at its start. A setting that is missing, misspelt in its
value or out of bounds ends it with exit code 2 and a line for each fault, with the setting, its
value and the limit; the API answers 503. An empty variable counts as not set. `AWS_*` are the AWS
SDK's own.
"""


def page() -> str:
    """The page as it should be."""
    common = set(Settings.model_fields)
    own: dict[str, tuple[type[Settings], set[str]]] = {
        "The daemon": (DaemonSettings, set(DaemonSettings.model_fields) - common),
        "The API, and the scheduled sweep": (ApiSettings, set(ApiSettings.model_fields) - common),
    }
    tables = [_table(title, model, names) for title, (model, names) in own.items()]
    return "\n".join([_HEAD, _table("Both programs", Settings, common), *tables])


def undescribed() -> list[str]:
    """Settings of which their model's docstring says nothing."""
    models = (Settings, DaemonSettings, ApiSettings)
    return [name for each in models for name in each.model_fields if name not in _meanings(each)]


def _table(title: str, model: type[Settings], names: set[str]) -> str:
    meanings = _meanings(model)
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(name, it)} | {_bounds(it)} | {meanings[name]} |"
        for name, it in model.model_fields.items()
        if name in names
    ]
    head = ["| setting | default | values | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {title}\n", *head, *rows]) + "\n"


def _meanings(model: type[Settings]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, Settings):
            attributes = (each.__doc__ or "").partition("Attributes:\n")[2]
            found |= {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(attributes)}
    return {name: text.replace("``", "`") for name, text in found.items()}


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if name in _SPOKEN:
        return _SPOKEN[name]
    value = field.default
    return "unset" if value is None or value == () else f"`{value}`"


def _bounds(field: FieldInfo) -> str:
    literals = [
        value for part in _parts(field.annotation) for value in getattr(part, "__args__", ())
    ]
    words = [str(each) for each in literals if isinstance(each, str)]
    if words:
        return ", ".join(f"`{each}`" for each in words)
    # Those of a setting that may be unset stand at its type.
    optional = [info for part in _parts(field.annotation) for info in _annotated(part)]
    limits = [limit for info in (field, *optional) for limit in info.metadata]
    least = next((each.ge for each in limits if hasattr(each, "ge")), None)
    most = next((each.le for each in limits if hasattr(each, "le")), None)
    return "" if least is None else f"{least:,} to {most:,}"


def _annotated(part: object) -> list[FieldInfo]:
    return [each for each in getattr(part, "__metadata__", ()) if isinstance(each, FieldInfo)]


def _parts(annotation: object) -> Iterator[object]:
    yield annotation
    yield from getattr(annotation, "__args__", ())
