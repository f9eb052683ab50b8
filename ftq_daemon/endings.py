"""How a handler begins and ends, read as values: on the loop, in threads, in children."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from pydantic import ValidationError
from pydantic_core import to_json

from ftq.context import Context
from ftq.errors import Reject, Retry
from ftq.handler import Handler
from ftq.limits import RESULT_BYTES
from ftq.middleware import Work, wrap
from ftq.outcome import AskedRetry, Invalid, Outcome, Raised, Rejected, Returned, TimedOut
from ftq.redaction import USUAL, Names
from ftq.task import Failure, failure


@dataclass(frozen=True, slots=True)
class Endings:
    """Reads how handlers end.

    Attributes:
        names: Secret names beside the usual ones: an exception becomes a failure here, once, and
            nothing but the failure leaves this process.
    """

    names: Names = USUAL

    def work(self, handler: Handler, payload: str, context: Context) -> Work | Outcome:
        """The handler's function with all that it takes, and its middleware around it.

        An outcome if the payload does not do.
        """
        try:
            argument = handler.payload.validate_json(payload)
        except ValidationError as error:
            return Invalid(self._invalid(error))
        except Exception as error:  # a validator of the user's own that breaks
            return self.raised(error, handler)
        given = (argument, context) if handler.wants_context else (argument,)
        work = partial(handler.function, *given)
        return wrap(handler.middleware, context, work) if handler.middleware else work

    def returned(self, value: object) -> Outcome:
        """What the function's value makes of the attempt."""
        try:
            text = to_json(value, inf_nan_mode="null")
        except Exception as error:  # a serializer of the user's own may raise anything
            # No further attempt would return anything else.
            failed = self._failure("exception", "ResultNotJson", _message(error))
            return Raised(failed, permanent=True)
        if len(text) > RESULT_BYTES:
            size = f"the result has {len(text)} bytes of JSON, the limit is {RESULT_BYTES}"
            return Raised(failure("exception", "ResultTooLarge", size), permanent=True)
        return Returned(text.decode())

    def raised(self, error: BaseException, handler: Handler) -> Outcome:
        """What an exception of the function makes of the attempt."""
        name, message = _name(type(error)), _message(error)
        if isinstance(error, Retry):
            return AskedRetry(self._failure("retry", name, message), error.after, error.counts)
        if isinstance(error, Reject):
            return Rejected(self._failure("rejected", name, message))
        permanent = isinstance(error, handler.permanent)
        trips = handler.breaker_policy.counted(type(error))
        return Raised(self._failure("exception", name, message), permanent, trips)

    def _invalid(self, error: ValidationError) -> Failure:
        # Without the input: a payload is nobody's business but the handler's.
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [
            f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg']}" for fault in faults
        ]
        return self._failure("invalid_payload", "ValidationError", "; ".join(lines[:5]))

    def _failure(self, kind: str, class_name: str, message: str) -> Failure:
        return failure(kind, class_name, message, self.names)


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
