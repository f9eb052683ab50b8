"""DynamoDB's attribute values, as far as ftq uses them: texts (S) and numbers (N)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from ftq.wire.item import Item, Value

# "Data types" (DynamoDB developer guide): numbers have up to 38 digits.
_NUMBER: Final = re.compile(r"-?\d{1,38}(\.\d{1,38})?")


def read_value(value: object) -> Value | None:
    """A value if it is a text or a number, else None."""
    # Asked for each value of each call: by hand, it takes a third of what a pattern takes.
    if not isinstance(value, dict) or len(value) != 1:
        return None
    [(kind, text)] = value.items()
    if not isinstance(text, str):
        return None
    if kind == "S" or (kind == "N" and _NUMBER.fullmatch(text)):
        return {kind: text}
    return None


def compare(one: Value, other: Value) -> int | None:
    """Negative, 0 or positive as one is before, at or after the other; None across types."""
    if "N" in one and "N" in other:
        left, right = Decimal(one["N"]), Decimal(other["N"])
        return (left > right) - (left < right)
    if "S" in one and "S" in other:
        # Texts are ordered by their bytes of UTF-8.
        before, after = one["S"].encode(), other["S"].encode()
        return (before > after) - (before < after)
    return None


def plus(value: Value, by: int) -> Value | None:
    """A number with something added; None if it is no number."""
    return {"N": str(Decimal(value["N"]) + by)} if "N" in value else None


def sort_key(value: Value) -> tuple[Decimal, bytes]:
    """What orders values of one type as `compare` does."""
    return (Decimal(value["N"]), b"") if "N" in value else (Decimal(0), value["S"].encode())


def size(item: Item) -> int:
    """Bytes of an item as they count for limits and capacity.

    "DynamoDB item sizes and formats": names and texts in UTF-8, about a byte for two digits
    of a number and one more.
    """
    total = 0
    for name, value in item.items():
        text = value.get("S")
        total += _utf8(name)
        total += _utf8(text) if text is not None else (len(value["N"]) + 1) // 2 + 1
    return total


def _utf8(text: str) -> int:
    # Asked for each name and text of each write: most need no encoding to be counted.
    return len(text) if text.isascii() else len(text.encode())
