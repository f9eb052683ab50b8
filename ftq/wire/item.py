"""The record as a DynamoDB item, both ways.

Only texts (S) and numbers (N) are used. What has a shape of its own (payload, result, history,
the last error) is JSON text: one attribute, byte-exact, the same in every stand-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from ftq.lifecycle import State
from ftq.task import Entry, Failure, Task, bucket_of
from ftq.text import Json, NotJson, dump, parse

Value: TypeAlias = dict[str, str]
Item: TypeAlias = dict[str, Value]

_STATES: Final = {str(state): state for state in State}


def text(value: str) -> Value:
    """A text as an attribute value."""
    return {"S": value}


def number(value: int) -> Value:
    """A number as an attribute value."""
    return {"N": str(value)}


def history_text(history: tuple[Entry, ...]) -> str:
    """The history as it is stored."""
    return dump([entry.to_json() for entry in history])


def error_json(error: Failure) -> dict[str, Json]:
    """An error as it is stored and shown."""
    return {
        "type": error.kind,
        "class": error.class_name,
        "message": error.message,
        "fingerprint": error.fingerprint,
    }


def to_item(task: Task) -> Item:
    """The record as an item.

    Every attribute that a statement compares or adds to is there from the start, as 0 or '',
    so that none needs ``if_not_exists``. ``free_at`` and ``bucket`` follow from the state.
    """
    item = {
        "id": text(task.id),
        "type": text(task.type),
        "queue": text(task.queue),
        "state": text(task.state),
        "bucket": text(bucket_of(task.id, task.state)),
        "fingerprint": text(task.fingerprint),
        "correlation_id": text(task.correlation_id),
        "tenant": text(task.tenant),
        "created_at": number(task.created_at),
        "updated_at": number(task.updated_at),
        "not_before": number(task.not_before),
        "claim_no": number(task.claim_no),
        "past": number(task.past),
        "attempts": number(task.attempts),
        "releases": number(task.releases),
        "claimed_by": text(task.claimed_by),
        "claim_token": text(task.claim_token),
        "sent_at": number(task.sent_at),
        "sweeps": number(task.sweeps),
        "due_at": number(task.due_at),
        "result": text(task.result),
        "progress": text(task.progress),
        "cause": text(task.cause),
        "history": text(history_text(task.history)),
        "last_error": text(dump(error_json(task.last_error)) if task.last_error else ""),
    }
    if not task.final:
        item["free_at"] = number(task.free_at)
    if task.expires_at:
        item["expires_at"] = number(task.expires_at)
    if task.cancel_requested:
        item["cancel_requested"] = number(task.cancel_requested)
    if task.payload is not None:
        item["payload"] = text(task.payload)
    return item


def read_task(item: object) -> Task | None:
    """The record that an item holds; None if it is no record of ours. Never raises."""
    if not isinstance(item, Mapping):
        return None
    try:
        return _read(item)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _read(item: Mapping[str, Mapping[str, str]]) -> Task:
    def s(name: str) -> str:
        value = item.get(name)
        return value["S"] if value is not None else ""

    def n(name: str) -> int:
        value = item.get(name)
        return int(value["N"]) if value is not None else 0

    state = _STATES[item["state"]["S"]]
    return Task(
        id=item["id"]["S"],
        type=item["type"]["S"],
        queue=s("queue"),
        state=state,
        fingerprint=s("fingerprint"),
        correlation_id=s("correlation_id"),
        tenant=s("tenant"),
        created_at=n("created_at"),
        updated_at=n("updated_at"),
        not_before=n("not_before"),
        free_at=n("free_at"),
        claim_no=int(item["claim_no"]["N"]),
        past=n("past"),
        attempts=int(item["attempts"]["N"]),
        releases=int(item["releases"]["N"]),
        claimed_by=s("claimed_by"),
        claim_token=s("claim_token"),
        sent_at=n("sent_at"),
        sweeps=n("sweeps"),
        due_at=n("due_at"),
        expires_at=n("expires_at"),
        cancel_requested=n("cancel_requested"),
        payload=item["payload"]["S"] if "payload" in item else None,
        result=s("result"),
        progress=s("progress"),
        cause=s("cause"),
        last_error=read_failure(s("last_error")),
        history=_read_history(s("history")),
    )


def read_failure(stored: str) -> Failure | None:
    """The error that was stored; None if there is none or it cannot be read."""
    if not stored:
        return None
    try:
        value = parse(stored)
    except NotJson:
        return None
    if not isinstance(value, dict):
        return None
    return Failure(
        kind=_str(value.get("type")),
        class_name=_str(value.get("class")),
        message=_str(value.get("message")),
        fingerprint=_str(value.get("fingerprint")),
    )


def _read_history(stored: str) -> tuple[Entry, ...]:
    # The common case by far, and this is read once per claim.
    if stored in ("", "[]"):
        return ()
    try:
        values = parse(stored)
    except NotJson:
        return ()
    if not isinstance(values, list):
        return ()
    return tuple(_entry(value) for value in values if isinstance(value, dict))


def _entry(value: dict[str, Json]) -> Entry:
    return Entry(
        claim_no=_int(value.get("claim_no")),
        by=_str(value.get("by")),
        at=_int(value.get("at")),
        outcome=_str(value.get("outcome")),
        class_name=_str(value.get("class")),
        ms=_int(value.get("ms")),
    )


def _str(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _int(value: Json) -> int:
    return value if type(value) is int else 0
