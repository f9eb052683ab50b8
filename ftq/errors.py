"""Every error that ftq raises, as one tree.

    FtqError
    ├── SettingsError            a setting is missing or out of bounds
    ├── RegistryError            a handler is declared in a way that cannot work
    ├── IllegalTransition        a state change that the lifecycle table does not have
    ├── SubmissionError          a task that cannot be accepted as it is
    │   ├── InvalidField             a field is missing, malformed or out of bounds
    │   ├── PayloadTooLarge          the payload is over its limit in bytes
    │   └── KeyConflict              the idempotency key belongs to another payload
    ├── CallError                an AWS call that did not do what was asked
    │   ├── Throttled                refused for now: nothing was applied
    │   ├── Unavailable              no answer: it may have been applied, or not
    │   └── CallRefused              answered with an error code: nothing was applied
    └── ClientError              what `ftq.client` could not do
        ├── Unreachable              no usable answer of the API, after all tries
        ├── ApiError                 the API answered with a problem
        │   ├── Denied                   401, 403: it does not know the caller, or not for this
        │   ├── NotFound                 404: there is no such task
        │   ├── Conflict                 409: the task is in a state that forbids it
        │   │   └── KeyTaken                 the key belongs to another payload: a KeyConflict
        │   ├── TooLarge                 413: a PayloadTooLarge
        │   └── Refused                  400, 422: an InvalidField
        ├── TaskFailed               the task that was waited for did not succeed
        └── StillOpen                the task that was waited for has not ended yet

What a handler raises on purpose stands apart, for it is no fault of anybody:

    HandlerSignal
    ├── Retry                    try again after a while
    └── Reject                   never try again
"""

from __future__ import annotations

from collections.abc import Mapping

from ftq.limits import DELAY_SECONDS, PAYLOAD_BYTES
from ftq.redaction import redact_text


class FtqError(Exception):
    """Base of every error that ftq raises. Its words, which may quote others', are redacted."""

    def __init__(self, words: str) -> None:
        super().__init__(redact_text(words))


class SettingsError(FtqError):
    """One or more settings are missing or out of bounds.

    Attributes:
        problems: One line each, naming the key, the redacted value and the limit.
    """

    def __init__(self, problems: list[str]) -> None:
        """Keep the problems, one line each."""
        self.problems = [redact_text(each) for each in problems]
        super().__init__("\n".join(self.problems))


class RegistryError(FtqError):
    """A handler is declared in a way that cannot work."""


class IllegalTransition(FtqError):
    """A state change that the lifecycle table does not have."""


class SubmissionError(FtqError):
    """A task that cannot be accepted as it is."""


class InvalidField(SubmissionError):
    """A field is missing, malformed or out of bounds.

    Attributes:
        errors: One (field, what is wrong) pair for each fault, the field as a dotted path.
    """

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        """Keep the faults by field."""
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in errors))
        self.errors = errors


class PayloadTooLarge(SubmissionError):
    """The payload is over its limit in bytes of UTF-8.

    Attributes:
        size: Bytes of the payload as sent.
        limit: Bytes allowed.
    """

    def __init__(self, size: int, limit: int) -> None:
        """Keep size and limit, in bytes."""
        super().__init__(f"the payload has {size} bytes of UTF-8, the limit is {limit}")
        self.size = size
        self.limit = limit


class KeyConflict(SubmissionError):
    """The idempotency key already stands for a task of another type or payload."""


class CallError(FtqError):
    """An AWS call that did not do what was asked.

    Attributes:
        operation: The AWS operation, such as ``BatchExecuteStatement``.
        code: The error code of the service, or the class of the client's error.
    """

    def __init__(self, operation: str, code: str, message: str) -> None:
        """Keep the operation, the code and the service's own words."""
        super().__init__(f"{operation}: {code}: {message}")
        self.operation = operation
        self.code = code


class Throttled(CallError):
    """The service refused for now; nothing was applied, the same call may pass later."""


class Unavailable(CallError):
    """No usable answer came: the call may have been applied, or not."""


class CallRefused(CallError):
    """The service answered with an error; nothing was applied.

    Attributes:
        item: The item that stood in the way of a conditional write, if the service sent it.
    """

    def __init__(
        self, operation: str, code: str, message: str, item: Mapping[str, object] | None = None
    ) -> None:
        """Keep what the service said, and the item that stood in the way."""
        super().__init__(operation, code, message)
        self.item = item


class ClientError(FtqError):
    """What `ftq.client` could not do."""


class Unreachable(ClientError):
    """No usable answer came, after all tries: what was asked may have been done, or not.

    Attributes:
        status: The HTTP status of the last answer; 0 if there was none.
        idempotency_key: The key to submit with again: it stands for one task, however often.
            None for what was no submission.
    """

    def __init__(self, why: str, status: int = 0, idempotency_key: str | None = None) -> None:
        """Keep what is known of the last try."""
        super().__init__(why)
        self.status = status
        self.idempotency_key = idempotency_key


class ApiError(ClientError):
    """The API answered with a problem (RFC 9457).

    Attributes:
        status: The HTTP status.
        kind: What kind of problem it is: the last part of the document's ``type``.
        document: The whole problem document; it never quotes a payload.
    """

    def __init__(self, status: int, document: Mapping[str, object]) -> None:
        """Word the problem."""
        title, detail = document.get("title", ""), document.get("detail", "")
        Exception.__init__(self, f"{status} {title}: {detail}".rstrip(": "))
        self.status = status
        self.kind = str(document.get("type", "")).rpartition(":")[2]
        self.document = document


class Denied(ApiError):
    """The API, or what stands before it, does not know the caller, or not for this."""


class NotFound(ApiError):
    """There is no such task: a finished one is forgotten after its retention."""


class Conflict(ApiError):
    """The task is in a state that forbids it: already final, or not dead."""

    @property
    def state(self) -> str | None:
        """The state that it is in, if the API said so."""
        state = self.document.get("state")
        return state if isinstance(state, str) else None


class KeyTaken(Conflict, KeyConflict):
    """The API knows the idempotency key, for a task of another type or payload."""


class TooLarge(ApiError, PayloadTooLarge):
    """The API finds a request too large: `size` is that of the request, `limit` a payload's."""

    def __init__(self, status: int, document: Mapping[str, object], size: int) -> None:
        """Keep the size."""
        ApiError.__init__(self, status, document)
        self.size = size
        self.limit = PAYLOAD_BYTES


class Refused(ApiError, InvalidField):
    """The API finds fields missing, malformed or out of bounds, or a payload that does not fit.

    Attributes:
        errors: One (field, what is wrong) pair for each fault.
    """

    def __init__(
        self, status: int, document: Mapping[str, object], errors: list[tuple[str, str]]
    ) -> None:
        """Keep the faults by field."""
        ApiError.__init__(self, status, document)
        self.errors = errors

    def __str__(self) -> str:
        """The problem, then a line for each fault."""
        faults = [f"  {field or 'the body'}: {why}" for field, why in self.errors]
        return "\n".join([super().__str__(), *faults])


class TaskFailed(ClientError):
    """The task that was waited for did not succeed.

    Attributes:
        task_id: The task.
        state: How it ended: dead or cancelled.
        cause: Why a dead one is dead, or None.
    """

    def __init__(self, task_id: str, state: str, cause: str | None) -> None:
        """Word the end, without the error's own message: it may quote a payload."""
        super().__init__(f"the task {task_id} is {state}" + (f": {cause}" if cause else ""))
        self.task_id = task_id
        self.state = state
        self.cause = cause


class StillOpen(ClientError, TimeoutError):
    """The task `task_id` has not ended yet and goes on; `state` is where it was seen last."""

    def __init__(self, task_id: str, state: str, timeout: float) -> None:
        """Keep what was seen last; `timeout` is in seconds."""
        super().__init__(f"the task {task_id} is still {state} after {timeout:g} s")
        self.task_id = task_id
        self.state = state


class HandlerSignal(Exception):  # what a handler says on purpose is no error
    """Base of what a handler raises on purpose."""


class Retry(HandlerSignal):
    """Raised by a handler to be run again after a while.

    Args:
        after: Seconds until the next attempt; None leaves it to the handler's retry policy.
        counts: Whether this attempt is spent. ``counts=False`` suits a dependency that asks
            to come back later (HTTP 429 with Retry-After).
        reason: Kept with the task.

    Raises:
        ValueError: ``after`` is negative, or more than ``DELAY_SECONDS``.
    """

    def __init__(
        self, after: float | None = None, *, counts: bool = True, reason: str = ""
    ) -> None:
        """Check and keep the wish."""
        if after is not None and not 0 <= after <= DELAY_SECONDS:
            raise ValueError(f"after={after!r}: must be from 0 to {DELAY_SECONDS} seconds")
        super().__init__(reason or "the handler asked for a retry")
        self.after = after
        self.counts = counts


class Reject(HandlerSignal):
    """Raised by a handler to give a task up at once: no further attempt can help.

    Args:
        reason: Kept with the task and its dead-letter copy.
    """

    def __init__(self, reason: str = "") -> None:
        """Keep the reason."""
        super().__init__(reason or "the handler rejected the task")
