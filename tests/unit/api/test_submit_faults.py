"""POST /tasks when AWS does not answer: accepted means stored, and only that (PROTOCOL R8)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ftq.errors import CallError, CallRefused, Throttled, Unavailable
from ftq.ports import Call
from ftq.testing import Fault, FaultySyncPort, script
from ftq.text import Json
from tests.unit.api.door import GRACE, NOW, Door

SMALL: Json = {"type": "a", "payload": "secret"}
LARGE: Json = {"type": "a", "payload": "x" * 2000}
THROTTLED, UNAVAILABLE, LOST = Fault("throttled"), Fault("unavailable"), Fault("lost")
ERRORS = [
    Throttled("PutItem", "ThrottlingException", "slow down"),
    Unavailable("PutItem", "ReadTimeoutError", "no answer"),
    CallRefused("PutItem", "ValidationException", "the item is secret"),
    CallRefused("PutItem", "AccessDeniedException", "arn:aws:iam::123456789012:role/x"),
]


def _fail(door: Door, **faults: Sequence[Fault | None]) -> None:
    """Have the calls of these operations meet these faults, in order."""
    door.behind(FaultySyncPort(door.port, script(faults)))


def _refuse(door: Door, operation: str, error: CallError) -> None:
    def refuse(call: Call) -> None:
        if call.operation == operation:
            raise error

    door.port.before = refuse


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error.code))
def test_a_task_not_known_to_be_stored_is_a_503_with_its_key(door: Door, error: CallError) -> None:
    _refuse(door, "PutItem", error)
    got = door.post(SMALL, key="my-key")
    assert (got.status, got.doc["idempotency_key"]) == (503, "my-key")
    assert got.headers["retry-after"] == "2"
    assert "SendMessage" not in door.port.operations
    assert "secret" not in got.body
    assert "arn:" not in got.body


def test_a_key_made_for_the_client_is_told_with_the_503(door: Door) -> None:
    _fail(door, PutItem=[UNAVAILABLE])
    key = str(door.post(SMALL).doc["idempotency_key"])
    assert door.post(SMALL, key=key).status == 202


@pytest.mark.parametrize("document", [SMALL, LARGE], ids=["small", "large"])
def test_a_store_whose_reply_was_lost_is_found_by_the_repeat(door: Door, document: Json) -> None:
    lost = [None, LOST] if document is LARGE else [LOST]
    _fail(door, PutItem=lost)
    first = door.post(document, x_correlation_id="c1")
    assert first.status == 503
    assert door.messages() == []

    door.clock.now += 1000
    again = door.post(document, key=str(first.doc["idempotency_key"]), x_correlation_id="c2")
    assert again.status == 202
    assert again.doc["correlation_id"] == "c1"
    assert again.doc["created_at"] == "2027-01-15T08:00:00.000Z"
    assert len(door.messages()) == 1
    assert door.get(again.id).status == 200


@pytest.mark.parametrize("fault", [THROTTLED, UNAVAILABLE, LOST])
def test_a_large_payload_not_known_to_be_stored_stores_no_record(door: Door, fault: Fault) -> None:
    _fail(door, PutItem=[fault])
    first = door.post(LARGE)
    assert first.status == 503
    assert len([call for call in door.port.calls if call.operation == "PutItem"]) <= 1

    again = door.post(LARGE, key=str(first.doc["idempotency_key"]))
    assert again.status == 202
    payload = door.get(again.id).doc["payload"]
    assert payload == "x" * 2000


@pytest.mark.parametrize("fault", [THROTTLED, UNAVAILABLE, Fault(failing=frozenset({0}))])
def test_a_large_payload_that_cannot_be_renewed_is_not_relied_on(door: Door, fault: Fault) -> None:
    door.post(LARGE, key="k")
    door.clock.now += 86_400_000
    _fail(door, BatchExecuteStatement=[fault])
    assert door.post(LARGE, key="k").status == 503
    assert door.post(LARGE, key="k").status == 202


@pytest.mark.parametrize("fault", [THROTTLED, UNAVAILABLE, LOST])
def test_a_send_that_failed_is_the_sweepers(door: Door, fault: Fault) -> None:
    _fail(door, SendMessage=[fault])
    got = door.post(SMALL)
    task = door.record(got.id)
    assert got.status == 202
    assert task is not None
    assert task.due_at == NOW


def test_a_send_that_was_refused_is_the_sweepers(door: Door) -> None:
    _refuse(door, "SendMessage", CallRefused("SendMessage", "QueueDoesNotExist", "none"))
    got = door.post(SMALL)
    task = door.record(got.id)
    assert got.status == 202
    assert task is not None
    assert task.due_at == NOW


def test_a_delayed_task_is_not_looked_at_before_its_time(door: Door) -> None:
    _fail(door, SendMessage=[UNAVAILABLE])
    task = door.record(door.post({"type": "a", "payload": 1, "delay_seconds": 60}).id)
    assert task is not None
    assert task.due_at == task.free_at == NOW + 60_000


def test_a_repeat_whose_send_failed_is_the_sweepers_too(door: Door) -> None:
    task_id = door.post(SMALL, key="k").id
    door.clock.now += 5000
    _fail(door, SendMessage=[UNAVAILABLE])
    assert door.post(SMALL, key="k").status == 202
    task = door.record(task_id)
    assert task is not None
    assert task.due_at == NOW + 5000


@pytest.mark.parametrize("fault", [THROTTLED, UNAVAILABLE, LOST])
def test_stored_is_accepted_whatever_fails_afterwards(door: Door, fault: Fault) -> None:
    _fail(door, SendMessage=[fault], BatchExecuteStatement=[fault])
    assert door.post(SMALL).status == 202


def test_the_sweeper_is_hurried_once(door: Door) -> None:
    _fail(door, SendMessage=[UNAVAILABLE], BatchExecuteStatement=[UNAVAILABLE])
    task = door.record(door.post(SMALL).id)
    assert task is not None
    assert task.due_at == NOW + GRACE


def test_an_item_in_the_way_that_is_no_record_is_a_503(door: Door) -> None:
    taken = {"id": {"S": "x"}}
    condition = "ConditionalCheckFailedException"
    _refuse(door, "PutItem", CallRefused("PutItem", condition, "refused", taken))
    assert door.post(SMALL).status == 503


def test_a_payload_that_keeps_going_away_is_a_503(door: Door) -> None:
    condition = "ConditionalCheckFailedException"
    _refuse(door, "PutItem", CallRefused("PutItem", condition, "refused"))
    assert door.post(LARGE).status == 503
    assert door.port.operations == ["PutItem", "GetItem"] * 2


def test_no_call_begins_when_the_caller_is_about_to_be_cut_off(door: Door) -> None:
    def slow(call: Call) -> None:
        door.clock.now += 13_000

    door.port.before = slow
    assert door.post(SMALL).status == 202
    assert door.port.operations == ["PutItem"]
    assert door.post(LARGE).status == 503
    assert door.port.operations == ["PutItem", "PutItem"]
