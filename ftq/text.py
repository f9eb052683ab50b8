"""JSON as ftq writes and reads it: strict, canonical, and legal in an SQS body."""

from __future__ import annotations

import json
from math import isinf
from typing import Final, NoReturn, TypeAlias

from ftq.limits import JSON_DEPTH

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A value that JSON can carry."""
Document: TypeAlias = "dict[str, Json]"
"""A JSON object."""


class NotJson(ValueError):
    """The text is no JSON that ftq accepts; the message says where and why."""


def _no_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # Not which: that would be a piece of somebody's payload, in logs and dead letters.
        raise NotJson(f"a key stands twice in an object of {len(pairs)} members")
    return found


def _finite(digits: str) -> float:
    value = float(digits)
    if isinf(value):
        raise NotJson("a number is too large")
    return value


_DECODER: Final = json.JSONDecoder(
    parse_float=_finite, parse_constant=_no_constant, object_pairs_hook=_no_duplicates
)


def parse(text: str | bytes) -> Json:
    """Read JSON text.

    Refused beyond what the grammar refuses: NaN and Infinity, a key twice in one object, more
    than ``JSON_DEPTH`` levels, numbers that overflow, and text that is not Unicode (lone
    surrogates), since none of these survives the way through SQS, DynamoDB and back.

    Raises:
        NotJson: The text is not acceptable JSON.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        text.encode("utf-8")
        value: Json = _DECODER.decode(text)
        # Most texts are shallow and say what they say without escapes: nothing to look for.
        if "\\u" in text or text.count("[") + text.count("{") > JSON_DEPTH:
            _check(value, JSON_DEPTH)
    except NotJson:
        raise
    except RecursionError:
        raise NotJson(f"nested deeper than {JSON_DEPTH} levels") from None
    except UnicodeError:
        raise NotJson("not valid Unicode") from None
    except json.JSONDecodeError as error:
        raise NotJson(str(error)) from None
    except ValueError:  # the only other one: an integer of more digits than Python converts
        raise NotJson("a number has too many digits") from None
    return value


def _check(value: Json, depth: int) -> None:
    if depth < 0:
        raise NotJson(f"nested deeper than {JSON_DEPTH} levels")
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, list):
        for each in value:
            _check(each, depth - 1)
    elif isinstance(value, dict):
        for key, each in value.items():
            key.encode("utf-8")
            _check(each, depth - 1)


# Made once: json.dumps makes one for each call with settings of its own.
_ENCODER: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def dump(value: object) -> str:
    """Write a value as canonical JSON: sorted keys, no spaces, UTF-8 as it is.

    U+FFFE and U+FFFF are escaped: they are legal JSON, but SQS refuses them in a body
    (SendMessage reference, "A message can include only XML, JSON, and unformatted text").

    Raises:
        ValueError: The value holds NaN, an infinity, a cycle, or text that is not Unicode (lone
            surrogates): no AWS client could send it.
        TypeError: The value holds something JSON has no form for.
    """
    text = _ENCODER.encode(value)
    text.encode("utf-8")
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def size(text: str) -> int:
    """Bytes of the text in UTF-8; lone surrogates count as the three bytes they would take."""
    return len(text.encode("utf-8", "surrogatepass"))
