"""GET /stats: what it counts, what it admits not to know, and what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api_lambda import stats as module
from ftq.breaker import Position
from ftq.report import KEPT, STALE, BreakerNote, Report
from ftq.settlement import (
    Cancel,
    Cause,
    Complete,
    Counter,
    DeadLetter,
    Release,
    RetryAt,
    Settlement,
)
from ftq.task import bucket_of
from ftq.text import Json
from ftq.wire import reports
from ftq.wire.statements import Statements
from tests.unit.api.door import GRACE, TABLE, Door, dig
from tests.unit.api.dying import OOPS, settle


def submit(door: Door, n: int = 1, **more: Json) -> list[str]:
    return [door.post({"type": "a", "payload": 1, **more}).id for _ in range(n)]


def stats(door: Door) -> dict[str, Json]:
    got = door.ask("GET", "/stats")
    assert got.status == 200, got.body
    return got.doc


def daemon(name: str = "d1", **changes: object) -> Report:
    report = Report(name, "1.0", "https://sqs/1/tasks", 0, 0, 64, 2)
    return replace(report, **changes)  # type: ignore[arg-type]  # fields of a report, by name


def test_an_empty_service_has_zeros(door: Door) -> None:
    found = stats(door)
    assert found["queues"] == [{"name": "tasks", "visible": 0, "in_flight": 0, "delayed": 0}]
    counts = found["counts"]
    assert isinstance(counts, dict)
    assert set(counts.values()) == {0}
    assert (found["oldest_age_seconds"], found["exact"]) == (None, True)
    assert (found["breakers"], found["daemons"], found["dead_letter_queue"]) == ([], [], None)


def test_tasks_are_counted_by_state(door: Door) -> None:
    submit(door, 3)
    submit(door, 1, delay_seconds=3600)
    running, *rest = submit(door, 7)
    endings: list[Settlement] = [
        RetryAt(door.clock.now + 5_000, Counter.ATTEMPTS, OOPS),
        Complete("1"),
        Complete("2"),
        DeadLetter(Cause.PERMANENT, Counter.ATTEMPTS, OOPS),
        Cancel(),
        Release(),
    ]
    for task_id, verdict in zip(rest, endings, strict=True):
        settle(door, task_id, verdict)
    door.claim(running)
    found = stats(door)
    assert found["counts"] == {
        "queued": 4,
        "scheduled": 1,
        "running": 1,
        "retrying": 1,
        "succeeded": 2,
        "dead": 1,
        "cancelled": 1,
    }
    assert found["exact"] is True
    assert found["groups"] == {
        "open": {"count": 7, "exact": True},
        "done": {"count": 3, "exact": True},
        "dead": {"count": 1, "exact": True},
    }


def test_what_is_not_counted_is_not_claimed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 2)
    monkeypatch.setattr(module, "COUNTED", 3)
    submit(door, 400)
    found = stats(door)
    assert found["exact"] is False
    assert dig(found, "groups", "done") == {"count": 0, "exact": True}
    assert dig(found, "groups", "open") == {"count": 16 * 5, "exact": False}
    assert dig(found, "counts", "queued") == 16 * 2


def test_what_it_costs_does_not_grow_with_what_is_stored(door: Door) -> None:
    submit(door, 20)
    door.port.calls.clear()
    stats(door)
    few = len(door.port.calls)
    submit(door, 2_000)
    door.port.calls.clear()
    stats(door)
    assert few <= 52
    assert len(door.port.calls) <= 80


def test_the_queues_depths_are_told(door: Door) -> None:
    submit(door, 3)
    submit(door, 1, delay_seconds=60)
    door.messages()
    submit(door, 2)
    assert dig(stats(door), "queues", 0) == {
        "name": "tasks",
        "visible": 2,
        "in_flight": 3,
        "delayed": 1,
    }


def test_the_dead_letter_queue_is_told_where_the_api_knows_it(door: Door) -> None:
    door.api = replace(door.api, service=replace(door.api.service, dlq_url=door.queue_url))
    submit(door, 2)
    found = stats(door)["dead_letter_queue"]
    assert found == {"name": "tasks", "visible": 2, "in_flight": 0, "delayed": 0}


def test_the_oldest_is_the_longest_waiting_whose_time_has_come(door: Door) -> None:
    submit(door, 1, delay_seconds=7_200)
    door.clock.now += 3_600_000
    submit(door)
    door.clock.now += 60_000
    submit(door)
    door.clock.now += 30_500
    assert stats(door)["oldest_age_seconds"] == 90.5
    door.clock.now += 3_600_000
    assert stats(door)["oldest_age_seconds"] == 3_690.5


def test_a_task_that_was_sent_again_is_as_old_as_its_submission(door: Door) -> None:
    (task_id,) = submit(door)
    task = door.record(task_id)
    assert task is not None
    door.clock.now += GRACE
    now = door.clock.now
    door.write(
        Statements(TABLE).sweep(task, bucket_of(task_id, task.state), now, now + GRACE, sends=True)
    )
    assert stats(door)["oldest_age_seconds"] == GRACE / 1000


def test_daemons_and_their_breakers_are_told_and_who_is_silent_is_called_stale(
    door: Door,
) -> None:
    now = door.clock.now
    opened = BreakerNote(Position.OPEN, 2, now + 4_000)
    live = daemon("d1", at=now - 1_500, started_at=now - 60_000, breakers={"smtp": opened})
    silent = daemon("d2", at=now - STALE - 1, breakers={"smtp": BreakerNote(Position.CLOSED)})
    gone = daemon("d3", at=now - KEPT - 1)
    for report in (silent, gone, live):
        door.aws.call(reports.write(TABLE, report))
    found = stats(door)
    assert found["breakers"] == [
        {
            "name": "smtp",
            "position": "open",
            "openings": 2,
            "daemons": {"open": 1, "half_open": 0, "closed": 0},
        }
    ]
    assert dig(found, "daemons", 0) == {
        "name": "d1",
        "version": "1.0",
        "queue": "tasks",
        "started_at": "2027-01-15T07:59:00.000Z",
        "reported_at": "2027-01-15T07:59:58.500Z",
        "age_seconds": 1.5,
        "stale": False,
        "draining": False,
        "concurrency": 64,
        "in_flight": 2,
        "breakers": {
            "smtp": {"position": "open", "openings": 2, "until": "2027-01-15T08:00:04.000Z"}
        },
    }
    second = dig(found, "daemons", 1)
    assert [dig(second, each) for each in ("name", "stale", "age_seconds")] == ["d2", True, 90.001]
    assert found["daemons"] == [dig(found, "daemons", 0), second]


def test_a_breaker_is_as_bad_as_the_worst_live_daemon_of_any_queue_sees_it(door: Door) -> None:
    now, other = door.clock.now, "https://sqs/1/bulk"
    closed, half = BreakerNote(Position.CLOSED, 1), BreakerNote(Position.HALF_OPEN, 4)
    opened = BreakerNote(Position.OPEN, 9, now + 4_000)
    said = [
        daemon("a", at=now - 1, breakers={"smtp": closed, "db": closed}),
        daemon("b", at=now - 2, queue=other, breakers={"smtp": half}),
        daemon("c", at=now - 3, queue=other, breakers={"smtp": closed, "disk": opened}),
        daemon("d", at=now - STALE - 1, breakers={"smtp": opened, "gone": opened}),
        daemon("e", at=now - STALE - 2, queue=other, breakers={"disk": closed}),
    ]
    for report in said:
        door.aws.call(reports.write(TABLE, report))
    found = stats(door)
    rows = found["breakers"]
    assert isinstance(rows, list)
    assert [(dig(row, "name"), dig(row, "position"), dig(row, "openings")) for row in rows] == [
        ("db", "closed", 1),
        ("disk", "open", 9),
        ("smtp", "half_open", 4),
    ]
    assert dig(rows[2], "daemons") == {"open": 0, "half_open": 1, "closed": 2}
    names = found["daemons"]
    assert isinstance(names, list)
    assert [(dig(each, "name"), dig(each, "queue"), dig(each, "stale")) for each in names] == [
        ("a", "tasks", False),
        ("b", "bulk", False),
        ("c", "bulk", False),
        ("d", "tasks", True),
        ("e", "bulk", True),
    ]


def test_a_report_is_no_task(door: Door) -> None:
    door.aws.call(reports.write(TABLE, daemon("d1", at=door.clock.now)))
    assert door.get("daemon%23d1").status == 404
    assert stats(door)["exact"] is True


@pytest.mark.parametrize("query", ["x=1", "queue=a", "&=", "state=dead&state=dead"])
def test_parameters_are_refused_by_name(door: Door, query: str) -> None:
    got = door.ask("GET", f"/stats?{query}")
    assert got.status == 422
    assert got.fields


def test_the_last_words_of_a_daemon_that_stopped_are_for_daemons_only(door: Door) -> None:
    notes = {"smtp": BreakerNote(Position.OPEN, 3, door.clock.now)}
    left = daemon(at=door.clock.now, breakers=notes, stopped=True)
    door.aws.call(reports.write(TABLE, left))
    found = stats(door)
    assert (found["breakers"], found["daemons"]) == ([], [])
