"""Where a reader stopped, as text that only means something to whoever made it.

The text carries a digest over what it says, what it is for and under which filters it was made:
one that was tampered with, cut, or taken to another question is told from a good one. It is no
secret and guards none: whoever forged one could only begin to read elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Final

from ftq.text import Json, NotJson, dump, parse

# Longer than any that is made here.
CHARS: Final = 1024
MOST: Final = 10**15
_DIGEST: Final = 12


def write_cursor(scope: Sequence[str], place: Sequence[int | str]) -> str:
    """A cursor.

    Args:
        scope: What it is for, and under which filters.
        place: Where the reader stopped.
    """
    said = dump(list(place)).encode()
    return base64.urlsafe_b64encode(_digest(scope, said) + said).rstrip(b"=").decode()


def read_cursor(scope: Sequence[str], cursor: str) -> list[Json] | None:
    """The place that a cursor stands for; None if it was not made here for this. Never raises."""
    if len(cursor) > CHARS or not cursor.isascii():
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place = parse(raw[_DIGEST:])
    except (binascii.Error, ValueError, NotJson):
        return None
    if raw[:_DIGEST] != _digest(scope, raw[_DIGEST:]) or not isinstance(place, list):
        return None
    # A number beyond what can be a moment is none that was written here.
    numbers = [each for each in place if isinstance(each, int)]
    return place if all(abs(each) < MOST for each in numbers) else None


def _digest(scope: Sequence[str], said: bytes) -> bytes:
    return hashlib.sha256(dump(list(scope)).encode() + b"\0" + said).digest()[:_DIGEST]
