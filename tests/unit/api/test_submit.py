"""POST /tasks when all goes well, and again with the same key (PROTOCOL R7, R8, R11)."""

from __future__ import annotations

from ftq.codec import Envelope, decode
from ftq.errors import CallRefused
from ftq.lifecycle import State
from ftq.ports import Call
from ftq.settlement import Complete
from ftq.task import Entry, payload_key
from ftq.text import Json
from ftq.wire.statements import Statements
from tests.unit.api.door import GRACE, NOW, RETENTION, TABLE, Door

LARGE = "é" * 3000


def test_an_accepted_task_is_answered_with_what_it_is(door: Door) -> None:
    got = door.post({"type": "email.send", "payload": {"to": "a"}}, key="k", x_correlation_id="c")
    assert got.status == 202
    assert got.doc == {
        "id": got.id,
        "type": "email.send",
        "state": "queued",
        "created_at": "2027-01-15T08:00:00.000Z",
        "correlation_id": "c",
    }
    assert got.headers["location"] == f"/tasks/{got.id}"
    assert got.headers["content-type"] == "application/json"


def test_a_task_is_stored_before_it_is_sent(door: Door) -> None:
    door.post({"type": "a", "payload": 1})
    assert door.port.operations == ["PutItem", "SendMessage"]


def test_the_record_is_free_at_once(door: Door) -> None:
    task = door.record(door.post({"type": "a", "payload": [1]}, key="k").id)
    assert task is not None
    assert (task.state, task.free_at, task.due_at) == (State.QUEUED, 0, NOW + GRACE)
    assert (task.payload, task.queue) == ("[1]", door.queue_url)


def test_the_message_carries_the_task_and_the_mark_of_a_stored_one(door: Door) -> None:
    task_id = door.post({"type": "a", "payload": {"x": "ü"}, "tenant": "acme"}).id
    (message,) = door.messages()
    envelope = decode(message.body)
    assert isinstance(envelope, Envelope)
    assert (envelope.id, envelope.type, envelope.payload) == (task_id, "a", '{"x":"ü"}')
    assert message.stored
    assert message.claim_no is None


def test_the_tenant_is_the_message_group(door: Door) -> None:
    door.post({"type": "a", "payload": 1, "tenant": "acme"})
    door.post({"type": "a", "payload": 1})
    assert sorted(message.group for message in door.messages()) == ["", "acme"]


def test_a_payload_may_be_null(door: Door) -> None:
    assert door.post({"type": "a", "payload": None}).status == 202


def test_without_a_key_each_request_is_a_task_of_its_own(door: Door) -> None:
    first, second = (door.post({"type": "a", "payload": 1}) for _ in range(2))
    assert first.id != second.id


def test_keys_of_different_tenants_never_meet(door: Door) -> None:
    first = door.post({"type": "a", "payload": 1, "tenant": "one"}, key="k")
    second = door.post({"type": "a", "payload": 2, "tenant": "two"}, key="k")
    assert (first.status, second.status) == (202, 202)
    assert first.id != second.id


# --- traces -----------------------------------------------------------------------------------

ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793"


def test_the_invocations_trace_travels_with_the_message_and_stays_with_the_record(
    door: Door,
) -> None:
    kept = f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=1"
    door.trace = f"{kept};Lineage=25:1a2b|1:3c4d:1"
    got = door.post({"type": "a", "payload": 1}, x_amzn_trace_id="Root=1-00000000-" + "0" * 24)
    (message,) = door.messages()
    assert message.trace == kept
    task = door.record(got.id)
    assert task is not None
    assert task.trace == kept


def test_without_one_the_requests_trace_does(door: Door) -> None:
    door.post({"type": "a", "payload": 1}, x_amzn_trace_id=f"Self=1-2-3;{ROOT}")
    (message,) = door.messages()
    assert message.trace == ROOT


def test_a_malformed_trace_is_left_behind(door: Door) -> None:
    for trace in ("Root=1-x", f"{ROOT};Sampled=\r\nx", f"{ROOT};Bad", "x" * 9999):
        assert door.post({"type": "a", "payload": 1}, x_amzn_trace_id=trace).status == 202
    assert {message.trace for message in door.messages()} == {""}


# --- later ------------------------------------------------------------------------------------


def test_a_short_delay_is_held_by_the_queue(door: Door) -> None:
    got = door.post({"type": "a", "payload": 1, "delay_seconds": 0.5})
    task = door.record(got.id)
    assert task is not None
    assert (got.doc["state"], task.free_at) == ("queued", NOW + 500)
    assert door.port.calls[-1].request["DelaySeconds"] == 1


def test_a_delay_is_never_cut_short(door: Door) -> None:
    task = door.record(door.post({"type": "a", "payload": 1, "delay_seconds": 0.0001}).id)
    assert task is not None
    assert task.free_at == NOW + 1


def test_a_long_delay_is_held_by_the_table(door: Door) -> None:
    got = door.post({"type": "a", "payload": 1, "delay_seconds": 901})
    task = door.record(got.id)
    assert task is not None
    assert (got.doc["state"], task.due_at) == ("scheduled", NOW + 901_000)
    assert door.port.operations == ["PutItem"]


def test_not_before_is_a_moment_in_any_zone(door: Door) -> None:
    for text in ("2027-01-15T08:00:01.0001Z", "2027-01-15T09:00:01.0001+01:00"):
        task = door.record(door.post({"type": "a", "payload": 1, "not_before": text}).id)
        assert task is not None
        assert task.free_at == NOW + 1001


def test_a_moment_that_has_passed_is_now(door: Door) -> None:
    got = door.post({"type": "a", "payload": 1, "not_before": "1969-01-01T00:00:00Z"})
    task = door.record(got.id)
    assert task is not None
    assert task.free_at == 0


# --- again with the same key ------------------------------------------------------------------


def test_a_repeat_is_answered_as_the_first_request_was(door: Door) -> None:
    first = door.post({"type": "a", "payload": {"x": 1, "y": 2}}, key="k", x_correlation_id="c1")
    door.clock.now += 5000
    second = door.post({"type": "a", "payload": {"y": 2, "x": 1}}, key="k", x_correlation_id="c2")
    assert (second.status, second.doc) == (202, first.doc)
    assert second.headers["x-correlation-id"] == "c2"


def test_a_repeat_sends_again_while_nobody_claimed_the_task(door: Door) -> None:
    for _ in range(2):
        door.post({"type": "a", "payload": 1}, key="k")
    first, second = door.messages()
    assert first.body == second.body


def test_a_repeat_does_not_send_what_is_running(door: Door) -> None:
    task_id = door.post({"type": "a", "payload": 1}, key="k").id
    door.claim(task_id)
    repeat = door.post({"type": "a", "payload": 1}, key="k")
    assert (repeat.status, repeat.doc["state"]) == (202, "queued")
    assert len(door.messages()) == 1


def test_a_repeat_does_not_send_what_is_over(door: Door) -> None:
    task = door.claim(door.post({"type": "a", "payload": 1}, key="k").id)
    entry = Entry(1, "a-daemon", door.clock.now, "succeeded")
    door.write(
        Statements(TABLE).settle(task, Complete("1"), entry, grace=GRACE, retention=RETENTION)
    )
    assert door.post({"type": "a", "payload": 1}, key="k").status == 202
    assert len(door.messages()) == 1


def test_a_repeat_sends_with_the_delay_that_is_left(door: Door) -> None:
    for _ in range(2):
        door.post({"type": "a", "payload": 1, "delay_seconds": 600}, key="k")
        door.clock.now += 100_000
    delays = [
        call.request["DelaySeconds"] for call in door.port.calls if call.operation == "SendMessage"
    ]
    assert delays == [600, 500]


def test_a_repeat_leaves_what_is_scheduled_to_the_sweeper(door: Door) -> None:
    for _ in range(2):
        got = door.post({"type": "a", "payload": 1, "delay_seconds": 3600}, key="k")
        assert got.doc["state"] == "scheduled"
    assert "SendMessage" not in door.port.operations


def test_a_key_stands_for_one_payload_and_one_type(door: Door) -> None:
    first = door.post({"type": "a", "payload": "secret"}, key="k")
    before = door.record(first.id)
    others: list[Json] = [{"type": "a", "payload": 2}, {"type": "b", "payload": "secret"}]
    for other in others:
        got = door.post(other, key="k")
        assert (got.status, got.doc["id"]) == (409, first.id)
        assert "secret" not in got.body
    assert door.record(first.id) == before
    assert len(door.messages()) == 1


def test_a_refusal_that_brings_no_record_is_followed_by_a_read(door: Door) -> None:
    first = door.post({"type": "a", "payload": 1}, key="k")

    def bare(call: Call) -> None:
        call.request.pop("ReturnValuesOnConditionCheckFailure", None)

    door.port.before = bare
    assert door.post({"type": "a", "payload": 1}, key="k").doc == first.doc
    assert door.port.operations[-3:] == ["PutItem", "GetItem", "SendMessage"]


# --- large payloads ---------------------------------------------------------------------------


def _beside_key(door: Door, task_id: str) -> str:
    task = door.record(task_id)
    assert task is not None
    assert task.payload is None
    return payload_key(task_id, task.fingerprint)


def test_a_large_payload_is_stored_beside_the_record_and_before_it(door: Door) -> None:
    task_id = door.post({"type": "a", "payload": LARGE}).id
    key = _beside_key(door, task_id)
    beside = door.beside(key)
    assert beside is not None
    assert beside.payload == f'"{LARGE}"'
    assert beside.expires_at == (NOW + 2 * RETENTION) // 1000
    assert door.port.operations == ["PutItem", "PutItem", "SendMessage"]
    assert door.port.calls[0].request["Item"] == {
        "id": {"S": key},
        "payload": {"S": f'"{LARGE}"'},
        "expires_at": {"N": str(beside.expires_at)},
    }


def test_a_payload_beside_the_record_is_kept_from_its_start_on(door: Door) -> None:
    got = door.post({"type": "a", "payload": LARGE, "delay_seconds": 86_400})
    beside = door.beside(_beside_key(door, got.id))
    assert beside is not None
    assert beside.expires_at == (NOW + 86_400_000 + 2 * RETENTION) // 1000


def test_a_repeat_renews_a_large_payload_that_would_go_sooner(door: Door) -> None:
    got = door.post({"type": "a", "payload": LARGE}, key="k")
    door.clock.now += 86_400_000
    assert door.post({"type": "a", "payload": LARGE}, key="k").doc == got.doc
    beside = door.beside(_beside_key(door, got.id))
    assert beside is not None
    assert beside.expires_at == (NOW + 86_400_000 + 2 * RETENTION) // 1000


def test_a_repeat_leaves_a_large_payload_that_stays_longer(door: Door) -> None:
    door.post({"type": "a", "payload": LARGE, "delay_seconds": 800}, key="k")
    door.post({"type": "a", "payload": LARGE}, key="k")
    assert "BatchExecuteStatement" not in door.port.operations


def test_a_large_payload_that_went_under_the_renewal_is_put_again(door: Door) -> None:
    old = {"payload": {"S": "1"}, "expires_at": {"N": "1"}}
    faults = [CallRefused("PutItem", "ConditionalCheckFailedException", "", old)]

    def gone(call: Call) -> None:
        if faults:
            raise faults.pop()

    door.port.before = gone
    got = door.post({"type": "a", "payload": LARGE})
    assert got.status == 202
    assert door.beside(_beside_key(door, got.id)) is not None
    assert door.port.operations[:2] == ["PutItem", "BatchExecuteStatement"]


def test_equal_payloads_of_two_tasks_lie_apart(door: Door) -> None:
    first, second = (door.post({"type": "a", "payload": LARGE}, key=key).id for key in "ab")
    assert _beside_key(door, first) != _beside_key(door, second)
