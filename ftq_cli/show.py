"""A task, for people."""

from __future__ import annotations

import json

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ftq.text import Document, Json
from ftq_cli.terminal import harmless

STYLES = {
    "queued": "bright_black",
    "scheduled": "bright_black",
    "running": "blue",
    "retrying": "yellow",
    "succeeded": "green",
    "dead": "red",
    "cancelled": "magenta",
}
_FIRST = ("id", "type", "state", "attempts", "crashes", "releases", "claim_no")
_COLUMNS = ("claim_no", "outcome", "at", "ms", "class", "by")


def show(console: Console, task: Document) -> None:
    """Print a task: its fields, then how each of its claims ended."""
    fields = Table.grid(padding=(0, 3, 0, 0))
    rest = [name for name in task if name not in (*_FIRST, "history")]
    for name in (*_FIRST, *rest):
        value = task.get(name)
        if value is None or (name in ("crashes", "releases") and value == 0):
            continue
        style = STYLES.get(str(value), "") if name == "state" else ""
        text = _error(value) if name == "last_error" else _text(value)
        fields.add_row(Text(harmless(name), "dim"), Text(harmless(text), style))
    history = task.get("history")
    claims = _history(history) if isinstance(history, list) and history else ""
    console.print(Group(fields, claims))


def _history(entries: list[Json]) -> Table:
    table = Table(*_COLUMNS, box=None, header_style="dim", padding=(0, 2, 0, 0))
    for entry in entries:
        if isinstance(entry, dict):
            cells = [harmless(_text(entry.get(name, ""))) for name in _COLUMNS]
            table.add_row(*(Text(cell, no_wrap=True) for cell in cells))
    return table


def _error(value: Json) -> str:
    if not isinstance(value, dict):
        return _text(value)
    return f"{value.get('class')}: {value.get('message')} (fingerprint {value.get('fingerprint')})"


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
