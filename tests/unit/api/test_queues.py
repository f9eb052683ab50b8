"""A submission may name its queue; the record and the message follow it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ftq.wire import create, queue
from tests.unit.api.door import Door


@pytest.fixture
def door() -> Door:
    door = Door()
    made = door.aws.call(create.queue("bulk"))
    service = door.api.service
    queues = {"default": door.queue_url, "bulk": str(made["QueueUrl"])}
    door.api = replace(
        door.api, service=replace(service, terms=replace(service.terms, queues=queues))
    )
    return door


def waiting(door: Door, name: str) -> str:
    url = door.api.service.terms.queues[name]
    depth = queue.read_attributes(door.aws.call(queue.depth(url)))
    return depth["ApproximateNumberOfMessages"]


def test_a_task_goes_to_the_queue_that_it_names(door: Door) -> None:
    got = door.post({"type": "work", "payload": {}, "queue": "bulk"})
    assert got.status == 202
    record = door.record(got.id)
    assert record is not None
    assert record.queue == door.api.service.terms.queues["bulk"]
    assert (waiting(door, "bulk"), waiting(door, "default")) == ("1", "0")


def test_a_task_that_names_none_goes_to_the_default_queue(door: Door) -> None:
    assert door.post({"type": "work", "payload": {}}).status == 202
    assert (waiting(door, "bulk"), waiting(door, "default")) == ("0", "1")


def test_a_batch_is_sent_to_each_queue_that_it_names(door: Door) -> None:
    tasks = [
        {"type": "work", "payload": {"n": n}, "queue": q} for n, q in ((1, "bulk"), (2, "default"))
    ]
    got = door.ask("POST", "/tasks/batch", json.dumps({"tasks": tasks}))
    assert got.status == 200
    assert (waiting(door, "bulk"), waiting(door, "default")) == ("1", "1")


def test_a_queue_that_is_not_there_is_refused_with_those_that_are(door: Door) -> None:
    got = door.post({"type": "work", "payload": {}, "queue": "urgent"})
    assert (got.status, got.fields) == (422, ["queue"])
    assert "bulk, default" in got.body


def test_the_statistics_tell_of_each_queue(door: Door) -> None:
    got = door.ask("GET", "/stats")
    queues = got.doc["queues"]
    assert isinstance(queues, list)
    assert len(queues) == 2
