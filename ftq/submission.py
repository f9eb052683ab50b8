"""From a request to what is stored and sent: the plan, before any of it is done."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ftq.codec import encode, fingerprint
from ftq.errors import InvalidField, KeyConflict, PayloadTooLarge
from ftq.lifecycle import State
from ftq.limits import (
    CORRELATION_PATTERN,
    DELAY_SECONDS,
    INLINE_PAYLOAD_BYTES,
    KEY_PATTERN,
    PAYLOAD_BYTES,
    SQS_DELAY_SECONDS,
    TENANT_PATTERN,
    TYPE_PATTERN,
)
from ftq.task import Task, payload_key
from ftq.text import Json, dump, parse, size
from ftq.trace import kept_trace


@dataclass(frozen=True, slots=True)
class Submission:
    """One piece of work, as asked for.

    Attributes:
        type: The task type.
        payload: Anything JSON can carry.
        key: The idempotency key: equal keys of one tenant stand for one task.
        correlation_id: Follows the task; '' makes the task's id its own.
        tenant: On whose behalf, or ''.
        not_before: Milliseconds since the epoch before which it must not run; 0 for at once.
        queue: The name of the queue that it goes to; '' for the default one.
        trace: The X-Ray trace header that it came with; one that is malformed is left behind.
    """

    type: str
    payload: Json
    key: str
    correlation_id: str = ""
    tenant: str = ""
    not_before: int = 0
    queue: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the service adds to each submission.

    Attributes:
        queue_url: Where a task's messages go.
        grace: Milliseconds that an open task may be overdue before the sweeper looks at it.
        retention: Milliseconds that a final record is kept.
        queues: Where they go if a submission names a queue.
    """

    queue_url: str
    grace: int
    retention: int
    queues: Mapping[str, str] = field(default_factory=dict)

    def url_of(self, queue: str) -> str:
        """The queue of a name; the default one for ''.

        Raises:
            InvalidField: There is no queue of that name.
        """
        if not queue:
            return self.queue_url
        if queue not in self.queues:
            known = ", ".join(sorted(self.queues)) or "no queue has a name here"
            raise InvalidField([("queue", f"must be one of: {known}")])
        return self.queues[queue]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a submission means: first the beside item, then the record, then the message.

    Attributes:
        task: The record to put if absent.
        payload: The payload as canonical JSON text.
        body: The message's body.
        beside: The key of the item that carries a large payload, or None if it is inline.
        beside_expires_at: When that item may go, in seconds since the epoch (PROTOCOL R11).
    """

    task: Task
    payload: str
    body: str
    beside: str | None
    beside_expires_at: int

    @property
    def sends(self) -> bool:
        """Whether a message goes out now; the sweeper sends a scheduled task when it is due."""
        return self.task.state is State.QUEUED

    def delay_seconds(self, now: int) -> int:
        """The delay that is left for the message, in whole seconds, rounded up."""
        return delay_left(self.task, now)


MAX_DELAY: Final = SQS_DELAY_SECONDS * 1000


def task_id(key: str, tenant: str) -> str:
    """The id that an idempotency key stands for: 160 bits of SHA-256 in lower-case base32.

    Keys of different tenants never meet. The id cannot be guessed without the key.
    """
    digest = hashlib.sha256(f"{tenant}\0{key}".encode()).digest()
    return base64.b32encode(digest[:20]).decode().lower()


def plan(asked: Submission, terms: Terms, now: int) -> Plan:
    """What to store and send for a submission.

    Raises:
        InvalidField: A field is malformed or out of bounds.
        PayloadTooLarge: The payload is over ``PAYLOAD_BYTES``.
    """
    payload = checked(asked, now)
    print_ = fingerprint(asked.type, payload)
    identity = task_id(asked.key, asked.tenant)
    start = max(now, asked.not_before)
    scheduled = start - now > MAX_DELAY
    large = size(payload) > INLINE_PAYLOAD_BYTES
    task = Task(
        id=identity,
        type=asked.type,
        queue=terms.url_of(asked.queue),
        state=State.SCHEDULED if scheduled else State.QUEUED,
        fingerprint=print_,
        correlation_id=asked.correlation_id or identity,
        tenant=asked.tenant,
        trace=kept_trace(asked.trace),
        created_at=now,
        updated_at=now,
        not_before=start if start > now else 0,
        # 0 and not `now`: a clock ahead of the daemons' never refuses a fresh task (R7).
        free_at=start if start > now else 0,
        sent_at=start,
        due_at=start if scheduled else start + terms.grace,
        payload=None if large else payload,
    )
    return Plan(
        task=task,
        payload=payload,
        body=encode(task, payload),
        beside=payload_key(identity, print_) if large else None,
        beside_expires_at=(start + 2 * terms.retention) // 1000,
    )


def same_task(stored: Task, planned: Task) -> Task:
    """The record that a repeated key stands for.

    Raises:
        KeyConflict: The key was used for another type or payload.
    """
    if stored.fingerprint != planned.fingerprint:
        raise KeyConflict("this idempotency key stands for a task of another type or payload")
    return stored


def accepted_state(task: Task) -> State:
    """The state in which a task was accepted: the answer to a repeat is the first answer."""
    waits = task.not_before - task.created_at
    return State.SCHEDULED if waits > MAX_DELAY else State.QUEUED


def needs_send(stored: Task) -> bool:
    """Whether a repeat sends again: only what was never claimed (R8).

    A scheduled task is left to the sweeper, which sends it when it is due.
    """
    return stored.state is State.QUEUED and stored.claim_no == 0


def delay_left(task: Task, now: int) -> int:
    """Seconds until a task may run, rounded up, within what SQS can delay a message."""
    return min(SQS_DELAY_SECONDS, max(0, math.ceil((task.not_before - now) / 1000)))


def checked(asked: Submission, now: int) -> str:
    """The payload of a submission that can be accepted, as canonical JSON text.

    Raises:
        InvalidField: A field is malformed or out of bounds.
        PayloadTooLarge: The payload is over ``PAYLOAD_BYTES``.
    """
    faults: list[tuple[str, str]] = []
    patterns = (
        ("type", asked.type, TYPE_PATTERN, False),
        ("tenant", asked.tenant, TENANT_PATTERN, True),
        ("correlation_id", asked.correlation_id, CORRELATION_PATTERN, True),
        ("idempotency_key", asked.key, KEY_PATTERN, False),
    )
    for name, value, pattern, optional in patterns:
        if not (optional and value == "") and not pattern.fullmatch(value):
            faults.append((name, f"must match {pattern.pattern}"))
    if asked.not_before > now + DELAY_SECONDS * 1000:
        faults.append(("not_before", f"must be within {DELAY_SECONDS} seconds from now"))
    try:
        payload = dump(asked.payload)
        # In the body it stands one level down; what the daemon could not read is not accepted.
        parse(f"[{payload}]")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidField([*faults, ("payload", f"is not JSON: {error}")]) from None
    if faults:
        raise InvalidField(faults)
    if size(payload) > PAYLOAD_BYTES:
        raise PayloadTooLarge(size(payload), PAYLOAD_BYTES)
    return payload
