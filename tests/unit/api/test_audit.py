"""Who changed what: lines of the audit stream."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from api_lambda import log as api_log
from api_lambda.http import Request
from api_lambda.routes import Api
from ftq.lifecycle import State
from ftq.outcome import Rejected
from ftq.settlement import Cause, Counter, DeadLetter
from ftq.task import Entry, failure
from ftq.text import Document, Json
from ftq.wire.statements import Statements
from tests.unit.api.door import GRACE, RETENTION, TABLE, Door, event


@pytest.fixture(autouse=True)
def _logging() -> None:
    api_log.configure("CRITICAL")  # nothing but what is said whatever the level


def audited(capsys: pytest.CaptureFixture[str]) -> list[Document]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line.get("stream") == "audit"]


def submitted(door: Door) -> str:
    return door.post({"type": "mail", "payload": 1}).id


def die(door: Door, task_id: str) -> None:
    task = door.claim(task_id)
    failed = failure("rejected", "Reject", "no")
    entry = Entry(task.claim_no, "a-daemon", door.clock.now, Rejected.word)
    dead = DeadLetter(Cause.REJECTED, Counter.ATTEMPTS, failed)
    door.write(Statements(TABLE).settle(task, dead, entry, grace=GRACE, retention=RETENTION))


def test_a_cancellation_says_who_asked_for_it_and_from_where(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    task_id = submitted(door)
    asked = event("POST", f"/tasks/{task_id}/cancel", None)
    context = asked["requestContext"]
    assert isinstance(context, dict)
    context |= {
        "requestId": "req-1",
        "authorizer": {"iam": {"userArn": "arn:aws:iam::1:user/ada", "accessKey": "AKIA"}},
        "http": {**context["http"], "sourceIp": "192.0.2.1"},
    }
    assert door.api.handle(asked)["statusCode"] == 202
    (line,) = audited(capsys)
    assert line.pop("timestamp")
    assert line == {
        "level": "info",
        "event": "task.cancelled",
        "stream": "audit",
        "who": "arn:aws:iam::1:user/ada",
        "task_id": task_id,
        "type": "mail",
        "from": "queued",
        "to": "cancelled",
        "claim_no": 0,
        "correlation_id": "fresh-3",
        "task_correlation_id": "fresh-1",
        "request_id": "req-1",
        "source": "192.0.2.1",
    }


def test_a_running_task_is_asked_and_dead_ones_are_redriven_one_line_each(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    running, dead, others = submitted(door), submitted(door), [submitted(door) for _ in range(3)]
    door.claim(running)
    for task_id in (dead, *others):
        die(door, task_id)
    for path in (f"/tasks/{running}/cancel", f"/tasks/{dead}/redrive", "/redrives"):
        assert door.ask("POST", path, "{}").status == 202
    assert door.ask("POST", "/redrives", '{"dry_run": true}').status == 202
    first, *redriven = audited(capsys)
    assert (first["event"], first["task_id"], first["to"]) == (
        "task.cancel_asked",
        running,
        State.RUNNING,
    )
    assert sorted(str(line["task_id"]) for line in redriven) == sorted([dead, *others])
    assert {(line["event"], line["from"], line["to"]) for line in redriven} == {
        ("task.redriven", "dead", "queued")
    }


def test_submissions_are_audited_if_all_is_and_repeats_are_not(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    door.post({"type": "mail", "payload": 1}, "first")
    assert audited(capsys) == []
    door.api = Api(replace(door.api.service, audits_all=True))
    door.post({"type": "mail", "payload": 1}, "second")
    door.clock.now += 5
    door.post({"type": "mail", "payload": 1}, "second")
    later: Json = {"type": "mail", "payload": 1, "delay_seconds": 3600}
    door.post(later, "third")
    states = [(line["event"], line["from"], line["to"]) for line in audited(capsys)]
    assert states == [
        ("task.submitted", "", "queued"),
        ("task.submitted", "", "scheduled"),
    ]


def test_a_request_without_an_authorizer_has_an_unknown_caller(
    capsys: pytest.CaptureFixture[str], door: Door
) -> None:
    task = door.record(submitted(door))
    assert task is not None
    api_log.audit(Request("POST", "/"), "task.cancelled", task, "queued", "cancelled")
    (line,) = audited(capsys)
    assert line["who"] == "unknown"
