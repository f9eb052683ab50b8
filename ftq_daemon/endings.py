"""How a handler begins and ends, read as values: on the loop, in threads, in children."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import to_json

from ftq.context import Context
from ftq.errors import Reject, Retry
from ftq.handler import Handler
from ftq.limits import RESULT_BYTES
from ftq.outcome import AskedRetry, Invalid, Outcome, Raised, Rejected, Returned, TimedOut
from ftq.task import Failure, failure


def arguments(handler: Handler, payload: str, context: Context) -> tuple[object, ...] | Outcome:
    """What the handler's function is called with; an outcome if the payload does not do."""
    try:
        argument = handler.payload.validate_json(payload)
    except ValidationError as error:
        return Invalid(_invalid(error))
    except Exception as error:  # a validator of the user's own that breaks
        return raised(error, handler)
    return (argument, context) if handler.wants_context else (argument,)


def returned(value: object) -> Outcome:
    """What the function's value makes of the attempt."""
    try:
        text = to_json(value, inf_nan_mode="null")
    except Exception as error:  # a serializer of the user's own may raise anything
        # No further attempt would return anything else.
        message = _message(error)
        return Raised(failure("exception", "ResultNotJson", message), permanent=True)
    if len(text) > RESULT_BYTES:
        size = f"the result has {len(text)} bytes of JSON, the limit is {RESULT_BYTES}"
        return Raised(failure("exception", "ResultTooLarge", size), permanent=True)
    return Returned(text.decode())


def raised(error: BaseException, handler: Handler) -> Outcome:
    """What an exception of the function makes of the attempt."""
    name, message = _name(type(error)), _message(error)
    if isinstance(error, Retry):
        return AskedRetry(failure("retry", name, message), error.after, error.counts)
    if isinstance(error, Reject):
        return Rejected(failure("rejected", name, message))
    permanent = isinstance(error, handler.permanent)
    trips = handler.breaker_policy.counted(type(error))
    return Raised(failure("exception", name, message), permanent, trips)


def timed_out(handler: Handler) -> TimedOut:
    """The attempt was still running at its deadline."""
    text = f"still running after {handler.timeout:g} s"
    return TimedOut(failure("timeout", "TimeoutError", text))


def _name(kind: type) -> str:
    plain = kind.__module__ in ("builtins", "__main__")
    return kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # not even this may end the loop
        return "(its message cannot be read)"


def _invalid(error: ValidationError) -> Failure:
    # Without the input: a payload is nobody's business but the handler's.
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg']}" for fault in faults]
    return failure("invalid_payload", "ValidationError", "; ".join(lines[:5]))
