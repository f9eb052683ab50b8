"""A second opinion on the API's calls: the same handler, single-threaded, on moto in process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from moto import mock_aws

from api_lambda import bootstrap
from api_lambda.handler import handler
from ftq.aws import boto
from ftq.ports import SyncPort
from ftq.submission import task_id
from ftq.wire import create, queue, table
from tests.unit.api.door import Got, event, read

REGION = "eu-west-1"


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncPort]:
    with mock_aws():
        made = boto.connect(REGION)
        dlq = queue.read_attributes(
            made.call(queue.depth(str(made.call(create.queue("dlq"))["QueueUrl"])))
        )
        url = str(made.call(create.queue("tasks", dlq["QueueArn"]))["QueueUrl"])
        made.call(create.table("tasks"))
        made.call(create.ttl("tasks"))
        monkeypatch.setenv("AWS_REGION", REGION)
        monkeypatch.setenv("FTQ_QUEUE_URL", url)
        monkeypatch.setenv("FTQ_TABLE", "tasks")
        bootstrap.api.cache_clear()
        yield made
    bootstrap.api.cache_clear()


def post(document: object, key: str) -> Got:
    body = json.dumps(document)
    return read(handler(event("POST", "/tasks", body, {"Idempotency-Key": key}), None))


def test_a_submission_is_stored_sent_and_shown(port: SyncPort) -> None:
    answered = post({"type": "a.b", "payload": {"n": 1}, "tenant": "acme"}, "k1")
    assert answered.status == 202
    identity = task_id("k1", "acme")
    assert answered.id == identity
    shown = read(handler(event("GET", f"/tasks/{identity}"), None))
    assert (shown.status, shown.doc["state"], shown.doc["payload"]) == (200, "queued", {"n": 1})
    sent = queue.read_receive(
        port.call(
            queue.receive(
                os.environ["FTQ_QUEUE_URL"], limit=10, wait_seconds=0, visibility_seconds=30
            )
        )
    )
    assert [(message.stored, json.loads(message.body)["id"]) for message in sent] == [
        (True, identity)
    ]


def test_a_key_stands_for_one_payload(port: SyncPort) -> None:
    first = post({"type": "a.b", "payload": {"n": 1}}, "k1")
    again = post({"type": "a.b", "payload": {"n": 1}}, "k1")
    other = post({"type": "a.b", "payload": {"n": 2}}, "k1")
    assert (first.status, again.status, other.status) == (202, 202, 409)
    assert first.doc == again.doc


def test_a_large_payload_is_beside_its_record(port: SyncPort) -> None:
    answered = post({"type": "a.b", "payload": "x" * 200_000}, "k1")
    task = table.read_get(port.call(table.get("tasks", answered.id)))
    assert task is not None
    assert task.payload is None
    shown = read(handler(event("GET", f"/tasks/{task.id}"), None))
    assert shown.doc["payload"] == "x" * 200_000
