"""JSON by orjson where it is installed, else by the standard library: slower, never different."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Final, TypeAlias

Loads: TypeAlias = Callable[[bytes], object]
Dumps: TypeAlias = Callable[[object], bytes]


def _plain_dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _codec() -> tuple[str, Loads, Dumps]:
    if find_spec("orjson") is None:
        return "json", json.loads, _plain_dumps
    fast = import_module("orjson")
    return "orjson", fast.loads, fast.dumps


_found: Final = _codec()
NAME: Final = _found[0]
loads: Final[Loads] = _found[1]
dumps: Final[Dumps] = _found[2]
