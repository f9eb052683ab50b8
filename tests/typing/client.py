"""The client as users write it: only mypy reads this, nothing runs it; see `api`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_type

from pydantic import BaseModel

from ftq import Context, FtqError, Registry
from ftq.client import (
    Accepted,
    AsyncClient,
    AsyncSubmitter,
    Cancelled,
    Client,
    NewTask,
    Redriven,
    SigV4,
    Stats,
    Submitter,
    Task,
)

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


def submits(client: Client) -> None:
    """What a checker must accept."""
    assert_type(client.submit(send, Email(to="a")), Accepted)
    assert_type(client.submit(draw, Point(1), key="k", tenant=None), Accepted)
    client.submit("any.type", {"to": "a"}, delay_seconds=1.5, correlation_id="c")
    client.submit("any.type", Email(to="a"), not_before=datetime.now(UTC))
    assert_type(client.bind(send), Submitter[Email])
    assert_type(client.bind(draw).submit(Point(1), key="k"), Accepted)
    assert_type(client.bind(draw).submit_many([Point(1)], tenant="a"), list[Accepted | FtqError])
    many = [NewTask(send, Email(to="a"), key="k"), NewTask(draw, Point(1)), NewTask("t", 1)]
    assert_type(client.submit_many(many), list[Accepted | FtqError])


def refuses(client: Client) -> None:
    """What a checker must refuse."""
    client.submit(send, Point(1))  # type: ignore[arg-type]  # another handler's payload
    client.submit(draw, Email(to="a"))  # type: ignore[arg-type]  # and the other way round
    client.submit(send, Email(to="a"), delay=1)  # type: ignore[call-overload]  # no such option
    client.submit("t", 1, not_before=3)  # type: ignore[call-overload]  # three is no moment
    client.submit("t")  # type: ignore[call-overload]  # a task has a payload
    client.submit(7, 1)  # type: ignore[call-overload]  # seven is no type
    client.bind(send).submit(Point(1))  # type: ignore[arg-type]  # another handler's payload
    client.bind("t")  # type: ignore[call-overload]  # a name binds no payload
    NewTask(send, Point(1))  # type: ignore[arg-type]  # another handler's payload


def asks(client: Client) -> None:
    """What comes back."""
    assert_type(client.get("a"), Task)
    assert_type(client.wait("a", timeout=3, raise_on_failure=True), Task)
    assert_type(client.list(state="dead"), Iterator[Task])
    assert_type(client.cancel("a"), Cancelled)
    assert_type(client.redrive("a", claim_no=3), Redriven)
    assert_type(client.redrive_all(type="a", progress=print), Redriven)
    assert_type(client.stats(), Stats)


async def on_a_loop() -> None:
    """The same, awaited."""

    async def token() -> str:
        return "t"

    async with AsyncClient("https://api.test", registry=registry, auth=token) as client:
        assert_type(await client.submit(send, Email(to="a")), Accepted)
        assert_type(client.bind(send), AsyncSubmitter[Email])
        assert_type(await client.bind(draw).submit(Point(1)), Accepted)
        assert_type(client.list(), AsyncIterator[Task])
        assert_type(await client.wait("a"), Task)
        await client.submit(send, Point(1))  # type: ignore[arg-type]  # another handler's payload
        client.wait("a")  # type: ignore[unused-coroutine]  # nobody waits for it


def says_who(region: str) -> None:
    """Who asks."""
    Client("https://api.test", auth=SigV4(region=region))
    Client("https://api.test", auth=lambda: "token")
    Client("https://api.test", auth="token")  # type: ignore[arg-type]  # tokens expire
