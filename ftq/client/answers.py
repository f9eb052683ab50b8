"""What the API says, as values. Members that this version does not know are no fault.

The names are those of the contract; times are aware datetimes in UTC.
"""

from __future__ import annotations

from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, PrivateAttr

from ftq.lifecycle import FINAL, State
from ftq.text import Document


class Answer(BaseModel):
    """Base of all answers: frozen, and tolerant of what a newer API adds."""

    # Deferred: most programs read few of these, and each takes its time to be built.
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)

    _document: Document = PrivateAttr(default_factory=dict)

    @classmethod
    def of(cls, document: Document) -> Self:
        """The answer that a document is.

        Raises:
            ValidationError: It is none.
        """
        found = cls.model_validate(document)
        found._document = document
        return found

    @property
    def document(self) -> Document:
        """All that the API said in answer, whether this version knows it or not."""
        return self._document


class Accepted(Answer):
    """A task that was accepted.

    Attributes:
        id: Its id.
        type: Its type.
        state: The state in which it was accepted: queued or scheduled.
        created_at: When it was accepted first.
        correlation_id: What follows it through every program.
    """

    id: str
    type: str
    state: str
    created_at: AwareDatetime
    correlation_id: str


class LastError(Answer):
    """Why the last attempt did not succeed.

    Attributes:
        type: What sort of end it was, such as ``exception`` or ``timeout``.
        class_name: The exception's class; ``class`` in JSON.
        message: Its message, cut to size.
        fingerprint: Equal for equal causes.
    """

    type: str = ""
    class_name: str = Field("", alias="class")
    message: str = ""
    fingerprint: str = ""


class HistoryEntry(Answer):
    """How one claim ended.

    Attributes:
        claim_no: The claim.
        by: The daemon that held it, or who did it.
        at: When it ended.
        outcome: How it ended.
        class_name: The class of the error, or ''; ``class`` in JSON.
        ms: How long the handler ran.
    """

    claim_no: int
    by: str = ""
    at: AwareDatetime | None = None
    outcome: str = ""
    class_name: str = Field("", alias="class")
    ms: int = 0


class Task(Answer):
    """A task as it is now. A list leaves out payload, result, progress and history.

    Attributes:
        id: Its id.
        type: Its type.
        queue: The name of its queue.
        state: One of `ftq.lifecycle.State`, as text.
        attempts: Failed attempts counted so far in this life.
        crashes: Claims that lapsed without a word.
        releases: Claims given back uncounted.
        claim_no: Claims so far.
        payload: What it was submitted with.
        result: What its handler returned.
        progress: What its handler last said.
        cause: Why a dead one is dead.
        last_error: Why its last attempt did not succeed.
        history: How its claims ended.
        created_at: When it was submitted.
        updated_at: When its record was last written.
        finished_at: When it ended.
        free_at: From when on anyone may claim it; None if it may run at once, or has ended.
        tenant: On whose behalf.
        correlation_id: What follows it through every program.
    """

    id: str
    type: str
    queue: str = ""
    state: str
    attempts: int = 0
    crashes: int = 0
    releases: int = 0
    claim_no: int = 0
    payload: JsonValue = None
    result: JsonValue = None
    progress: JsonValue = None
    cause: str | None = None
    last_error: LastError | None = None
    history: tuple[HistoryEntry, ...] = ()
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    free_at: AwareDatetime | None = None
    tenant: str | None = None
    correlation_id: str = ""

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL

    @property
    def succeeded(self) -> bool:
        """Whether it has ended well."""
        return self.state == State.SUCCEEDED


class Page(Answer):
    """A page of a list, and where the next one begins."""

    tasks: tuple[Task, ...]
    cursor: str | None = None

    @classmethod
    def of(cls, document: Document) -> Self:
        """The page that a document is, each of its tasks with its own."""
        found = super().of(document)
        said = document["tasks"]
        for task, each in zip(found.tasks, said if isinstance(said, list) else (), strict=True):
            task._document = each if isinstance(each, dict) else {}
        return found


class Cancelled(Answer):
    """What became of the wish to cancel a task.

    Attributes:
        id: The task.
        state: Its state: cancelled, or running until its daemon has stopped it.
        cancel_requested: Whether it still runs, and is told at its next beat.
    """

    id: str
    state: str
    cancel_requested: bool = False


class Remaining(Answer):
    """Dead tasks that were not looked at yet, and whether that is all of them."""

    count: int
    exact: bool = True


class Redriven(Answer):
    """What a redrive has done so far.

    Attributes:
        matched: Dead tasks that fit.
        redriven: Those that have one more life.
        failed: Those that may still be dead, for the table did not answer.
        dry_run: Whether they were only counted.
        before: Only what had died by this moment is meant.
        cursor: Where to go on; None when all is done.
        remaining: What was not looked at yet, whether it fits or not; None if nobody knows.
    """

    matched: int
    redriven: int
    failed: int = 0
    dry_run: bool = False
    before: AwareDatetime | None = None
    cursor: str | None = None
    remaining: Remaining | None = None


class Health(Answer):
    """Whether tasks can be accepted.

    Attributes:
        status: ``ok``.
        date: The answer's Date header, or ''.
    """

    status: str
    date: str = ""
