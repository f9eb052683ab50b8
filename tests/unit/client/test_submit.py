"""Submitting through the client to the real API: checked first, safe to repeat, told in full."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from pydantic import BaseModel, Field

from ftq import Context, Registry, RegistryError
from ftq.client import (
    Accepted,
    InvalidField,
    KeyConflict,
    KeyTaken,
    NewTask,
    Options,
    PayloadTooLarge,
    Refused,
    SubmissionError,
    Unreachable,
)
from ftq.errors import Throttled
from ftq.limits import DELAY_SECONDS, PAYLOAD_BYTES
from ftq.ports import Call
from ftq.text import Json, dump, parse
from tests.unit.api.door import NOW, Door, dig
from tests.unit.client.bridge import Bridge, Fault, refused, reply_lost, says

registry = Registry()


class Email(BaseModel):
    to: str
    sender: str = Field("us", alias="from")
    on: date = date(2026, 11, 24)


@dataclass
class Point:
    x: int
    y: int = 2


@registry.handler("email.send")
async def send(email: Email, context: Context) -> None:
    """A handler with a model."""


@registry.handler("point.draw")
def draw(point: Point) -> None:
    """A handler with a dataclass."""


class Twisted(BaseModel):
    n: int = Field(validation_alias="given", serialization_alias="written")


@registry.handler("twisted")
def untwist(payload: Twisted) -> None:
    """A handler whose model does not read what it writes."""


@registry.handler("one")
@registry.handler("two")
def twice(n: int) -> None:
    """A handler of two types."""


def stranger(n: int) -> None:
    """No handler at all."""


def payload(door: Door, task_id: str) -> Json:
    return door.get(task_id).doc["payload"]


def test_a_submitted_task_is_accepted_as_the_api_says(bridge: Bridge, door: Door) -> None:
    accepted = bridge.client().submit("a.b", {"n": 1}, key="k", correlation_id="c-1")
    assert (accepted.type, accepted.state, accepted.correlation_id) == ("a.b", "queued", "c-1")
    assert accepted.created_at == datetime.fromtimestamp(NOW / 1000, UTC)
    assert payload(door, accepted.id) == {"n": 1}
    assert accepted.document["id"] == accepted.id


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"n": [1, "ü", None]}, {"n": [1, "ü", None]}),
        (7, 7),
        (None, None),
        (Email(to="a"), {"to": "a", "from": "us", "on": "2026-11-24"}),
        (Point(1), {"x": 1, "y": 2}),
        ([Point(1)], [{"x": 1, "y": 2}]),
        ((1, 2), [1, 2]),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"),
    ],
)
def test_a_payload_may_be_all_that_pydantic_writes_as_json(
    bridge: Bridge, door: Door, given: object, stored: Json
) -> None:
    assert payload(door, bridge.client().submit("a", given).id) == stored


def test_a_handler_stands_for_its_type(bridge: Bridge, door: Door) -> None:
    client = bridge.client(registry)
    sent = client.submit(send, Email.model_validate({"to": "a", "from": "b"}))
    assert (sent.type, payload(door, sent.id)) == (
        "email.send",
        {"to": "a", "from": "b", "on": "2026-11-24"},
    )
    drawn = client.bind(draw).submit(Point(3), tenant="acme")
    assert (drawn.type, door.get(drawn.id).doc["tenant"]) == ("point.draw", "acme")
    mistaken = Point("?")  # type: ignore[arg-type]  # that is the mistake
    one, wrong, two = client.bind(draw).submit_many([Point(1), mistaken, Point(2)], tenant="acme")
    assert isinstance(wrong, InvalidField)
    for accepted, x in ((one, 1), (two, 2)):
        assert isinstance(accepted, Accepted)
        stored = door.get(accepted.id).doc
        assert (stored["type"], stored["tenant"], dig(stored, "payload", "x")) == (
            "point.draw",
            "acme",
            x,
        )


def test_a_payload_is_held_against_its_handler_before_it_is_sent(bridge: Bridge) -> None:
    client = bridge.client(registry)
    for what, wrong in (
        ("email.send", {"from": "b"}),
        ("point.draw", {"x": "one"}),
        ("email.send", Email(to="a").model_copy(update={"to": 7})),
        ("twisted", Twisted.model_validate({"given": 1})),
    ):
        with pytest.raises(InvalidField) as caught:
            client.submit(what, wrong)
        assert caught.value.errors[0][0].startswith("payload")
    assert bridge.seen == []


def test_a_type_that_the_registry_does_not_know_is_another_services(bridge: Bridge) -> None:
    assert bridge.client(registry).submit("not.here", 1).type == "not.here"


def test_a_function_that_names_no_one_type_is_an_error(bridge: Bridge) -> None:
    with pytest.raises(RegistryError, match="stranger is no handler"):
        bridge.client(registry).submit(stranger, 1)
    with pytest.raises(RegistryError, match=r"several types, name one of them: two, one"):
        bridge.client(registry).submit(twice, 1)
    with pytest.raises(RegistryError, match="give the client the registry"):
        bridge.client().submit(stranger, 1)


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("idempotency_key", {"key": "with space"}),
        ("idempotency_key", {"key": ""}),
        ("tenant", {"tenant": "#"}),
        ("tenant", {"tenant": ""}),
        ("correlation_id", {"correlation_id": "ü"}),
        ("delay_seconds", {"delay_seconds": -1}),
        ("delay_seconds", {"delay_seconds": float("nan")}),
        ("delay_seconds", {"delay_seconds": DELAY_SECONDS + 1}),
        ("not_before", {"not_before": datetime(2027, 1, 1)}),  # noqa: DTZ001  # that is the fault
        ("not_before", {"not_before": datetime(2100, 1, 1, tzinfo=UTC)}),
        ("not_before", {"not_before": datetime(2027, 1, 16, tzinfo=UTC), "delay_seconds": 1}),
    ],
)
def test_what_the_api_would_refuse_is_not_sent(
    bridge: Bridge, field: str, options: Options
) -> None:
    with pytest.raises(InvalidField) as caught:
        bridge.client().submit("a", 1, **options)
    assert [name for name, _ in caught.value.errors] == [field]
    assert bridge.seen == []


@pytest.mark.parametrize(
    "wrong",
    [float("nan"), object(), {1: {2, "\ud800"}}, "\ud800"],
    ids=["nan", "object", "set", "text"],
)
def test_a_payload_that_is_no_json_is_not_sent(bridge: Bridge, wrong: object) -> None:
    with pytest.raises(InvalidField) as caught:
        bridge.client().submit("a", wrong)
    assert caught.value.errors[0][0] == "payload"
    assert bridge.seen == []


def test_the_limit_of_payloads_is_the_apis(bridge: Bridge) -> None:
    bridge.client().submit("a", "x" * (PAYLOAD_BYTES - 2))
    with pytest.raises(PayloadTooLarge) as caught:
        bridge.client().submit("a", "x" * (PAYLOAD_BYTES - 1))
    assert (caught.value.size, len(bridge.seen)) == (PAYLOAD_BYTES + 1, 1)


def test_delays_and_moments_reach_the_record(bridge: Bridge, door: Door) -> None:
    client, moment = bridge.client(), datetime.fromtimestamp(NOW / 1000 + 7_200, UTC)
    assert client.submit("a", 1, delay_seconds=7_200).state == "scheduled"
    # In whatever zone it was said.
    zoned = moment.astimezone(None) + timedelta(0)
    task = client.get(client.submit("a", 2, not_before=zoned).id)
    assert task.free_at == moment


def test_a_queue_is_named_and_the_api_says_if_it_knows_none_of_that_name(bridge: Bridge) -> None:
    with pytest.raises(Refused) as caught:
        bridge.client().submit("a", 1, queue="bulk")
    assert [field for field, _ in caught.value.errors] == ["queue"]
    [result] = bridge.client().submit_many([NewTask("a", 1, queue="bulk")])
    assert isinstance(result, Refused)


# --- faults -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "faults",
    [
        [refused],
        [reply_lost],
        [says(429), says(502, "<html>"), says(503), says(504)],
        [reply_lost, says(503, retry_after="2")],
    ],
    ids=["refused", "lost", "gateway", "both"],
)
def test_a_submission_is_repeated_with_its_key_and_stands_for_one_task(
    bridge: Bridge, door: Door, faults: list[Fault]
) -> None:
    bridge.faults = deque(faults)
    accepted = bridge.client().submit("a", {"n": 1})
    assert len(bridge.seen) == len(faults) + 1
    assert set(bridge.sent_keys()) == {"key-1"}
    assert len(bridge.pauses) == len(faults)
    assert door.record(accepted.id) is not None
    assert len(door.messages()) >= 1


def test_what_is_not_known_to_be_stored_is_repeated_when_the_api_says(
    bridge: Bridge, door: Door
) -> None:
    down = 2

    def table_down(call: Call) -> None:
        nonlocal down
        if call.operation == "PutItem" and down:
            down -= 1
            raise Throttled("PutItem", "ThrottlingException", "later")

    door.port.before = table_down
    accepted = bridge.client().submit("a", 1, key="mine")
    assert bridge.sent_keys() == ["mine"] * 3
    # Retry-After 2, and the jitter of half a quarter and of half a half.
    assert bridge.pauses == [2.125, 2.25]
    assert door.record(accepted.id) is not None


def test_the_key_that_a_503_carries_is_the_one_to_repeat_with(bridge: Bridge) -> None:
    bridge.faults = deque([says(503, '{"idempotency_key": "theirs"}')])
    bridge.client().submit("a", 1)
    assert bridge.sent_keys() == ["key-1", "theirs"]


def test_an_api_that_stays_away_is_unreachable_and_the_key_is_told(bridge: Bridge) -> None:
    bridge.faults = deque([says(503, '{"title": "Not now"}')] * 6)
    with pytest.raises(Unreachable, match=r"^503 Not now$") as caught:
        bridge.client().submit("a", {"secret": "s3cret"}, key="mine")
    assert (caught.value.status, caught.value.idempotency_key) == (503, "mine")
    assert len(bridge.seen) == 6
    assert bridge.pauses == [0.125, 0.25, 0.5, 1.0, 2.0]


@pytest.mark.parametrize("fault", [says(200, "<html>"), says(200, "{}"), says(302, "")])
def test_whoever_answers_something_else_is_not_the_api(bridge: Bridge, fault: Fault) -> None:
    bridge.faults = deque([fault])
    with pytest.raises(Unreachable, match="not ftq's API"):
        bridge.client().submit("a", 1)


def test_a_key_of_another_payload_is_told_apart(bridge: Bridge) -> None:
    client = bridge.client()
    client.submit("a", 1, key="k")
    with pytest.raises(KeyTaken) as caught:
        client.submit("a", {"secret": "s3cret"}, key="k")
    assert isinstance(caught.value, KeyConflict)
    assert (caught.value.status, caught.value.kind) == (409, "key-conflict")
    assert "s3cret" not in str(caught.value)


def test_what_only_the_api_knows_to_be_wrong_is_the_same_error() -> None:
    bridge = Bridge(Door(registry=registry))
    with pytest.raises(InvalidField) as caught:
        bridge.client().submit("email.send", {"from": "s3cret"})
    assert isinstance(caught.value, Refused)
    assert isinstance(caught.value, SubmissionError)
    assert [field for field, _ in caught.value.errors] == ["payload.to"]
    assert "payload.to" in str(caught.value)
    assert "s3cret" not in str(caught.value)


# --- many ---------------------------------------------------------------------------------------


def test_many_are_submitted_a_hundred_at_a_time_and_answered_in_order(
    bridge: Bridge, door: Door
) -> None:
    results = bridge.client().submit_many(NewTask("a", n) for n in range(250))
    assert bridge.paths == ["POST /tasks/batch"] * 3
    ids = [each.id for each in results if not isinstance(each, Exception)]
    assert [payload(door, each) for each in ids] == list(range(250))


@pytest.mark.parametrize("payload", ['"' * (PAYLOAD_BYTES // 2 - 10), "x" * (PAYLOAD_BYTES - 2)])
def test_large_ones_are_spread_over_requests_that_lambda_takes(
    bridge: Bridge, payload: str
) -> None:
    results = bridge.client().submit_many(NewTask("a", payload) for _ in range(20))
    assert not any(isinstance(each, Exception) for each in results)
    # Lambda gets the body as a JSON string.
    sizes = [len(dump(request.content.decode())) for request in bridge.seen]
    assert len(sizes) > 1
    assert max(sizes) <= 4 * 1024 * 1024


def test_one_that_is_wrong_spoils_no_other(bridge: Bridge) -> None:
    client = bridge.client(registry)
    client.submit("a", 1, key="taken")
    results = client.submit_many(
        [
            NewTask(send, Email(to="a")),
            NewTask("email.send", {}),
            NewTask("a", 2, key="taken"),
            NewTask("a", "x" * PAYLOAD_BYTES),
            NewTask("a", 1, key="free"),
        ]
    )
    kinds = [type(each).__name__ for each in results]
    assert kinds == ["Accepted", "InvalidField", "KeyTaken", "PayloadTooLarge", "Accepted"]


def test_those_of_many_that_were_not_stored_are_sent_again_alone(
    bridge: Bridge, door: Door
) -> None:
    puts = 0

    def first_puts_fail(call: Call) -> None:
        nonlocal puts
        if call.operation == "PutItem":
            puts += 1
            if puts <= 2:
                raise Throttled("PutItem", "ThrottlingException", "later")

    door.port.before = first_puts_fail
    # Each by itself, for their payloads stand beside them.
    results = bridge.client().submit_many(NewTask("a", f"{n}" * 2_000) for n in range(3))
    assert [type(each).__name__ for each in results] == ["Accepted"] * 3
    sent = [len(dig_tasks(request)) for request in bridge.seen]
    assert sent == [3, 2]


def dig_tasks(request: httpx.Request) -> list[Json]:
    tasks = dig(parse(request.content), "tasks")
    assert isinstance(tasks, list)
    return tasks


def test_an_api_that_is_gone_fails_what_is_left_at_once_with_keys(bridge: Bridge) -> None:
    bridge.faults = deque([None, *[refused] * 6])
    results = bridge.client().submit_many(NewTask("a", n, key=f"k{n}") for n in range(300))
    assert [type(each).__name__ for each in results] == ["Accepted"] * 100 + ["Unreachable"] * 200
    keys = [each.idempotency_key for each in results if isinstance(each, Unreachable)]
    assert keys == [f"k{n}" for n in range(100, 300)]
    assert len(bridge.seen) == 7


def test_tasks_of_one_correlation_id_share_a_request(bridge: Bridge) -> None:
    given = ["a", "a", "b", None, None]
    results = bridge.client().submit_many(NewTask("a", 1, correlation_id=each) for each in given)
    found = [each.correlation_id for each in results if not isinstance(each, Exception)]
    assert found[:3] == ["a", "a", "b"]
    assert len(bridge.seen) == 3


def test_nothing_is_sent_for_no_tasks(bridge: Bridge) -> None:
    assert bridge.client().submit_many([]) == []
    assert bridge.seen == []


def test_an_option_that_is_none_is_refused_and_not_ignored(bridge: Bridge, door: Door) -> None:
    with bridge.client() as client, pytest.raises(TypeError, match=r"delay$"):
        client.submit("a", {}, delay=3600)  # type: ignore[call-overload]  # as it is misspelt
    assert bridge.seen == []
