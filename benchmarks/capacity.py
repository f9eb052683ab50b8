"""What a task's writes consume, by DynamoDB's own rules, from the statements that ftq sends.

The statements are applied to a real record, one after the other, and each write is weighed as
"Item sizes and formats" and "Using global secondary indexes" of the Developer Guide say: a write
unit for each KiB begun of the larger of old and new item; in the index one write for a new entry,
two where its keys change, one where only what it carries changes, none otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Final, cast

from benchmarks.handlers import TYPE
from benchmarks.load import GRACE, RETENTION
from benchmarks.stub.partiql import Item, Value, compile_statement
from ftq.settlement import Complete
from ftq.submission import Plan, Submission, Terms, plan
from ftq.task import Entry
from ftq.wire import table
from ftq.wire.claimant import Claimant, claimed
from ftq.wire.create import PROJECTED
from ftq.wire.item import to_item
from ftq.wire.statements import Statement, Statements

UNIT_BYTES: Final = 1024
KEYS: Final = ("id", "bucket", "due_at")
VISIBILITY_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Writes:
    """Write units of the steps of one happy task.

    Attributes:
        payload: How long its payload is, in bytes of JSON.
        body: How long its message is, in bytes.
        beside: Of the item that carries a large payload; 0 if it is inline.
        submit: Of the record.
        claim: Of the claim.
        settle: Of the settle.
    """

    payload: int
    body: int
    beside: int
    submit: int
    claim: int
    settle: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.beside + self.submit + self.claim + self.settle


def writes_of(payload: int) -> Writes:
    """What a happy task with about so large a payload consumes."""
    now = time.time_ns() // 1_000_000
    one = _planned(payload, now)
    statements = Statements("tasks")
    queued = to_item(one.task)
    who = Claimant("daemon-1", "f" * 32, now + 50, now + 50 + VISIBILITY_MS)
    running = _applied(queued, statements.claim(one.task.id, who))
    task = claimed(replace(one.task), who)
    entry = Entry(task.claim_no, "daemon-1", now + 60, "succeeded")
    verdict = Complete("null")
    settle = statements.settle(task, verdict, entry, grace=GRACE, retention=RETENTION)
    done = _applied(running, settle)
    return Writes(
        payload=len(one.payload.encode()),
        body=len(one.body.encode()),
        beside=_beside(one),
        submit=units(None, queued),
        claim=units(queued, running),
        settle=units(running, done),
    )


def _planned(payload: int, now: int) -> Plan:
    asked = Submission(TYPE, {"number": 1, "text": "x" * payload}, key="bench-1")
    return plan(asked, Terms("http://sqs/0/tasks", GRACE, RETENTION), now)


def _beside(one: Plan) -> int:
    if one.beside is None:
        return 0
    call = table.put_beside("tasks", one.beside, one.payload, one.beside_expires_at)
    return _kib(size(cast("Item", call.request["Item"])))


def _applied(item: Item, statement: Statement) -> Item:
    request = statement.request
    compiled = compile_statement(cast("str", request["Statement"]))
    parameters = cast("list[Value]", request["Parameters"])
    assert compiled.holds(item, parameters)
    return compiled.apply(item, parameters)


def units(old: Item | None, new: Item) -> int:
    """Write units of one write of a record, its index entry included."""
    main = _kib(max(size(new), size(old) if old else 0))
    before, after = _entry(old), _entry(new)
    if before == after or after is None:
        return main
    moved = before is not None and any(before[key] != after[key] for key in KEYS)
    if before is None or not moved:
        return main + _kib(max(size(after), size(before) if before else 0))
    return main + _kib(size(before)) + _kib(size(after))


def size(item: Mapping[str, Value]) -> int:
    """An item's size in bytes, as DynamoDB counts it."""
    return sum(len(name.encode()) + _value(value) for name, value in item.items())


def _value(value: Value) -> int:
    if "N" in value:
        digits = value["N"].lstrip("-").strip("0") or "0"
        return ceil(len(digits) / 2) + 1 + value["N"].startswith("-")
    return len(value["S"].encode())


def _entry(item: Item | None) -> Item | None:
    if item is None or "bucket" not in item:
        return None
    return {name: item[name] for name in (*KEYS, *PROJECTED) if name in item}


def _kib(count: int) -> int:
    return max(1, ceil(count / UNIT_BYTES))
