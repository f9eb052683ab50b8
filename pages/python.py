"""docs/reference/python.md: what Python programs import, from signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

from pydantic import BaseModel
from typing_extensions import is_protocol

import ftq
import ftq.client
import ftq.client.direct
import ftq.errors
import ftq.events
import ftq.testing

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "python.md"
_HEAD: Final = """\
# Python API

<!-- Written by `python -m pages` from signatures and docstrings; edit there. -->

All names that programs import, as the code has them. For reading: [handlers](handlers.md),
[the client](client.md), [testing](../how-to/test.md),
[middleware and events](../how-to/middleware.md).
"""
_KIT: Final = ("Harness", "Run", "assert_idempotent", "run")
_EVENTS: Final = tuple(each.__name__ for each in ftq.events.EVENTS)
_ERRORS: Final = tuple(
    name
    for name, each in vars(ftq.errors).items()
    if inspect.isclass(each) and each.__module__ == "ftq.errors"
)
# Where each is described once: an error in ftq.errors, wherever else it can be imported from.
_MODULES: Final[tuple[tuple[ModuleType, str, tuple[str, ...]], ...]] = (
    (ftq, "What handlers are declared with.", tuple(ftq.__all__)),
    (ftq.client, "What asks the API.", tuple(ftq.client.__all__)),
    (
        ftq.client.direct,
        "What submits past the API.",
        ("DirectClient", "AsyncDirectClient", "Place"),
    ),
    (ftq.events, "What `@registry.listen` hears of.", _EVENTS),
    (ftq.testing, "What tests of handlers are made with.", _KIT),
    (ftq.errors, "All that is raised, each under `FtqError`.", _ERRORS),
)
_STARS: Final = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
_SECTION: Final = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$", re.MULTILINE)
_ITEM: Final = re.compile(r"^    ([\w, *]+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def page() -> str:
    """The page as it should be."""
    parts = [_HEAD]
    for module, what, names in _MODULES:
        own = [name for name in names if module is ftq.errors or name not in _ERRORS]
        parts.append(f"## `{module.__name__}`\n\n{what}\n")
        parts += [_entry(name, getattr(module, name)) for name in own]
    return "\n".join(parts)


def _entry(name: str, it: object) -> str:
    signature = f"{name}{_signature(it)}"
    if isinstance(it, type) and issubclass(it, BaseException):
        own = signature if "__init__" in vars(it) else name
        signature = f"{own}  # {', '.join(each.__name__ for each in it.__bases__)}"
    parts = [f"### `{name}`\n\n```python\n{signature}\n```\n\n{_text(inspect.getdoc(it) or '')}"]
    if isinstance(it, type) and (members := list(_members(it))):
        parts += ["\nMembers:\n\n", *(f"- `{each}`: {said}\n" for each, said in members)]
    return "".join(parts).rstrip() + "\n"


def _signature(it: object) -> str:
    """As it is written, so that it is the same in each version of Python."""
    # Their fields are their attributes, and what is called is the reader's own function.
    if isinstance(it, type) and _bare(it):
        return ""
    said = inspect.signature(it) if callable(it) else inspect.Signature()
    parts: list[str] = []
    bare = False
    for name, each in said.parameters.items():
        if name.startswith("_") or name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not bare:
            parts.append("*")
        bare = bare or each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL)
        star = _STARS.get(each.kind.name, "")
        default = "" if each.default is each.empty else f" = {_default(each.default)}"
        parts.append(f"{star}{name}{_annotation(each.annotation, ': ')}{default}")
    gives = "" if inspect.isclass(it) else _annotation(said.return_annotation, " -> ")
    return f"({', '.join(parts)}){gives}"


def _bare(it: type) -> bool:
    if issubclass(it, BaseException):
        return "__init__" not in vars(it)
    return issubclass(it, BaseModel | dict) or is_protocol(it)


def _annotation(it: object, before: str) -> str:
    if it is inspect.Parameter.empty:
        return ""
    return before + (it if isinstance(it, str) else inspect.formatannotation(it))


def _default(it: object) -> str:
    return repr(it) if isinstance(it, str | int | float | None) or it == () else "..."


def _members(it: type) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for owner in it.__mro__:
        if not owner.__module__.startswith("ftq"):
            continue
        for name, member in vars(owner).items():
            if name.startswith(("_", "model_")) or name in seen:
                continue
            seen.add(name)
            if isinstance(member, property):
                yield name, _first(member)
            elif inspect.isfunction(member):
                yield f"{name}{_signature(member)}", _first(member)


def _first(it: object) -> str:
    return _line((inspect.getdoc(it) or "").split("\n\n")[0])


def _line(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def _text(docstring: str) -> str:
    said, *sections = _SECTION.split(docstring)
    parts = [f"{_line(each)}\n" for each in said.strip().split("\n\n")]
    for title, text in zip(sections[::2], sections[1::2], strict=True):
        items = [f"- `{name}`: {_line(meaning)}\n" for name, meaning in _ITEM.findall(text)]
        parts.append(f"{title}:\n\n{''.join(items) or _line(text)}\n".rstrip() + "\n")
    return "\n".join(parts)
