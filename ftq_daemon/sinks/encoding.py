"""Lines of JSON, whatever is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import orjson


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
