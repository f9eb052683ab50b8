"""The parameters of a query, read strictly: what is not known is refused, never ignored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from api_lambda.http import Request
from api_lambda.problems import invalid

# The longest value that a refusal repeats.
_SHOWN: Final = 60


def read_query(request: Request, *known: str) -> Mapping[str, str]:
    """The parameters by name.

    Raises:
        Problem: 422, with those that are not known here, or that are given twice.
    """
    counts = Counter(name for name, _ in request.query)
    here = f"the parameters here are {', '.join(known)}" if known else "there are none here"
    unknown = [name for name in counts if name not in known]
    faults = [(name, f"is no parameter of this route; {here}") for name in unknown]
    faults += [(name, "is given more than once") for name, n in counts.items() if n > 1]
    if faults:
        raise invalid(*dict(faults).items())
    return dict(request.query)


def shown(value: str) -> str:
    """A value as a refusal names it."""
    return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…")


def read_number(params: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number within bounds.

    Raises:
        Problem: 422, it is anything else.
    """
    value = params.get(name)
    if value is None:
        return default
    # Digits alone, and few: `int` takes more forms than a query should.
    if value.isascii() and value.isdecimal() and len(value) <= 9 and low <= int(value) <= high:
        return int(value)
    raise invalid((name, f"is {shown(value)}: must be a whole number from {low} to {high}"))


def read_choice(params: Mapping[str, str], name: str, choices: Sequence[str]) -> str:
    """One of these values; '' if it is not given.

    Raises:
        Problem: 422, it is anything else.
    """
    value = params.get(name)
    if value is None:
        return ""
    if value in choices:
        return value
    raise invalid((name, f"is {shown(value)}: must be one of {', '.join(choices)}"))
