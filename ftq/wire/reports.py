"""The calls by which daemons report on themselves, and by which their reports are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ftq.ports import Call, Reply, Request
from ftq.report import KEPT, Report, read_report
from ftq.wire.item import number, text
from ftq.wire.table import KEYS_PER_READ

BUCKET: Final = "daemons"
"""The index key of reports. Tasks have `open#…`, `done#…`, `dead#…`."""


def key_of(daemon: str) -> str:
    """The key of a daemon's report; `#` keeps it apart from every task (PROTOCOL R11)."""
    return f"daemon#{daemon}"


def write(table: str, report: Report) -> Call:
    """Store a report in place of the daemon's last one."""
    item = {
        "id": text(key_of(report.name)),
        "bucket": text(BUCKET),
        "due_at": number(report.at),
        "report": text(report.to_text()),
        "expires_at": number((report.at + KEPT) // 1000),
    }
    return Call("dynamodb", "PutItem", {"TableName": table, "Item": item})


def remove(table: str, daemon: str) -> Call:
    """Take a daemon's report away: it has stopped."""
    request: Request = {"TableName": table, "Key": {"id": text(key_of(daemon))}}
    return Call("dynamodb", "DeleteItem", request)


def get_many(table: str, keys: list[str]) -> Call:
    """Read the reports at up to ``KEYS_PER_READ`` keys, as they were a moment ago."""
    wanted = {"Keys": [{"id": text(key)} for key in keys[:KEYS_PER_READ]]}
    return Call("dynamodb", "BatchGetItem", {"RequestItems": {table: wanted}})


def read_get_many(reply: Reply, table: str) -> list[Report]:
    """The reports that were read, in no order. Never raises."""
    responses = reply.get("Responses")
    items = responses.get(table) if isinstance(responses, Mapping) else None
    found = [_read(item) for item in items] if isinstance(items, list) else []
    return [report for report in found if report is not None]


def _read(item: object) -> Report | None:
    stored = item.get("report") if isinstance(item, Mapping) else None
    value = stored.get("S") if isinstance(stored, Mapping) else None
    return read_report(value) if isinstance(value, str) else None
