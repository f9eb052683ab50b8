"""POST /redrives: many lives, each once, at a pace, within a request's time."""

from __future__ import annotations

import json

import pytest

from api_lambda import redrives as module
from ftq.lifecycle import State
from ftq.ports import Call
from ftq.task import Task, failure
from ftq.testing import Fault, FaultySyncPort
from ftq.text import Json
from tests.unit.api.door import Door, Got, dig
from tests.unit.api.dying import DIE, OOPS, dead, settle

OTHER = failure("exception", "KeyError", "gone")


def ask(door: Door, **fields: Json) -> Got:
    return door.ask("POST", "/redrives", json.dumps(fields))


def records(door: Door, ids: list[str]) -> list[Task]:
    found = [door.record(each) for each in ids]
    return [task for task in found if task is not None]


def states(door: Door, ids: list[str]) -> set[str]:
    return {str(task.state) for task in records(door, ids)}


def test_all_that_is_dead_is_redriven_and_sent(door: Door) -> None:
    ids = [dead(door, n) for n in range(60)]
    door.clock.now += 1_000
    got = door.ask("POST", "/redrives")
    assert got.status == 202
    assert got.doc == {
        "matched": 60,
        "redriven": 60,
        "failed": 0,
        "dry_run": False,
        "before": "2027-01-15T08:00:01.000Z",
        "cursor": None,
        "remaining": {"count": 0, "exact": True},
    }
    assert states(door, ids) == {"queued"}
    assert len(door.messages()) == 60
    assert {task.history[-1].outcome for task in records(door, ids)} == {"redriven"}


def test_it_takes_a_few_calls_for_many_tasks(door: Door) -> None:
    for n in range(100):
        dead(door, n)
    door.port.calls.clear()
    ask(door)
    # For each shard a query and, where it has some, one read, one write, and a send for ten.
    assert len(door.port.calls) <= 16 * 5


def test_filters_choose_by_type_and_by_error(door: Door) -> None:
    one, two = dead(door, type_="a"), dead(door, type_="b")
    three = dead(door, type_="b", why=OTHER)
    got = ask(door, type="b", error=OTHER.fingerprint)
    assert (got.doc["matched"], got.doc["redriven"]) == (1, 1)
    assert states(door, [one, two]) == {"dead"}
    assert states(door, [three]) == {"queued"}
    assert ask(door, type="none").doc["matched"] == 0
    assert ask(door, type="a").doc["redriven"] == 1


def test_a_dry_run_counts_and_changes_nothing(door: Door) -> None:
    ids = [dead(door, n) for n in range(30)]
    got = ask(door, dry_run=True, error=OOPS.fingerprint)
    assert (got.doc["matched"], got.doc["redriven"], got.doc["dry_run"]) == (30, 0, True)
    assert states(door, ids) == {"dead"}
    assert door.messages() == []


def test_a_limit_is_kept_and_the_cursor_leads_to_the_rest(door: Door) -> None:
    ids = [dead(door, n) for n in range(50)]
    cursor: Json = None
    counts: list[Json] = []
    while not counts or cursor is not None:
        got = ask(door, limit=20, **({"cursor": cursor} if cursor else {}))
        counts.append(got.doc["redriven"])
        cursor = got.doc["cursor"]
        left = sum(task.state is State.DEAD for task in records(door, ids))
        assert dig(got.doc, "remaining") == {"count": left, "exact": True}
    assert counts == [20, 20, 10]
    assert states(door, ids) == {"queued"}


def test_a_dry_run_goes_on_by_its_cursor_too(door: Door) -> None:
    for n in range(50):
        dead(door, n)
    first = ask(door, limit=30, dry_run=True).doc
    second = ask(door, limit=30, dry_run=True, cursor=first["cursor"]).doc
    assert (first["matched"], second["matched"], second["cursor"]) == (30, 20, None)


def test_what_dies_again_is_not_meant_by_who_goes_on_or_begins_again(door: Door) -> None:
    ids = [dead(door, n) for n in range(50)]
    first = ask(door, limit=25).doc
    door.clock.now += 5_000
    again = [each for each in ids if door.record(each).state is State.QUEUED]  # type: ignore[union-attr]  # it is there
    for each in again:
        settle(door, each, DIE)
    assert ask(door, before=first["before"]).doc["redriven"] == 25
    assert states(door, again) == {"dead"}
    assert ask(door, before=first["before"]).doc["matched"] == 0
    assert ask(door).doc["redriven"] == 25


def test_what_died_again_unknown_to_the_index_is_not_meant_either(door: Door) -> None:
    task_id = dead(door)
    before = ask(door, dry_run=True).doc["before"]
    door.lag(60_000)
    door.clock.now += 1_000
    assert door.ask("POST", f"/tasks/{task_id}/redrive").status == 202
    settle(door, task_id, DIE)
    got = ask(door, before=before)
    assert (got.doc["matched"], states(door, [task_id])) == (0, {"dead"})


def test_a_rate_is_kept(door: Door) -> None:
    for n in range(30):
        dead(door, n)
    began = door.clock.now
    assert ask(door, rate=5).doc["redriven"] == 30
    assert door.clock.now - began >= 5_000


def test_a_request_ends_in_time_and_says_where_to_go_on(door: Door) -> None:
    ids = [dead(door, n) for n in range(60)]
    began, total, requests = door.clock.now, 0, 0
    cursor: Json = None
    while not requests or cursor is not None:
        at = door.clock.now
        got = ask(door, rate=2, **({"cursor": cursor} if cursor else {}))
        assert door.clock.now - at <= 14_000
        total += int(str(got.doc["redriven"]))
        cursor, requests = got.doc["cursor"], requests + 1
    assert (total, states(door, ids)) == (60, {"queued"})
    assert requests >= 3
    assert door.clock.now - began >= 28_000


def test_few_matches_among_many_are_looked_for_within_bounds(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKED", 20)
    for n in range(60):
        dead(door, n)
    wanted = dead(door, type_="b")
    cursor: Json = None
    found, requests = 0, 0
    while not requests or cursor is not None:
        got = ask(door, type="b", **({"cursor": cursor} if cursor else {}))
        found += int(str(got.doc["matched"]))
        cursor, requests = got.doc["cursor"], requests + 1
    assert (found, states(door, [wanted])) == (1, {"queued"})
    assert requests >= 3


def test_what_the_table_does_not_answer_for_is_told_and_stays_dead(door: Door) -> None:
    ids = [dead(door, n) for n in range(40)]
    spoilt: list[int] = []

    def plan(call: Call) -> Fault | None:
        if call.operation == "BatchExecuteStatement" and not spoilt:
            spoilt.append(1)
            return Fault(failing=frozenset({0}))
        return None

    door.behind(FaultySyncPort(door.aws, plan))
    got = ask(door)
    assert (got.doc["matched"], got.doc["redriven"], got.doc["failed"]) == (40, 39, 1)
    assert sum(task.state is State.DEAD for task in records(door, ids)) == 1
    assert ask(door, before=got.doc["before"]).doc["redriven"] == 1


def test_what_could_not_be_sent_the_sweeper_looks_at_at_once(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [dead(door, n) for n in range(40)]
    door.clock.now += 1_000

    def plan(call: Call) -> Fault | None:
        if call.operation == "SendMessageBatch":
            return Fault(failing=frozenset({0}))
        return Fault(error="throttled") if call.operation == "SendMessage" else None

    door.behind(FaultySyncPort(door.aws, plan))
    assert ask(door).doc["redriven"] == 40
    unsent = 40 - len(door.messages())
    assert unsent >= 1
    hurried = [task for task in records(door, ids) if task.due_at == door.clock.now]
    assert len(hurried) == unsent
    assert caplog.messages.count("api.not_sent") == unsent


def test_what_was_done_before_a_fault_is_told(door: Door) -> None:
    for n in range(60):
        dead(door, n)
    writes: list[int] = []

    def plan(call: Call) -> Fault | None:
        if call.operation == "BatchExecuteStatement":
            writes.append(1)
            return Fault(error="throttled") if len(writes) == 3 else None
        return None

    door.behind(FaultySyncPort(door.aws, plan))
    got = ask(door)
    assert got.status == 202
    assert got.doc["cursor"]
    rest = ask(door, cursor=got.doc["cursor"]).doc
    assert int(str(got.doc["redriven"])) + int(str(rest["redriven"])) == 60


def test_a_fault_before_anything_was_done_is_a_503(door: Door) -> None:
    dead(door)
    door.behind(FaultySyncPort(door.aws, lambda call: Fault(error="throttled")))
    assert ask(door).status == 503


def test_a_lost_answer_gives_no_second_life(door: Door) -> None:
    ids = [dead(door, n) for n in range(30)]
    lost: list[int] = []

    def plan(call: Call) -> Fault | None:
        if call.operation == "BatchExecuteStatement" and not lost:
            lost.append(1)
            return Fault(error="lost")
        return None

    door.behind(FaultySyncPort(door.aws, plan))
    assert ask(door).status == 503
    assert ask(door).status == 202
    assert states(door, ids) == {"queued"}
    outcomes = [[each.outcome for each in task.history] for task in records(door, ids)]
    assert outcomes == [["ended", "redriven"]] * 30


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "5"}, "limit"),
        ({"rate": 0.5}, "rate"),
        ({"rate": 1e9}, "rate"),
        ({"type": ""}, "type"),
        ({"type": "a b"}, "type"),
        ({"error": "x"}, "error"),
        ({"error": "0123456789ab\n"}, "error"),
        ({"before": "yesterday"}, "before"),
        ({"dry_run": 1}, "dry_run"),
        ({"cursor": "AAAA"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"tenant": "x"}, "tenant"),
    ],
)
def test_bad_fields_are_named(door: Door, fields: dict[str, Json], field: str) -> None:
    got = ask(door, **fields)
    assert (got.status, got.fields) == (422, [field])


def test_a_moment_of_another_millennium_is_written_with_four_digits(door: Door) -> None:
    asked = '{"before": "0089-10-06T11:49:08Z"}'
    got = door.ask("POST", "/redrives", asked)
    assert (got.status, got.doc["before"]) == (202, "0089-10-06T11:49:08.000Z")


@pytest.mark.parametrize(("limit", "status"), [("5.0", 202), ("5.5", 422), ("1e300", 422)])
def test_a_whole_number_may_be_written_with_a_fraction_of_zero(
    door: Door, limit: str, status: int
) -> None:
    assert door.ask("POST", "/redrives", f'{{"limit": {limit}}}').status == status


def test_a_cursor_is_for_its_filters_and_its_moment(door: Door) -> None:
    for n in range(3):
        dead(door, n)
    cursor = ask(door, limit=1, dry_run=True).doc["cursor"]
    assert ask(door, type="a", cursor=cursor).fields == ["cursor"]
    assert ask(door, before="2020-01-01T00:00Z", cursor=cursor).fields == ["before"]
    assert isinstance(cursor, str)
    assert ask(door, cursor=cursor[:-2]).fields == ["cursor"]


class Killed(BaseException):
    """What no handler of errors holds up."""


@pytest.mark.parametrize("at", [1, 2, 7, 40, 100, 161])
def test_a_thousand_that_were_killed_half_way_and_begun_again_get_one_life_each(
    door: Door, at: int
) -> None:
    ids = dead_many(door, 1_000)
    door.clock.now += 1_000
    before = "2027-01-15T08:00:01Z"
    calls: list[int] = []

    def kill(call: Call) -> None:
        calls.append(1)
        if len(calls) == at:
            raise Killed

    door.port.before = kill
    with pytest.raises(Killed):
        ask(door, before=before)
    door.port.before = lambda call: None
    door.clock.now += 1_000
    for task in records(door, ids)[:100]:
        if task.state is State.QUEUED:
            settle(door, task.id, DIE)  # its new life is over already
    while True:
        got = ask(door, before=before)
        if got.doc["cursor"] is None:
            break
    lives = [[each.outcome for each in task.history] for task in records(door, ids)]
    assert {each.count("redriven") for each in lives} == {1}


def dead_many(door: Door, count: int) -> list[str]:
    ids: list[str] = []
    for first in range(0, count, 100):
        tasks: list[Json] = [{"type": "a", "payload": first + n} for n in range(100)]
        got = door.ask("POST", "/tasks/batch", json.dumps({"tasks": tasks}))
        results = got.doc["results"]
        assert isinstance(results, list)
        ids += [str(dig(each, "id")) for each in results]
    for task_id in ids:
        settle(door, task_id, DIE)
    return ids
