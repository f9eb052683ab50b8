"""One JSON object a line, with the keys that scripts hold on to."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ftq.lifecycle import State
from ftq.task import Task, failure
from ftq_daemon import events as facts
from ftq_daemon.sinks.log import LogSink, configure

TASK = Task("t1", "email.send", "q", State.RUNNING, correlation_id="c1", claim_no=2, attempts=1)


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers, level = before[0], before[1]
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_event_is_a_line_with_the_keys_of_the_contract(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("INFO")
    LogSink("d1")(facts.Retrying(TASK, 0.25, failure("exception", "ValueError", "no"), at=5))
    (line,) = lines(capsys)
    assert line.pop("timestamp")
    assert line == {
        "level": "warning",
        "event": "task.retrying",
        "daemon": "d1",
        "task_id": "t1",
        "type": "email.send",
        "attempt": 2,
        "claim_no": 2,
        "correlation_id": "c1",
        "seconds": 0.25,
        "at": 5,
        "error": "no",
        "error_class": "ValueError",
        "error_fingerprint": failure("exception", "ValueError", "no").fingerprint,
    }


def test_what_a_handler_logs_either_way_carries_its_task(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("INFO")
    structlog.contextvars.bind_contextvars(task_id="t1", correlation_id="c1")
    structlog.get_logger("shop").info("mail.sent", to=3)
    logging.getLogger("shop").warning("slow %s", "relay")
    first, second = lines(capsys)
    assert (first["event"], first["task_id"], first["to"]) == ("mail.sent", "t1", 3)
    assert (second["event"], second["level"]) == ("slow relay", "warning")
    assert second["correlation_id"] == "c1"


def test_the_level_is_honoured_and_chatty_libraries_are_not_heard(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("DEBUG")
    logging.getLogger("botocore.endpoint").debug("the whole request, payload and all")
    LogSink("d1")(facts.Called("sqs", "SendMessage", "ok", 0.1))
    assert [line["event"] for line in lines(capsys)] == ["aws.called"]
    configure("WARNING")
    LogSink("d1")(facts.Claimed(TASK, 0.1))
    assert lines(capsys) == []


def test_the_life_of_the_process_is_told_whatever_the_level(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("CRITICAL")
    sink = LogSink("d1")
    sink(facts.Started("d1", "http://127.0.0.1:1", handlers=1, concurrency=64))
    sink(facts.Claimed(TASK, 0.1))
    sink(facts.Draining(0))
    sink(facts.Stopped(0))
    told = [(line["event"], line["level"]) for line in lines(capsys)]
    assert told == [(f"daemon.{each}", "info") for each in ("started", "draining", "stopped")]


def test_a_sink_that_fails_does_not_stop_the_others() -> None:
    heard: list[facts.Event] = []

    def broken(_: facts.Event) -> None:
        raise OSError("stdout is gone")

    events = facts.Events([broken, heard.append])
    events.emit(facts.Draining(1))
    assert (heard, events.broken) == ([facts.Draining(1)], 1)
