"""The record of a task, as a value. Times are milliseconds since the epoch."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import Final

from ftq.lifecycle import FINAL, State
from ftq.limits import CLASS_NAME_CHARS, ERROR_MESSAGE_CHARS, HISTORY_ENTRIES, SHARDS
from ftq.redaction import USUAL, Names, redact_text
from ftq.shape import shape_of
from ftq.text import Json
from ftq.value import value


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt did not succeed, as it is kept with the task.

    Attributes:
        kind: What sort of end it was: ``exception``, ``timeout``, ``retry``, ``rejected``,
            ``invalid_payload``, ``crash_loop``, ``unknown_type``, ``payload_lost``.
        class_name: The exception's class, qualified unless it is a builtin.
        message: Its message, redacted and cut to ``ERROR_MESSAGE_CHARS``.
        fingerprint: Equal for equal causes: see `fingerprint_of`.
    """

    kind: str
    class_name: str
    message: str
    fingerprint: str


# Read of an error's words: more than a fingerprint takes from them.
_READ_CHARS: Final = 32 * 1024


def failure(kind: str, class_name: str, message: str, names: Names = USUAL) -> Failure:
    """A failure with its message redacted and cut to size, and its fingerprint made.

    Here, and nowhere later: record, dead letter, log and trace all get this value.

    Args:
        kind: What sort of end it was.
        class_name: The exception's class.
        message: Its message, of any length.
        names: Secret names beside the usual ones.
    """
    name = _cut(redact_text(class_name, names), CLASS_NAME_CHARS)
    clean = redact_text(message, names, _READ_CHARS)
    print_ = fingerprint_of(kind, class_name, clean)
    return Failure(kind, name, _cut(clean, ERROR_MESSAGE_CHARS), print_)


def _cut(text: str, most: int) -> str:
    # Surrogates cannot be stored; this is for reading, so they become question marks.
    clean = text[: most + 1].encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def fingerprint_of(kind: str, class_name: str, message: str) -> str:
    """Twelve hex digits that are equal for errors that differ only in ids, numbers and names."""
    text = f"{kind}\0{class_name}\0{shape_of(message)}".encode("utf-8", "replace")
    return hashlib.sha256(text).hexdigest()[:12]


@value(frozen=True, slots=True)
class Entry:
    """How one claim ended: a line of the task's history.

    Attributes:
        claim_no: The claim.
        by: The daemon that held it, or who did it.
        at: When it ended; for a crashed claim, the moment after which it was not heard of.
        outcome: How it ended.
        class_name: The class of the error, or ''.
        ms: How long the handler ran; 0 when it did not or when nobody knows.
    """

    claim_no: int
    by: str
    at: int
    outcome: str
    class_name: str = ""
    ms: int = 0

    def to_json(self) -> dict[str, Json]:
        """The entry as it is stored and shown."""
        return {
            "claim_no": self.claim_no,
            "by": self.by,
            "at": self.at,
            "outcome": self.outcome,
            "class": self.class_name,
            "ms": self.ms,
        }


@value(frozen=True, slots=True)
class Task:
    """One piece of submitted work: the whole record of it.

    DESIGN §5 and PROTOCOL say what each attribute means. ``free_at`` is 0 where the record
    has none (final states); texts are '' and numbers 0 where nothing was written yet.
    """

    id: str
    type: str
    queue: str
    state: State
    fingerprint: str = ""
    correlation_id: str = ""
    tenant: str = ""
    created_at: int = 0
    not_before: int = 0
    updated_at: int = 0
    free_at: int = 0
    claim_no: int = 0
    past: int = 0
    attempts: int = 0
    releases: int = 0
    claimed_by: str = ""
    claim_token: str = ""
    sent_at: int = 0
    sweeps: int = 0
    due_at: int = 0
    expires_at: int = 0
    cancel_requested: int = 0
    payload: str | None = None
    result: str = ""
    progress: str = ""
    cause: str = ""
    last_error: Failure | None = None
    history: tuple[Entry, ...] = ()
    trace: str = ""

    @property
    def final(self) -> bool:
        """Whether the task has ended."""
        return self.state in FINAL

    @property
    def crashes(self) -> int:
        """Claims of this life that lapsed without a word: counted by arithmetic (PROTOCOL)."""
        live = self.state in (State.RUNNING, State.SUCCEEDED)
        return self.claim_no - self.past - self.attempts - self.releases - live

    @property
    def attempt(self) -> int:
        """Which counted attempt the next run is, from 1."""
        return self.attempts + 1


RELEASED: Final = "released"


def remember(history: tuple[Entry, ...], entry: Entry) -> tuple[Entry, ...]:
    """The history with one more entry, one dropped past ``HISTORY_ENTRIES``.

    The oldest release goes first: crashes and failures are the evidence, and a task may be given
    back many times between two of them.
    """
    longer = (*history, entry)
    if len(longer) <= HISTORY_ENTRIES:
        return longer
    released = (n for n, each in enumerate(longer) if each.outcome == RELEASED)
    gone = next(released, 0)
    return longer[:gone] + longer[gone + 1 :]


def shard_of(task_id: str) -> int:
    """The shard of the index that a task belongs to."""
    return zlib.crc32(task_id.encode()) % SHARDS


def bucket_of(task_id: str, state: State) -> str:
    """The index key under which a task in this state is found."""
    return bucket_in(shard_of(task_id), state)


def bucket_in(shard: int, state: State) -> str:
    """The index key of a shard for tasks in this state."""
    name = "dead" if state is State.DEAD else "done" if state in FINAL else "open"
    return f"{name}#{shard:02d}"


def payload_key(task_id: str, fingerprint: str) -> str:
    """The key of the item that holds a payload too large for the record (PROTOCOL R11)."""
    return f"{task_id}#payload#{fingerprint[:16]}"
