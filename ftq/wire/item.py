"""The record as a DynamoDB item, both ways.

Only texts (S) and numbers (N) are used. What has a shape of its own (payload, result, history,
the last error) is JSON text: one attribute, byte-exact, the same in every stand-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
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
    """The history as it is stored: canonical JSON of its entries."""
    return f"[{','.join(map(_entry_text, history))}]"


def _entry_text(entry: Entry) -> str:
    # Written for each task: dump() takes four times as long, and its texts are few.
    by, class_, outcome = _quoted(entry.by), _quoted(entry.class_name), _quoted(entry.outcome)
    return (
        f'{{"at":{entry.at},"by":{by},"claim_no":{entry.claim_no},'
        f'"class":{class_},"ms":{entry.ms},"outcome":{outcome}}}'
    )


_quoted: Final = lru_cache(maxsize=1024)(dump)


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
    if task.trace:
        item["trace"] = text(task.trace)
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


_ABSENT: Final[Value] = {"S": "", "N": "0"}


def _read(item: Mapping[str, Mapping[str, str]]) -> Task:
    # Once for each claim: no function of ours is called for what every record has.
    get = item.get
    return Task(
        id=item["id"]["S"],
        type=item["type"]["S"],
        queue=get("queue", _ABSENT)["S"],
        state=_STATES[item["state"]["S"]],
        fingerprint=get("fingerprint", _ABSENT)["S"],
        correlation_id=get("correlation_id", _ABSENT)["S"],
        tenant=get("tenant", _ABSENT)["S"],
        trace=get("trace", _ABSENT)["S"],
        created_at=int(get("created_at", _ABSENT)["N"]),
        not_before=int(get("not_before", _ABSENT)["N"]),
        updated_at=int(get("updated_at", _ABSENT)["N"]),
        free_at=int(get("free_at", _ABSENT)["N"]),
        claim_no=int(item["claim_no"]["N"]),
        past=int(get("past", _ABSENT)["N"]),
        attempts=int(item["attempts"]["N"]),
        releases=int(item["releases"]["N"]),
        claimed_by=get("claimed_by", _ABSENT)["S"],
        claim_token=get("claim_token", _ABSENT)["S"],
        sent_at=int(get("sent_at", _ABSENT)["N"]),
        sweeps=int(get("sweeps", _ABSENT)["N"]),
        due_at=int(get("due_at", _ABSENT)["N"]),
        expires_at=int(get("expires_at", _ABSENT)["N"]),
        cancel_requested=int(get("cancel_requested", _ABSENT)["N"]),
        payload=item["payload"]["S"] if "payload" in item else None,
        result=get("result", _ABSENT)["S"],
        progress=get("progress", _ABSENT)["S"],
        cause=get("cause", _ABSENT)["S"],
        last_error=read_failure(get("last_error", _ABSENT)["S"]),
        history=_read_history(get("history", _ABSENT)["S"]),
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
