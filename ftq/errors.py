"""Every error that ftq raises, as one tree.

    FtqError
    ├── SettingsError            a setting is missing or out of bounds
    ├── RegistryError            a handler is declared in a way that cannot work
    ├── IllegalTransition        a state change that the lifecycle table does not have
    ├── SubmissionError          a task that cannot be accepted as it is
    │   ├── InvalidField             a field is missing, malformed or out of bounds
    │   ├── PayloadTooLarge          the payload is over its limit in bytes
    │   └── KeyConflict              the idempotency key belongs to another payload
    └── CallError                an AWS call that did not do what was asked
        ├── Throttled                refused for now: nothing was applied
        ├── Unavailable              no answer: it may have been applied, or not
        └── CallRefused              answered with an error code: nothing was applied

What a handler raises on purpose stands apart, for it is no fault of anybody:

    HandlerSignal
    ├── Retry                    try again after a while
    └── Reject                   never try again
"""

from __future__ import annotations

from collections.abc import Mapping

from ftq.limits import DELAY_SECONDS


class FtqError(Exception):
    """Base of every error that ftq raises."""


class SettingsError(FtqError):
    """One or more settings are missing or out of bounds.

    Attributes:
        problems: One line each, naming the key, the value and the limit.
    """

    def __init__(self, problems: list[str]) -> None:
        """Keep the problems, one line each."""
        super().__init__("\n".join(problems))
        self.problems = problems


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
