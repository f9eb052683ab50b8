"""Cancelling and redriving one task through the API (PROTOCOL R3, R19)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ftq.codec import Envelope, decode
from ftq.lifecycle import State
from ftq.ports import Call, Reply, SyncPort
from ftq.settlement import Complete, Counter, RetryAt, Settlement
from ftq.task import Entry
from ftq.testing import Fault, FaultySyncPort
from ftq.text import Json
from tests.unit.api.door import GRACE, RETENTION, Door, Got, read
from tests.unit.api.dying import DIE, OOPS, STATEMENTS, dead, settle, submitted


def post(door: Door, task_id: str, what: str, body: Json | None = None) -> Got:
    text = None if body is None else json.dumps(body)
    return door.ask("POST", f"/tasks/{task_id}/{what}", text)


def retry(door: Door, task_id: str) -> None:
    settle(door, task_id, RetryAt(door.clock.now + 60_000, Counter.ATTEMPTS, OOPS))


# --- cancel -----------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0, 60, 7_200], ids=["queued", "delayed", "scheduled"])
def test_what_waits_is_cancelled_at_once(door: Door, delay: int) -> None:
    task_id = submitted(door, delay_seconds=delay)
    got = post(door, task_id, "cancel")
    assert got.status == 202
    assert got.doc == {"id": task_id, "state": "cancelled", "cancel_requested": False}
    task = door.record(task_id)
    assert task is not None
    assert (task.state, task.free_at) == (State.CANCELLED, 0)
    assert task.expires_at == (door.clock.now + RETENTION) // 1000
    assert task.history[-1] == Entry(0, "api", door.clock.now, "cancelled")


def test_what_waits_for_its_retry_is_cancelled_at_once(door: Door) -> None:
    task_id = submitted(door)
    retry(door, task_id)
    assert post(door, task_id, "cancel").doc["state"] == "cancelled"


def test_the_holder_of_what_runs_is_asked(door: Door) -> None:
    task_id = submitted(door)
    door.claim(task_id)
    for _ in range(2):
        got = post(door, task_id, "cancel", {})
        assert got.doc == {"id": task_id, "state": "running", "cancel_requested": True}
    task = door.record(task_id)
    assert task is not None
    assert (task.state, task.cancel_requested) == (State.RUNNING, door.clock.now)


def test_what_runs_under_a_lease_that_is_over_is_cancelled_at_once(door: Door) -> None:
    task_id = submitted(door)
    door.claim(task_id)
    door.clock.now += 60_001
    assert post(door, task_id, "cancel").doc["state"] == "cancelled"


@pytest.mark.parametrize("verdict", [Complete("1"), DIE], ids=["succeeded", "dead"])
def test_what_is_final_is_a_409_and_stays_as_it_is(door: Door, verdict: Settlement) -> None:
    task_id = submitted(door)
    settle(door, task_id, verdict)
    before = door.record(task_id)
    got = post(door, task_id, "cancel")
    assert (got.status, got.doc["type"]) == (409, "urn:ftq:problem:already-final")
    assert got.doc["state"] in ("succeeded", "dead")
    assert door.record(task_id) == before


def test_a_cancel_that_meets_a_claim_asks_its_holder(door: Door) -> None:
    task_id = submitted(door)

    def claim_first(call: Call) -> None:
        door.port.before = lambda _: None
        door.claim(task_id)

    door.port.before = _at("BatchExecuteStatement", claim_first)
    assert post(door, task_id, "cancel").doc["cancel_requested"] is True


def test_a_cancel_whose_task_ends_meanwhile_is_a_409(door: Door) -> None:
    task_id = submitted(door)

    def end_first(call: Call) -> None:
        door.port.before = lambda _: None
        settle(door, task_id, Complete("1"))

    door.port.before = _at("BatchExecuteStatement", end_first)
    assert post(door, task_id, "cancel").status == 409


def test_a_task_that_moves_at_each_try_is_a_503(door: Door) -> None:
    task_id = submitted(door)

    def move(call: Call) -> None:
        task = door.record(task_id)
        assert task is not None
        retry(door, task_id)
        door.clock.now += 61_000

    door.port.before = _at("BatchExecuteStatement", move)
    got = post(door, task_id, "cancel")
    assert (got.status, got.headers["retry-after"]) == (503, "2")


def _at(operation: str, then: Callable[[Call], None]) -> Callable[[Call], None]:
    return lambda call: then(call) if call.operation == operation else None


class Repeating:
    """A port that repeats a write whose reply is lost, as botocore does."""

    def __init__(self, port: SyncPort) -> None:
        self.port = port

    def call(self, call: Call) -> Reply:
        if call.operation == "BatchExecuteStatement":
            self.port.call(call)
        return self.port.call(call)


def test_a_cancel_that_is_repeated_under_the_hood_finds_itself(door: Door) -> None:
    task_id = submitted(door)
    door.behind(Repeating(door.aws))
    assert post(door, task_id, "cancel").doc["state"] == "cancelled"


def test_an_answer_that_is_lost_is_a_503_and_the_repeat_tells(door: Door) -> None:
    task_id = submitted(door)
    door.behind(FaultySyncPort(door.aws, _losing("BatchExecuteStatement")))
    assert post(door, task_id, "cancel").status == 503
    assert post(door, task_id, "cancel").doc["state"] == "cancelled"


def _losing(operation: str) -> Callable[[Call], Fault | None]:
    """Loses the reply of the first such call."""
    left = [1]

    def plan(call: Call) -> Fault | None:
        if call.operation == operation and left:
            left.pop()
            return Fault(error="lost")
        return None

    return plan


# --- redrive ----------------------------------------------------------------------------------


def test_a_dead_task_gets_a_new_life_and_a_message(door: Door) -> None:
    task_id = dead(door, {"x": 1}, tenant="acme")
    door.clock.now += 1_000
    got = post(door, task_id, "redrive")
    assert got.status == 202
    assert got.doc == {"matched": 1, "redriven": 1, "id": task_id, "state": "queued"}
    task = door.record(task_id)
    assert task is not None
    assert (task.state, task.past, task.attempts, task.expires_at) == (State.QUEUED, 1, 0, 0)
    assert task.history[-1] == Entry(1, "api", door.clock.now, "redriven")
    (message,) = door.messages()
    envelope = decode(message.body)
    assert isinstance(envelope, Envelope)
    assert (envelope.id, envelope.payload, message.group) == (task_id, '{"x":1}', "acme")
    assert message.stored
    assert message.claim_no is None


def test_a_large_payload_is_left_to_whoever_runs_it(door: Door) -> None:
    task_id = dead(door, "x" * 3000)
    post(door, task_id, "redrive")
    (message,) = door.messages()
    envelope = decode(message.body)
    assert isinstance(envelope, Envelope)
    assert envelope.payload is None


def test_a_redrive_is_repeated_as_often_as_one_likes_and_gives_one_life(door: Door) -> None:
    task_id = dead(door)
    assert [post(door, task_id, "redrive").status for _ in range(3)] == [202] * 3
    settle(door, task_id, Complete("1"))
    assert post(door, task_id, "redrive").status == 409
    task = door.record(task_id)
    assert task is not None
    assert [each.outcome for each in task.history] == ["ended", "redriven", "ended"]


def test_a_redrive_that_names_its_death_gives_no_life_to_a_later_one(door: Door) -> None:
    task_id = dead(door)
    assert post(door, task_id, "redrive", {"claim_no": 1}).status == 202
    settle(door, task_id, DIE)
    door.messages()
    got = post(door, task_id, "redrive", {"claim_no": 1})
    assert door.messages() == []
    assert (got.status, got.doc["state"]) == (202, "dead")
    assert post(door, task_id, "redrive", {"claim_no": 3}).status == 409
    assert post(door, task_id, "redrive", {"claim_no": 2}).doc["state"] == "queued"


@pytest.mark.parametrize("verdict", [Complete("1"), None], ids=["succeeded", "queued"])
def test_what_is_not_dead_is_a_409(door: Door, verdict: Settlement | None) -> None:
    task_id = submitted(door)
    if verdict is not None:
        settle(door, task_id, verdict)
    got = post(door, task_id, "redrive")
    assert (got.status, got.doc["type"]) == (409, "urn:ftq:problem:not-dead")
    assert door.messages() == []


def test_a_redrive_that_meets_another_is_done(door: Door) -> None:
    task_id = dead(door)
    task = door.record(task_id)
    assert task is not None

    def other_first(call: Call) -> None:
        door.port.before = lambda _: None
        door.write(STATEMENTS.redrive(task, "other", door.clock.now, GRACE))
        settle(door, task_id, DIE)

    door.port.before = _at("BatchExecuteStatement", other_first)
    assert post(door, task_id, "redrive").status == 202
    now = door.record(task_id)
    assert now is not None
    assert (now.state, now.claim_no) == (State.DEAD, 2)


def test_a_redrive_whose_answer_is_lost_is_a_503_and_its_repeat_sends(door: Door) -> None:
    task_id = dead(door)
    door.behind(FaultySyncPort(door.aws, _losing("BatchExecuteStatement")))
    assert post(door, task_id, "redrive").status == 503
    assert door.messages() == []
    assert post(door, task_id, "redrive").status == 202
    assert len(door.messages()) == 1


def test_a_redrive_whose_message_cannot_be_sent_is_done_all_the_same(door: Door) -> None:
    task_id = dead(door)
    door.behind(
        FaultySyncPort(
            door.aws,
            lambda call: Fault(error="throttled") if call.service == "sqs" else None,
        )
    )
    assert post(door, task_id, "redrive").status == 202
    task = door.record(task_id)
    assert task is not None
    assert (task.state, task.due_at) == (State.QUEUED, door.clock.now)


# --- both -------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("what", ["cancel", "redrive"])


@BOTH
@pytest.mark.parametrize("task_id", ["nobody", "a%23b", "daemon%23d1", "%00", "a" * 200])
def test_no_such_task_is_a_404(door: Door, what: str, task_id: str) -> None:
    got = post(door, task_id, what)
    assert (got.status, got.doc["type"]) == (404, "urn:ftq:problem:no-such-task")


@BOTH
@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [("{", 400, []), ("[]", 422, [""]), ('{"force": 1}', 422, ["force"])],
)
def test_a_body_is_read_strictly(
    door: Door, what: str, body: str, status: int, fields: list[str]
) -> None:
    task_id = dead(door)
    got = door.ask("POST", f"/tasks/{task_id}/{what}", body)
    assert (got.status, got.fields) == (status, fields)


@pytest.mark.parametrize("claim_no", [0, -1, 1.5, "1", True])
def test_the_death_is_named_by_a_number(door: Door, claim_no: Json) -> None:
    got = post(door, dead(door), "redrive", {"claim_no": claim_no})
    assert (got.status, got.fields) == (422, ["claim_no"])


@BOTH
def test_a_query_is_refused(door: Door, what: str) -> None:
    got = door.ask("POST", f"/tasks/x/{what}?force=1")
    assert (got.status, got.fields) == (422, ["force"])


@BOTH
@pytest.mark.parametrize(
    ("authorizer", "by"),
    [
        ({"jwt": {"claims": {"sub": "ann\n"}}}, "api:ann"),
        ({"iam": {"userArn": "arn:aws:iam::1:user/bob"}}, "api:arn:aws:iam::1:user/bob"),
        ({"jwt": None, "iam": 3}, "api"),
    ],
)
def test_the_history_says_who_it_was(door: Door, what: str, authorizer: Json, by: str) -> None:
    task_id = dead(door) if what == "redrive" else submitted(door)
    asked = {
        "rawPath": f"/tasks/{task_id}/{what}",
        "requestContext": {"http": {"method": "POST"}, "authorizer": authorizer},
    }
    assert read(door.api.handle(asked)).status == 202
    task = door.record(task_id)
    assert task is not None
    assert task.history[-1].by == by
