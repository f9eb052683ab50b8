"""One JSON object a line, with the keys that scripts hold on to."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from ftq.lifecycle import State
from ftq.redaction import MARK, read_names
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


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_an_event_is_a_line_with_the_keys_of_the_contract(
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = configure("INFO")
    LogSink("d1", "DEBUG", log.write)(
        facts.Retrying(TASK, 0.25, failure("exception", "ValueError", "no"), at=5)
    )
    (line,) = lines(capfd)
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
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure("INFO")
    structlog.contextvars.bind_contextvars(task_id="t1", correlation_id="c1")
    structlog.get_logger("shop").info("mail.sent", to=3)
    logging.getLogger("shop").warning("slow %s", "relay")
    first, second = lines(capfd)
    assert (first["event"], first["task_id"], first["to"]) == ("mail.sent", "t1", 3)
    assert (second["event"], second["level"]) == ("slow relay", "warning")
    assert second["correlation_id"] == "c1"


def test_what_is_logged_with_extra_fields_has_them_redacted(
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure("INFO")
    extra = {"order": 7, "level": "x", "api_key": "hunter2", "urls": ["https://u:hunter2@h"]}
    logging.getLogger("shop").info("charged", extra=extra)
    (line,) = lines(capfd)
    assert (line["event"], line["level"], line["logger"]) == ("charged", "info", "shop")
    assert (line["order"], line["api_key"]) == (7, MARK)
    assert line["urls"] == [f"https://{MARK}@h"]
    assert not {"args", "msg", "pathname", "levelno"} & set(line)


def test_the_level_is_honoured_and_chatty_libraries_are_not_heard(
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = configure("DEBUG")
    logging.getLogger("botocore.endpoint").debug("the whole request, payload and all")
    LogSink("d1", "DEBUG", log.write)(facts.Called("sqs", "SendMessage", "ok", 0.1))
    assert [line["event"] for line in lines(capfd)] == ["aws.called"]
    LogSink("d1", "WARNING", log.write)(facts.Claimed(TASK, 0.1))
    assert lines(capfd) == []


def test_the_life_of_the_process_is_told_whatever_the_level(
    capfd: pytest.CaptureFixture[str],
) -> None:
    sink = LogSink("d1", "CRITICAL", configure("CRITICAL").write)
    sink(facts.Started("d1", "http://127.0.0.1:1", handlers=1, concurrency=64))
    sink(facts.Claimed(TASK, 0.1))
    sink(facts.Draining(0))
    sink(facts.Stopped(0))
    told = [(line["event"], line["level"]) for line in lines(capfd)]
    assert told == [(f"daemon.{each}", "info") for each in ("started", "draining", "stopped")]


def test_a_sink_that_fails_does_not_stop_the_others() -> None:
    heard: list[facts.Event] = []

    def broken(_: facts.Event) -> None:
        raise OSError("stdout is gone")

    events = facts.Events([broken, heard.append])
    events.emit(facts.Draining(1))
    assert (heard, events.broken) == ([facts.Draining(1)], 1)


class Unspeakable:
    def __str__(self) -> str:
        raise ValueError("no words")


def test_no_value_is_too_odd_for_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    configure("INFO")
    endless: list[object] = []
    endless.append(endless)
    odd = {
        "half": "\ud800",
        "huge": 2**70,
        "bytes": b"x",
        "object": object,
        "nan": float("nan"),
        "keys": {1: 2},
        "endless": endless,
    }
    for name, value in odd.items():
        structlog.get_logger().info("odd", **{name: value})
    logging.getLogger("shop").error("%d of them", "not a number")
    logging.getLogger("shop").error(Unspeakable())
    logging.getLogger("shop").log(25, "between the levels")
    *strange, unformatted, unspeakable, between = lines(capfd)
    assert [set(line) & set(odd) for line in strange] == [{name} for name in odd]
    assert (unformatted["event"], unformatted["level"]) == ("%d of them", "error")
    assert unspeakable["event"] == "<Unspeakable>"
    assert (between["event"], between["level"]) == ("between the levels", "info")


def test_whatever_anybody_logs_is_redacted(capfd: pytest.CaptureFixture[str]) -> None:
    names = read_names("iban")
    log = configure("INFO", names)
    LogSink("d1", "INFO", log.write, names)(facts.Failed("attempt", "token=hunter2 iban=hunter2"))
    shop = structlog.get_logger("shop")
    shop.info("sent Bearer hunter2", headers={"X-Api-Key": "hunter2"}, body='{"iban": "hunter2"}')
    shop.bind(password="hunter2").info("bound")
    try:
        raise ValueError("password=hunter2") from KeyError("https://u:hunter2@h")
    except ValueError:
        shop.exception("failed")
        logging.getLogger("urllib3").exception("GET %s", "https://h/?token=hunter2")
    logging.getLogger("py.warnings").warning("secret: hunter2")
    out = capfd.readouterr().out
    assert out.count(MARK) >= 10
    assert "hunter2" not in out


def test_a_line_begins_with_when_how_grave_and_what(capfd: pytest.CaptureFixture[str]) -> None:
    LogSink("d1", "INFO", configure("INFO").write)(facts.Claimed(TASK, 0.1))
    (line,) = lines(capfd)
    assert list(line)[:4] == ["timestamp", "level", "event", "daemon"]


def test_a_traceback_and_a_warning_are_in_the_line(capfd: pytest.CaptureFixture[str]) -> None:
    configure("INFO")
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("shop").exception("failed: 100%")
    logging.getLogger("py.warnings").warning("old")
    failed, warned = lines(capfd)
    assert failed["event"] == "failed: 100%"
    assert str(failed["exception"]).endswith("ValueError: no")
    assert warned["level"] == "warning"


def _tasks(count: int) -> list[Task]:
    return [replace(TASK, id=f"task-{n}") for n in range(count)]


def test_a_sample_has_all_lines_of_a_task_that_went_well_or_none() -> None:
    said: list[bytes] = []
    sink = LogSink("d1", "INFO", said.append, share=0.25)
    failed = failure("exception", "ValueError", "no")
    for task in _tasks(400):
        sink(facts.Claimed(task, 0.1))
        sink(facts.Succeeded(task, 0.1, 0.1))
        sink(facts.Retrying(task, 0.1, failed, 5))
    lines = [json.loads(line) for line in said]
    ids = {
        event: {line["task_id"] for line in lines if line["event"] == event}
        for event in ("task.claimed", "task.succeeded", "task.retrying")
    }
    assert ids["task.claimed"] == ids["task.succeeded"]
    assert 60 < len(ids["task.claimed"]) < 140
    assert len(ids["task.retrying"]) == 400


def test_the_audit_has_every_change_of_state_whatever_level_and_sample() -> None:
    said: list[bytes] = []
    sink = LogSink("d1", "ERROR", said.append, share=0, audit=True)
    failed = failure("exception", "ValueError", "no")
    sink(facts.Promoted(TASK))
    sink(facts.Claimed(TASK, 0.1, was=State.RETRYING))
    sink(facts.Succeeded(TASK, 0.1, 0.1))
    sink(facts.Retrying(TASK, 0.1, failed, 5))
    sink(facts.Dead(TASK, 0.1, "rejected", failed))
    sink(facts.Released(TASK, 0.1))
    sink(facts.Cancelled(TASK, 0.1))
    sink(facts.BreakerClosed("smtp", 1))
    lines = [json.loads(line) for line in said]
    assert {(line["stream"], line["daemon"], line["task_id"]) for line in lines} == {
        ("audit", "d1", "t1")
    }
    assert [(line["from"], line["to"]) for line in lines] == [
        ("scheduled", "queued"),
        ("retrying", "running"),
        ("running", "succeeded"),
        ("running", "retrying"),
        ("running", "dead"),
        ("running", "queued"),
        ("running", "cancelled"),
    ]


def test_a_payload_is_logged_only_if_asked_for_and_then_redacted() -> None:
    said: list[bytes] = []
    claimed = facts.Claimed(replace(TASK, payload='{"to":"ada","password":"hunter2"}'), 0.1)
    LogSink("d1", "INFO", said.append)(claimed)
    LogSink("d1", "INFO", said.append, payloads=True)(claimed)
    without, with_it = (json.loads(line) for line in said)
    assert "payload" not in without
    assert json.loads(with_it["payload"]) == {"to": "ada", "password": MARK}


def test_the_page_of_logs_names_every_event() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/logs.md").read_text("utf-8")
    assert [kind.name for kind in facts.EVENTS if f"`{kind.name}`" not in page] == []
