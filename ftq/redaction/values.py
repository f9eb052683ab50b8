"""Redaction of whole values: objects, lists, and the texts in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from itertools import pairwise
from math import isfinite
from typing import Final

from ftq.redaction.forms import MARK, has_key_id, redact_forms, redact_secret_keys
from ftq.redaction.names import USUAL, Names, is_secret
from ftq.redaction.pairs import is_tally, redact_pairs
from ftq.text import Json

DEPTH: Final = 32
"""Levels that are looked into; what lies deeper is left out."""
NODES: Final = 50_000
"""Values that are looked at in one call; what comes after them is left out."""
TEXT_CHARS: Final = 256 * 1024
"""A longer text is cut."""

# {"name": "password", "value": "…"}, as task definitions and HTTP archives have it.
_NAME_KEYS: Final = frozenset({"field", "header", "key", "name"})
_VALUE_KEYS: Final = frozenset({"value"})


def redact(value: object, names: Names = USUAL) -> Json:
    """A value, made of what JSON knows, without what is secret in it.

    What JSON does not know becomes text first: bytes, moments, other objects by their `repr`.

    Args:
        value: Anything; it is not changed.
        names: Secret names beside the usual ones.
    """
    return _Walk(names).value(value, DEPTH)


def redact_text(text: str, names: Names = USUAL, most: int = TEXT_CHARS) -> str:
    """A text without what is secret in it; what was JSON stays JSON.

    Args:
        text: Any text.
        names: Secret names beside the usual ones.
        most: A text of more characters is cut first.
    """
    return _Walk(names).text(_cut(text, most), DEPTH)


class _Walk:
    """One call: it counts what it looks at."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._left = NODES

    def value(self, value: object, depth: int, *, near: bool = False) -> Json:
        """Redact a value; `near` says that it stands beside an AWS access key id."""
        self._left -= 1
        if value is None or isinstance(value, bool):
            return value
        if depth < 0 or self._left < 0:
            return MARK
        if isinstance(value, str):
            return self.text(redact_secret_keys(value) if near else value, depth)
        if isinstance(value, int | float):
            return _number(value)
        try:
            if isinstance(value, Mapping):
                return self._mapping(dict(value), depth)
            if isinstance(value, tuple) and (named := getattr(value, "_fields", None)):
                return self._mapping(dict(zip(named, value, strict=True)), depth)
            if isinstance(value, list | tuple | AbstractSet):
                return self._items(value, depth)
            if is_dataclass(value) and not isinstance(value, type):
                # What its author keeps out of its `repr` is kept out here.
                shown = (f.name for f in fields(value) if f.repr)
                return self._mapping({name: getattr(value, name) for name in shown}, depth)
            text = _said(value)
        except Exception:  # somebody's own class: it may do anything
            return f"<{type(value).__name__}>"
        return self.text(redact_secret_keys(text) if near else text, depth)

    def text(self, text: str, depth: int) -> str:
        """Redact a text."""
        text = _cut(text, TEXT_CHARS)
        if depth > 0 and text[:1] in ("{", "[") and text[-1:] in ("}", "]"):
            given = _parsed(text)
            if given is not None and (clean := self.value(given, depth - 1)) != given:
                text = json.dumps(clean, ensure_ascii=False)
        return redact_pairs(redact_forms(text), self._is_secret)

    def _is_secret(self, name: str) -> bool:
        return is_secret(name, self._names)

    def _mapping(self, given: dict[object, object], depth: int) -> Json:
        near = any(isinstance(each, str) and has_key_id(each) for each in given.values())
        found: dict[str, Json] = {}
        named = False
        for key, each in given.items():
            if self._left < 0:
                break
            name = _said(key)
            shown = self.text(name, 0)
            secret = self._is_secret(name) or self._is_secret(shown)
            hidden = secret and not _tells_nothing(name, each)
            found[shown] = MARK if hidden else self.value(each, depth - 1, near=near)
            if isinstance(each, str) and shown.lower() in _NAME_KEYS and self._is_secret(each):
                named = True
        if named:
            found.update({key: MARK for key in found if key.lower() in _VALUE_KEYS})
        return found

    def _items(self, given: Iterable[object], depth: int) -> Json:
        items = list(given)
        near = any(isinstance(each, str) and has_key_id(each) for each in items)
        found = [self.value(each, depth - 1, near=near) for each in items]
        # The arguments of a command.
        for at, (flag, _) in enumerate(pairwise(items), 1):
            if isinstance(flag, str) and flag[:1] == "-" and self._is_secret(flag):
                found[at] = MARK
        # A name and its value, as headers are often listed.
        if len(items) == 2 and isinstance(items[1], str | bytes):
            name = items[0]
            if isinstance(name, str | bytes) and self._is_secret(_said(name)):
                found[1] = MARK
        return found


def _tells_nothing(name: str, value: object) -> bool:
    return value is None or isinstance(value, bool) or value == "" or is_tally(name, value)


def _number(value: float) -> Json:
    # Numbers beyond 64 bits are nobody's, and slow to write.
    if isinstance(value, int) and value.bit_length() > 64:
        return MARK
    if not isfinite(value):
        return None  # JSON has no such number
    return MARK if redact_forms(str(value)) == MARK else value


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    # Not within a word: half a credential is not known for one.
    whole, space, _ = text[: most - 1].rpartition(" ")
    return f"{whole if space else text[: most - 1]}…"


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _said(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    return str(value) if hasattr(value, "isoformat") else repr(value)
