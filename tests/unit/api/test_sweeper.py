"""A service that is scaled to zero loses nothing: the scheduled sweep sends what is due."""

from __future__ import annotations

import json

import pytest

from api_lambda.sweeper import Sweeper, _port, handler
from ftq.errors import CallError
from ftq.lifecycle import State
from ftq.ports import Call, Reply, SyncPort
from ftq.task import Task
from ftq.testing import Fault, FaultySyncPort, script
from ftq.text import Json
from ftq.wire import queue
from tests.unit.api.door import GRACE, TABLE, Door

INTERVAL = 60_000


@pytest.fixture
def door() -> Door:
    return Door()


class Time:
    """As much as is needed."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class StaleDepth:
    """SQS's counts are approximate, and a minute behind: this one still says that it is empty."""

    def __init__(self, port: SyncPort) -> None:
        self._port = port

    def call(self, call: Call) -> Reply:
        if call.operation == "GetQueueAttributes":
            return {"Attributes": {"ApproximateNumberOfMessages": "0"}}
        return self._port.call(call)


def swept(door: Door, port: SyncPort | None = None, left: float = 60.0) -> tuple[int, int]:
    over = port or door.port
    sweeper = Sweeper(over, TABLE, door.queue_url, GRACE, INTERVAL, door.clock.ms, lambda: left)
    sweeper.sweep()
    return sweeper.sent, sweeper.looked


def submitted(door: Door, n: int = 0, **more: Json) -> str:
    return door.post({"type": "work", "payload": {"n": n}, **more}).id


def record(door: Door, task_id: str) -> Task:
    found = door.record(task_id)
    assert found is not None
    return found


def purge(door: Door) -> None:
    door.aws.call(Call("sqs", "PurgeQueue", {"QueueUrl": door.queue_url}))
    door.clock.now += 60_000


def backlog(door: Door) -> int:
    depth = queue.read_attributes(door.aws.call(queue.depth(door.queue_url)))
    return int(depth["ApproximateNumberOfMessages"])


def test_a_scheduled_task_is_sent_when_it_is_due_and_once(door: Door) -> None:
    task_id = submitted(door, delay_seconds=86_400)
    assert record(door, task_id).state is State.SCHEDULED
    assert swept(door) == (0, 0)
    door.clock.now += 86_400_000
    assert swept(door) == (1, 1)
    assert swept(door) == (0, 0)
    task = record(door, task_id)
    assert (task.state, task.sweeps, backlog(door)) == (State.QUEUED, 1, 1)
    assert "ReceiveMessage" not in door.port.operations


def test_the_step_of_a_scheduled_task_is_in_the_audit_and_no_other_resend(
    door: Door, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    due, lost = submitted(door, delay_seconds=3600), submitted(door)
    purge(door)
    door.clock.now += 1_800_000
    monkeypatch.setattr("api_lambda.sweeper.connect", lambda region, client: door.port)
    monkeypatch.setattr("api_lambda.sweeper.time.time_ns", lambda: door.clock.now * 1_000_000)
    for name, value in {"QUEUE_URL": door.queue_url, "TABLE": TABLE, "AUDIT": "all"}.items():
        monkeypatch.setenv(f"FTQ_{name}", value)
    _port.cache_clear()
    try:
        assert handler({}, Time()) == {"sent": 1, "looked": 1}
        door.clock.now += 1_800_000
        assert handler({}, Time())["sent"] == 1
    finally:
        _port.cache_clear()
    assert {record(door, each).sweeps for each in (due, lost)} == {1}
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [each for each in said if each.get("stream") == "audit"]
    assert line.pop("timestamp")
    assert line == {
        "level": "info",
        "event": "task.queued",
        "stream": "audit",
        "who": "sweeper",
        "task_id": due,
        "type": "work",
        "from": "scheduled",
        "to": "queued",
        "claim_no": 0,
        "correlation_id": record(door, due).correlation_id,
    }


def test_what_the_queue_lost_is_sent_again(door: Door) -> None:
    ids = [submitted(door, n) for n in range(30)]
    purge(door)
    assert backlog(door) == 0
    assert swept(door) == (0, 0)  # not overdue yet
    door.clock.now += GRACE
    assert swept(door) == (30, 30)
    assert backlog(door) == 30
    assert {record(door, each).sweeps for each in ids} == {1}


def test_a_backlog_is_neither_doubled_nor_touched(door: Door) -> None:
    for n in range(5):
        submitted(door, n)
    door.clock.now += 4 * GRACE
    door.port.calls.clear()
    assert swept(door) == (0, 0)
    assert backlog(door) == 5
    assert set(door.port.operations) == {"Query", "GetQueueAttributes"}
    assert door.port.operations.count("GetQueueAttributes") == 1


def test_a_message_that_turns_up_after_all_stays_for_a_daemon(door: Door) -> None:
    submitted(door)
    door.clock.now += 4 * GRACE

    assert swept(door, StaleDepth(door.aws)) == (0, 0)
    assert backlog(door) == 1


def test_it_stops_while_there_is_time_left_to_say_so(door: Door) -> None:
    submitted(door, delay_seconds=3600)
    door.clock.now += 3_600_000
    assert swept(door, left=19) == (0, 0)


def test_a_table_that_does_not_answer_fails_the_invocation(door: Door) -> None:
    with pytest.raises(CallError):
        swept(door, FaultySyncPort(door.aws, lambda _: Fault("unavailable")))


def test_a_task_whose_send_failed_is_sent_at_the_next_sweep(door: Door) -> None:
    lost = FaultySyncPort(door.aws, script({"SendMessage": [Fault("throttled")]}))
    door.behind(lost)
    task_id = submitted(door)
    assert backlog(door) == 0
    door.clock.now += 120_000
    assert swept(door) == (1, 1)
    assert (backlog(door), record(door, task_id).sweeps) == (1, 1)
