"""A schedule's mark: one item for each schedule, with the last tick that was taken care of."""

from __future__ import annotations

from collections.abc import Mapping

from ftq.ports import Call, Reply
from ftq.wire import partiql, table
from ftq.wire.item import number, text
from ftq.wire.statements import Statement

_MARK = "last_tick"


def read(table_name: str, key: str) -> Call:
    """Read a schedule's mark."""
    return table.get(table_name, key)


def read_mark(reply: Reply) -> int | None:
    """The last tick that was taken care of; None if the schedule is new. Never raises."""
    item = reply.get("Item")
    stored = item.get(_MARK) if isinstance(item, Mapping) else None
    value = stored.get("N") if isinstance(stored, Mapping) else None
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def begin(table_name: str, key: str, now: int) -> Statement:
    """Make the mark of a new schedule: its ticks begin now. A duplicate if it is there."""
    statement = partiql.insert(table_name, ("id", _MARK))
    return Statement(key, {"Statement": statement, "Parameters": [text(key), number(now)]})


def advance(table_name: str, key: str, tick: int) -> Statement:
    """Move the mark on to a tick; refused if it is there already, or beyond."""
    statement = partiql.update(table_name, (_MARK,), ((_MARK, "<="),), (), (), False)
    values = [number(tick), text(key), number(tick - 1)]
    return Statement(key, {"Statement": statement, "Parameters": values})
