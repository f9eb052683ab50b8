"""The message body: one JSON object, versioned, with the payload in it.

    {"v": 1, "id": …, "type": …, "payload": …, "correlation_id": …, "tenant": …, "created_at": …}

A direct producer may leave out all but `id` and `type`. Unknown keys are ignored, so that a
newer producer can add some; another major version is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from ftq.limits import (
    BODY_BYTES,
    CORRELATION_PATTERN,
    ID_PATTERN,
    PAYLOAD_BYTES,
    TENANT_PATTERN,
    TYPE_PATTERN,
)
from ftq.task import Task
from ftq.text import Document, Json, NotJson, dump, parse, size
from ftq.value import value

VERSION: Final = 1


@value(frozen=True, slots=True)
class Envelope:
    """What a message says about its task.

    Attributes:
        id: The task.
        type: Its type; '' if the message has none that is well-formed.
        correlation_id: Follows the task through every program; '' if none was given.
        tenant: On whose behalf, or ''.
        created_at: Milliseconds since the epoch; 0 if not given.
    """

    id: str
    type: str
    correlation_id: str = ""
    tenant: str = ""
    created_at: int = 0
    _frame: Document = field(default_factory=dict, repr=False, compare=False)

    @property
    def payload(self) -> str | None:
        """The payload as canonical JSON text; None if the message does not carry it.

        Written when it is asked for: nearly always the record has it, and nobody asks.
        """
        if "payload" not in self._frame:
            return None
        text = dump(self._frame["payload"])
        return text if size(text) <= PAYLOAD_BYTES else None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body that is no envelope, and why."""

    why: str


def fingerprint(type_: str, payload: str) -> str:
    """SHA-256 over type and canonical payload: what an idempotency key stands for."""
    return hashlib.sha256(f"{type_}\0{payload}".encode()).hexdigest()


def encode(task: Task, payload: str | None) -> str:
    """The body of the message that carries a task.

    A payload that would take the body past what every queue accepts is left out: the daemon
    then reads it from where it was stored.

    Args:
        task: The task's record.
        payload: The payload as canonical JSON text; None leaves it out.
    """
    head: dict[str, Json] = {
        "v": VERSION,
        "id": task.id,
        "type": task.type,
        "correlation_id": task.correlation_id,
        "created_at": task.created_at,
    }
    if task.tenant:
        head["tenant"] = task.tenant
    if payload is None:
        return dump(head)
    # The payload is JSON already: spliced in, so that it is not parsed and written again.
    body = f'{dump(head)[:-1]},"payload":{payload}}}'
    return body if size(body) <= BODY_BYTES else dump(head)


def decode(body: str) -> Envelope | Unreadable:
    """Read a body. Never raises: what cannot be read is a value that says why."""
    try:
        frame = parse(body)
    except NotJson as error:
        return Unreadable(f"not JSON: {error}")
    if not isinstance(frame, dict):
        return Unreadable("not a JSON object")
    version = frame.get("v", VERSION)
    if version != VERSION:
        # Only a number is quoted: a text may be anything.
        said = f"version {version:.6g}" if isinstance(version, int | float) else "its version"
        return Unreadable(f"{said} is not {VERSION}")
    task_id = _text(frame.get("id"))
    if not ID_PATTERN.fullmatch(task_id):
        return Unreadable(f"no usable id, it must match {ID_PATTERN.pattern}")
    type_ = _text(frame.get("type"))
    correlation_id, tenant = _text(frame.get("correlation_id")), _text(frame.get("tenant"))
    created = frame.get("created_at")
    return Envelope(
        id=task_id,
        type=type_ if TYPE_PATTERN.fullmatch(type_) else "",
        correlation_id=correlation_id if CORRELATION_PATTERN.fullmatch(correlation_id) else "",
        tenant=tenant if TENANT_PATTERN.fullmatch(tenant) else "",
        created_at=created if type(created) is int and 0 < created < 10**14 else 0,
        _frame=frame,
    )


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
