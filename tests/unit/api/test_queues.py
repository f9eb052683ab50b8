"""A submission may name its queue; the record and the message follow it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from api_lambda.bootstrap import build
from api_lambda.settings import ApiSettings
from ftq import Registry, SettingsError
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


def test_a_handlers_queue_is_where_its_tasks_go_unless_a_submission_says_another(
    door: Door,
) -> None:
    registry = Registry()

    @registry.handler("thumbnail", queue="bulk")
    def thumbnail(_: dict[str, int]) -> None: ...

    door.api = replace(door.api, service=replace(door.api.service, registry=registry))
    assert door.post({"type": "thumbnail", "payload": {}}).status == 202
    assert door.post({"type": "thumbnail", "payload": {}, "queue": "default"}).status == 202
    assert (waiting(door, "bulk"), waiting(door, "default")) == ("1", "1")


def test_an_api_does_not_start_with_handlers_whose_queue_it_does_not_know() -> None:
    settings = ApiSettings(
        queue_url="https://sqs.invalid/1/q",
        table="tasks",
        handlers="tests.unit.api.test_queues:BULKY",
    )
    with pytest.raises(SettingsError, match="thumbnail goes to 'bulk'"):
        build(settings, Door().aws)


BULKY = Registry()


@BULKY.handler("thumbnail", queue="bulk")
def _thumbnail(_: dict[str, int]) -> None: ...
