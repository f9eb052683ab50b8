"""The testing kit as users write it: only mypy reads this, nothing runs it; see `api`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

from pydantic import BaseModel

from ftq import Context, Registry
from ftq.testing import Harness, Run, assert_idempotent, run
from ftq.text import Json

registry = Registry()


class Email(BaseModel):
    """A payload as a model."""

    to: str


@dataclass
class Point:
    """A payload as a dataclass."""

    x: int


@registry.handler("email.send")
async def send(email: Email, context: Context) -> dict[str, int]:
    """A handler with the context."""
    return {}


@registry.handler("point.draw")
def draw(point: Point) -> None:
    """A handler without."""


def tries() -> None:
    """What a checker must accept."""
    ran = run(send, Email(to="a"), claim_no=3, tenant="acme")
    assert_type(ran, Run)
    assert_type(ran.result, Json)
    assert_type(ran.retry_after, float | None)
    run(draw, Point(1), registry=registry)
    # By its type anything goes, a payload that is wrong on purpose included.
    run("email.send", {"to": 7}, registry=registry)
    for handler in registry:
        run(handler, {"to": "a"})
    with Harness(registry, concurrency=4) as harness:
        assert_type(harness.submit(send, Email(to="a"), delay_seconds=5), str)
        harness.submit(draw, Point(1), key="k")
        harness.submit("email.send", {"to": 7})
        harness.drain(within=60)
    seen = list[str]()
    assert_idempotent(send, Email(to="a"), effects=lambda: seen, reset=seen.clear)
    assert_idempotent("t", 1, registry=registry, effects=lambda: seen, reset=seen.clear)


def refuses(harness: Harness) -> None:
    """What a checker must refuse."""
    run(send, Point(1))  # type: ignore[arg-type]  # another handler's payload
    run(send, Email(to="a"), tennant="acme")  # type: ignore[call-overload]  # no such field
    run(send, Email(to="a"), attempt="1")  # type: ignore[call-overload]  # a text is no number
    run(7)  # type: ignore[call-overload]  # seven is no handler
    harness.submit(draw, Email(to="a"))  # type: ignore[arg-type]  # another handler's payload
    harness.submit(draw, Point(1), delay=1)  # type: ignore[call-overload]  # no such option
    harness.redrive(send)  # type: ignore[arg-type]  # a task's id
    assert_idempotent(draw, Point(1))  # type: ignore[call-overload]  # nothing to compare
