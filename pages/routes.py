"""docs/reference/http.md: its list of routes, from what the API says of each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from api_lambda.openapi.operations import OPERATIONS, Operation
from pages.part import with_part

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "http.md"
_HEAD: Final = "| route | does | success | else |\n|---|---|---|---|\n"


def page() -> str:
    """The page as it should be: as it is, with its list of routes written anew."""
    rows = [_row(method, path, each) for (method, path), each in OPERATIONS.items()]
    return with_part(PAGE, "api_lambda/openapi/operations.py", _HEAD + "".join(rows))


def _row(method: str, path: str, operation: Operation) -> str:
    ways = ", ".join(f"{each.status} `{each.slug}`" for each in operation.problems)
    return f"| `{method} {path}` | {operation.summary} | {operation.status} | {ways or '–'} |\n"
