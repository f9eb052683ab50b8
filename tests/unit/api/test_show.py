"""GET /tasks/{id}: all that is known of one task."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ftq.lifecycle import State
from ftq.settlement import Complete, Counter, RetryAt
from ftq.task import Entry, Task, failure, payload_key
from ftq.testing import Fault, FaultySyncPort, script
from ftq.wire import table
from ftq.wire.statements import Statements
from tests.unit.api.door import GRACE, NOW, RETENTION, TABLE, Door

KEYS = {
    "id", "type", "state", "attempts", "crashes", "releases", "claim_no", "payload", "result",
    "progress", "last_error", "history", "created_at", "updated_at", "finished_at", "free_at",
    "tenant", "correlation_id", "cause", "queue",
}  # fmt: skip
AT = "2027-01-15T08:00:00.000Z"


def _settle(door: Door, task: Task, verdict: Complete | RetryAt, outcome: str) -> None:
    entry = Entry(task.claim_no, "a-daemon", door.clock.now, outcome, "ValueError", 12)
    door.write(Statements(TABLE).settle(task, verdict, entry, grace=GRACE, retention=RETENTION))


def test_a_queued_task(door: Door) -> None:
    task_id = door.post({"type": "a", "payload": {"x": [1]}}, x_correlation_id="c").id
    got = door.get(task_id)
    assert got.status == 200
    assert got.doc == {
        "id": task_id,
        "type": "a",
        "queue": "default",
        "state": "queued",
        "attempts": 0,
        "crashes": 0,
        "releases": 0,
        "claim_no": 0,
        "payload": {"x": [1]},
        "result": None,
        "progress": None,
        "cause": None,
        "last_error": None,
        "history": [],
        "created_at": AT,
        "updated_at": AT,
        "finished_at": None,
        "free_at": None,
        "tenant": None,
        "correlation_id": "c",
    }


def test_a_running_task_with_progress(door: Door) -> None:
    task = door.claim(door.post({"type": "a", "payload": 1, "tenant": "acme"}).id)
    door.write(Statements(TABLE).progress(task.id, 1, '{"done":0.5}', NOW + 7))
    doc = door.get(task.id).doc
    assert doc.keys() == KEYS
    assert (doc["state"], doc["claim_no"], doc["progress"]) == ("running", 1, {"done": 0.5})
    assert (doc["free_at"], doc["updated_at"]) == (
        "2027-01-15T08:01:00.000Z",
        "2027-01-15T08:00:00.007Z",
    )
    assert doc["tenant"] == "acme"


def test_a_retrying_task_shows_what_went_wrong(door: Door) -> None:
    task = door.claim(door.post({"type": "a", "payload": 1}).id)
    error = failure("exception", "ValueError", "no such street")
    _settle(door, task, RetryAt(NOW + 3000, Counter.ATTEMPTS, error), "failed")
    doc = door.get(task.id).doc
    assert (doc["state"], doc["attempts"], doc["crashes"]) == ("retrying", 1, 0)
    assert doc["last_error"] == {
        "type": "exception",
        "class": "ValueError",
        "message": "no such street",
        "fingerprint": error.fingerprint,
    }
    assert doc["history"] == [
        {
            "claim_no": 1,
            "by": "a-daemon",
            "at": AT,
            "outcome": "failed",
            "class": "ValueError",
            "ms": 12,
        }
    ]
    assert (doc["free_at"], doc["finished_at"]) == ("2027-01-15T08:00:03.000Z", None)


def test_a_finished_task_shows_result_and_end(door: Door) -> None:
    task = door.claim(door.post({"type": "a", "payload": 1}).id)
    door.clock.now += 1500
    _settle(door, task, Complete('{"sent":true}'), "succeeded")
    doc = door.get(task.id).doc
    assert (doc["state"], doc["result"]) == ("succeeded", {"sent": True})
    assert (doc["finished_at"], doc["free_at"]) == ("2027-01-15T08:00:01.500Z", None)


def test_a_queue_that_nobody_named_here_is_shown_by_its_own_name(door: Door) -> None:
    task = Task("t", "a", "https://sqs.eu-west-1.amazonaws.com/1/ftq-old", State.QUEUED)
    door.aws.call(table.put(TABLE, task))
    assert door.get("t").doc["queue"] == "ftq-old"


def test_a_large_payload_is_shown_from_beside(door: Door) -> None:
    task_id = door.post({"type": "a", "payload": ["ü" * 2000]}).id
    assert door.get(task_id).doc["payload"] == ["ü" * 2000]


def test_a_large_payload_that_is_lost_is_null(door: Door) -> None:
    task = Task("t", "a", door.queue_url, State.QUEUED, fingerprint="f" * 64, created_at=NOW)
    door.aws.call(table.put(TABLE, task))
    got = door.get("t")
    assert (got.status, got.doc["payload"]) == (200, None)


def test_stored_text_that_is_no_json_is_shown_as_it_is(door: Door) -> None:
    task = Task("t", "a", door.queue_url, State.QUEUED, payload="{", result="NaN")
    door.aws.call(table.put(TABLE, replace(task, progress="1")))
    doc = door.get("t").doc
    assert (doc["payload"], doc["result"], doc["progress"]) == ("{", "NaN", 1)


def test_a_record_without_times_shows_none(door: Door) -> None:
    task = Task("t", "a", door.queue_url, State.QUEUED, created_at=10**15, payload="1")
    door.aws.call(table.put(TABLE, task))
    doc = door.get("t").doc
    assert (doc["created_at"], doc["updated_at"]) == (None, None)


@pytest.mark.parametrize(
    "task_id",
    ["nobody", "x" * 129, "a%20b", "a%00", "%23", "ü", "%C3%BC", "-a", "..", "%2e%2e", "a%2Fb"],
)
def test_who_asks_for_no_task_is_told_so(door: Door, task_id: str) -> None:
    got = door.get(task_id)
    assert (got.status, got.doc["type"]) == (404, "urn:ftq:problem:no-such-task")
    assert len(door.port.calls) == (task_id == "nobody")


def test_the_item_of_a_payload_is_no_task(door: Door) -> None:
    task_id = door.post({"type": "a", "payload": "x" * 2000}).id
    task = door.record(task_id)
    assert task is not None
    key = payload_key(task_id, task.fingerprint)
    assert door.beside(key) is not None
    for asked in (key, key.replace("#", "%23")):
        assert door.get(asked).status == 404


def test_an_id_may_come_percent_encoded(door: Door) -> None:
    door.aws.call(table.put(TABLE, Task("a:b", "a", door.queue_url, State.QUEUED, payload="1")))
    assert door.get("a%3Ab").doc["id"] == "a:b"


@pytest.mark.parametrize("error", ["throttled", "unavailable", "lost"])
def test_a_table_that_does_not_answer_is_a_503(door: Door, error: str) -> None:
    fault = {"throttled": Fault("throttled"), "unavailable": Fault("unavailable")}
    plan = script({"GetItem": [fault.get(error, Fault("lost"))]})
    door.behind(FaultySyncPort(door.aws, plan))
    got = door.get("t")
    assert (got.status, got.headers["retry-after"]) == (503, "2")
