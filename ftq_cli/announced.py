"""What the ftq that runs with a directory says of itself, for other commands to find it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ftq.text import Document, NotJson, parse

STATE: Final = Path(".ftq")
UP: Final = "up.json"


def known(state: Path = STATE) -> Document:
    """What ``up.json`` says; nothing if no ftq runs with this directory."""
    try:
        said = parse((state / UP).read_text(encoding="utf-8"))
    except (OSError, ValueError, NotJson):
        return {}
    return said if isinstance(said, dict) else {}


def known_api(state: Path = STATE) -> str | None:
    """The API of the ftq that runs with this directory, if one does."""
    url = known(state).get("api_url")
    return url if isinstance(url, str) else None
