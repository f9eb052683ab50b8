"""Tasks in every state, made as a daemon makes them."""

from __future__ import annotations

from typing import Final

from ftq.settlement import Cause, Counter, DeadLetter, Settlement
from ftq.task import Entry, Failure, failure
from ftq.text import Json
from ftq.wire.statements import Statements
from tests.unit.api.door import GRACE, RETENTION, TABLE, Door

STATEMENTS: Final = Statements(TABLE)
OOPS: Final = failure("exception", "ValueError", "no")
DIE: Final = DeadLetter(Cause.PERMANENT, Counter.ATTEMPTS, OOPS)


def submitted(door: Door, payload: Json = 1, type_: str = "a", **more: Json) -> str:
    """A task whose first message is out of the way."""
    task_id = door.post({"type": type_, "payload": payload, **more}).id
    door.messages()
    return task_id


def settle(door: Door, task_id: str, verdict: Settlement) -> None:
    """Claim a task and end the claim at once."""
    task = door.claim(task_id)
    entry = Entry(task.claim_no, "a-daemon", door.clock.now, "ended")
    door.write(STATEMENTS.settle(task, verdict, entry, grace=GRACE, retention=RETENTION))


def dead(door: Door, payload: Json = 1, type_: str = "a", why: Failure = OOPS, **more: Json) -> str:
    """A task that has died."""
    task_id = submitted(door, payload, type_, **more)
    settle(door, task_id, DeadLetter(Cause.PERMANENT, Counter.ATTEMPTS, why))
    return task_id
