"""What is submitted: checked before it is sent, by the rules that the API has."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias, TypedDict, TypeVar, Unpack, overload

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ftq.context import Context
from ftq.errors import InvalidField, RegistryError
from ftq.handler import Function
from ftq.limits import DELAY_SECONDS
from ftq.registry import Registry
from ftq.submission import Submission, checked
from ftq.text import Json, parse

T = TypeVar("T")
What: TypeAlias = "str | Function"
"""A task type, or the function that handles it."""


class Options(TypedDict, total=False):
    """What may be said of a submission beside its payload.

    Attributes:
        key: The idempotency key: equal keys of one tenant stand for one task. A fresh one if
            None, good for the retries of this one call only.
        delay_seconds: Seconds to wait first; not together with `not_before`.
        not_before: A moment, with its time zone, before which it must not run.
        tenant: On whose behalf; tenants share a queue fairly.
        correlation_id: What follows the task through every program; its own id if None.
        queue: The name of the queue that it goes to; its handler's if None.
    """

    key: str | None
    delay_seconds: float | None
    not_before: datetime | None
    tenant: str | None
    correlation_id: str | None
    queue: str | None


class NewTask:
    """A task to submit, for `submit_many`."""

    __slots__ = ("options", "payload", "what")

    @overload
    def __init__(
        self, what: Callable[[T], object], payload: T, **options: Unpack[Options]
    ) -> None: ...

    @overload
    def __init__(
        self, what: Callable[[T, Context], object], payload: T, **options: Unpack[Options]
    ) -> None: ...

    @overload
    def __init__(self, what: str, payload: object, **options: Unpack[Options]) -> None: ...

    def __init__(self, what: What, payload: object, **options: Unpack[Options]) -> None:
        """Keep what was asked for; it is checked when it is submitted."""
        self.what = what
        self.payload = payload
        self.options = options


@dataclass(frozen=True, slots=True)
class Prepared:
    """A submission that can be accepted.

    Attributes:
        submission: What is asked for.
        payload: Its payload as canonical JSON text.
        delay_seconds: The delay as it was given, for the API to count from its own clock.
        not_before: The moment as it was given.
    """

    submission: Submission
    payload: str
    delay_seconds: float | None
    not_before: datetime | None


def prepare(
    what: What,
    payload: object,
    options: Options,
    registry: Registry | None,
    now: int,
    fresh: str,
) -> Prepared:
    """Find the type, validate the payload, and hold all of it against the limits.

    Args:
        what: The type, or its handler.
        payload: The payload.
        options: What else was said.
        registry: The handlers, if they are known here.
        now: Milliseconds since the epoch.
        fresh: The key if none was given.

    Raises:
        RegistryError: A function was given that is no handler of the registry, or of several types.
        InvalidField: A field is malformed or out of bounds, or the payload does not fit.
        PayloadTooLarge: The payload is over its limit.
        TypeError: An option is none.
    """
    if unknown := options.keys() - Options.__annotations__.keys():
        # A misspelt delay must not run at once.
        raise TypeError(f"no option of a submission: {', '.join(sorted(unknown))}")
    type_, adapter = _handled(what, registry)
    delay, not_before = options.get("delay_seconds"), options.get("not_before")
    key, tenant = options.get("key"), options.get("tenant")
    submission = Submission(
        type=type_,
        payload=plain(payload, adapter),
        key=fresh if key is None else key,
        correlation_id=options.get("correlation_id") or "",
        tenant="" if tenant is None else tenant,
        not_before=_start(delay, not_before, now),
        queue=options.get("queue") or "",
    )
    if tenant == "":
        raise InvalidField([("tenant", "must not be empty; leave it out")])
    return Prepared(submission, checked(submission, now), delay, not_before)


def _handled(what: What, registry: Registry | None) -> tuple[str, TypeAdapter[object] | None]:
    if isinstance(what, str):
        handler = registry.get(what) if registry is not None else None
        return what, handler.payload if handler is not None else None
    if registry is None:
        raise RegistryError("give the client the registry of this handler, or name its type")
    found = [each for each in registry if each.function == what]
    if len(found) == 1:
        return found[0].type, found[0].payload
    name = getattr(what, "__qualname__", repr(what))
    if not found:
        raise RegistryError(f"{name} is no handler of the client's registry")
    types = ", ".join(each.type for each in found)
    raise RegistryError(f"{name} handles several types, name one of them: {types}")


def _start(delay: float | None, not_before: datetime | None, now: int) -> int:
    if delay is not None and not_before is not None:
        raise InvalidField([("not_before", "give delay_seconds or not_before, not both")])
    if delay is not None:
        if not 0 <= delay <= DELAY_SECONDS:  # which no NaN is
            must = f"is {delay!r}: must be from 0 to {DELAY_SECONDS}"
            raise InvalidField([("delay_seconds", must)])
        return now + math.ceil(delay * 1000) if delay else 0
    if not_before is None:
        return 0
    if not_before.utcoffset() is None:
        raise InvalidField([("not_before", f"is {not_before}: must have a time zone")])
    return max(0, math.ceil(not_before.timestamp() * 1000))


_SERIALIZE: Final = "cannot be written as JSON"


def plain(payload: object, adapter: TypeAdapter[object] | None) -> Json:
    """A payload as plain JSON values.

    Args:
        payload: A model, a dataclass, or anything else that pydantic can write as JSON.
        adapter: Validates it first, and once more as its handler will read it.

    Raises:
        InvalidField: It does not fit, or has no form in JSON.
    """
    try:
        if adapter is None:
            found: Json = to_jsonable_python(payload, by_alias=True)
            return found
        adapter.rebuild(raise_errors=True)
        text = adapter.dump_json(adapter.validate_python(payload), by_alias=True, warnings="error")
        # A model that was built unchecked, or writes itself in a form that it does not read.
        adapter.validate_json(text)
        return parse(text)
    except ValidationError as error:
        raise InvalidField(_faults(error)) from None
    except (PydanticSerializationError, PydanticUserError, NameError) as error:
        # Its class only: its words may quote the payload.
        raise InvalidField([("payload", f"{_SERIALIZE}: {type(error).__name__}")]) from None
    except (ValueError, RecursionError) as error:
        raise InvalidField([("payload", f"{_SERIALIZE}: {error}")]) from None


def _faults(error: ValidationError) -> list[tuple[str, str]]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [(".".join(["payload", *map(str, each["loc"])]), each["msg"]) for each in found]


def fields(prepared: Prepared) -> dict[str, Json]:
    """The members of a submission as the API takes them."""
    asked = prepared.submission
    document: dict[str, Json] = {"type": asked.type, "payload": asked.payload}
    if prepared.delay_seconds:
        document["delay_seconds"] = prepared.delay_seconds
    if prepared.not_before is not None:
        document["not_before"] = prepared.not_before.astimezone(UTC).isoformat()
    if asked.tenant:
        document["tenant"] = asked.tenant
    if asked.queue:
        document["queue"] = asked.queue
    return document
