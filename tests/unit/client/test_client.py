"""Asking the real API through the client: what it returns, waits for, and does only once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from ftq.client import (
    ApiError,
    Client,
    Conflict,
    Denied,
    NotFound,
    Redriven,
    Refused,
    StillOpen,
    TaskFailed,
    Unreachable,
)
from ftq.client.answers import Task
from ftq.client.exchange import RETRY
from ftq.errors import SettingsError
from ftq.lifecycle import State
from ftq.settlement import Complete, Counter, Release
from ftq.task import failure
from tests.unit.api.door import NOW, Door
from tests.unit.api.dying import DIE, dead, settle, submitted
from tests.unit.client.bridge import URL, Bridge, refused, reply_lost, says

OOPS = failure("exception", "OSError", "disk full")


# --- get ----------------------------------------------------------------------------------------


def test_a_task_is_shown_with_the_contracts_names_and_aware_times(
    bridge: Bridge, door: Door
) -> None:
    task_id = dead(door, {"n": 1}, "a.b", OOPS, tenant="acme")
    task = bridge.client().get(task_id)
    assert (task.id, task.type, task.state, task.tenant) == (task_id, "a.b", "dead", "acme")
    assert (task.attempts, task.claim_no, task.payload) == (1, 1, {"n": 1})
    assert task.created_at == task.finished_at == datetime.fromtimestamp(NOW / 1000, UTC)
    assert task.last_error is not None
    assert (task.last_error.class_name, task.last_error.message) == ("OSError", "disk full")
    assert task.last_error.fingerprint == OOPS.fingerprint
    [entry] = task.history
    assert (entry.claim_no, entry.by, entry.at) == (1, "a-daemon", task.created_at)
    assert (task.final, task.succeeded) == (True, False)
    assert task.document == door.get(task_id).doc


def test_what_a_newer_api_adds_is_no_fault() -> None:
    task = Task.of({"id": "a", "type": "b", "state": "resting", "mood": {"good": True}})
    assert (task.state, task.final, task.document["mood"]) == ("resting", False, {"good": True})


def test_a_task_that_is_not_there_is_not_found(bridge: Bridge) -> None:
    for task_id in ("nothing", "../health", "a#b", "ü", "a?b"):
        with pytest.raises(NotFound) as caught:
            bridge.client().get(task_id)
        assert (caught.value.status, caught.value.kind) == (404, "no-such-task")


@pytest.mark.parametrize("status", [401, 403])
def test_a_caller_that_is_not_known_is_denied(bridge: Bridge, status: int) -> None:
    bridge.faults = deque([says(status, '{"message": "Forbidden"}')])
    with pytest.raises(Denied, match=f"^{status} Forbidden$"):
        bridge.client().get("a")


def test_a_fault_of_the_apis_own_is_not_repeated(bridge: Bridge) -> None:
    bridge.faults = deque([says(500, '{"title": "Something went wrong here"}')])
    with pytest.raises(ApiError, match="500 Something went wrong here"):
        bridge.client().get("a")
    assert len(bridge.seen) == 1


def test_nobody_there_is_unreachable_after_all_tries(bridge: Bridge) -> None:
    bridge.faults = deque([refused] * 9)
    with pytest.raises(Unreachable, match=r"^http://api.test: cannot be reached: refused$"):
        bridge.client().get("a")
    assert len(bridge.seen) == RETRY.attempts


@pytest.mark.parametrize("url", ["", "there", "ftp://there", "http://", "http://[", "//there"])
def test_a_client_wants_an_http_url(url: str) -> None:
    with pytest.raises(SettingsError, match="is not an HTTP URL"):
        Client(url)


def test_a_path_before_the_api_is_kept(bridge: Bridge) -> None:
    client = Client(f"{URL}/prod/", transport=bridge, world=bridge.world)
    with pytest.raises(ApiError):
        client.get("a:b")
    assert str(bridge.seen[0].url) == "http://api.test/prod/tasks/a%3Ab"


# --- wait ---------------------------------------------------------------------------------------


def ends_after(door: Door, task_id: str, polls: int) -> Callable[[httpx.Request], None]:
    left = polls

    def after(request: httpx.Request) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            settle(door, task_id, Complete('"done"'))

    return after


def test_waiting_asks_at_growing_intervals_until_the_end(bridge: Bridge, door: Door) -> None:
    task_id = submitted(door)
    bridge.after = ends_after(door, task_id, 14)
    task = bridge.client().wait(task_id)
    assert (task.succeeded, task.result) == (True, "done")
    assert bridge.pauses[0] == pytest.approx(0.0375)
    assert bridge.pauses == sorted(bridge.pauses)
    assert bridge.pauses[-1] == pytest.approx(3.75)
    assert len(bridge.pauses) == 14


def test_waiting_ends_in_time(bridge: Bridge, door: Door) -> None:
    task_id = submitted(door)
    with pytest.raises(StillOpen, match=f"{task_id} is still queued after 10 s") as caught:
        bridge.client().wait(task_id, timeout=10)
    assert isinstance(caught.value, TimeoutError)
    assert sum(bridge.pauses) == pytest.approx(10, abs=0.01)


def test_a_wait_of_no_time_looks_once(bridge: Bridge, door: Door) -> None:
    with pytest.raises(StillOpen):
        bridge.client().wait(submitted(door), timeout=0)
    assert (len(bridge.seen), bridge.pauses) == (1, [])


def test_an_end_without_success_is_an_error_if_wanted(bridge: Bridge, door: Door) -> None:
    task_id, client = dead(door, {"secret": "s3cret"}), bridge.client()
    assert client.wait(task_id).state == State.DEAD
    with pytest.raises(TaskFailed, match=f"{task_id} is dead: permanent") as caught:
        client.wait(task_id, raise_on_failure=True)
    assert (caught.value.state, "s3cret" in str(caught.value)) == ("dead", False)


# --- list ---------------------------------------------------------------------------------------


def test_a_list_goes_on_to_its_end_page_by_page(bridge: Bridge, door: Door) -> None:
    ids = []
    for n in range(230):
        ids.append(submitted(door, n))
        door.clock.now += 10
    listed = bridge.client().list()
    assert bridge.seen == []
    tasks = [*listed]
    assert [task.id for task in tasks] == ids[::-1]
    assert tasks[0].document["id"] == tasks[0].id
    assert 3 <= len(bridge.seen) <= 4


def test_a_list_takes_filters_and_a_limit(bridge: Bridge, door: Door) -> None:
    for n in range(3):
        dead(door, n, "a", tenant="acme")
    submitted(door, 9, "a", tenant="acme")
    dead(door, 8, "b")
    client = bridge.client()
    found = [*client.list(state=State.DEAD, type="a", tenant="acme")]
    assert len(found) == 3
    assert len([*client.list(state="dead", limit=2)]) == 2
    assert [*client.list(limit=0)] == []


def test_a_filter_that_makes_no_sense_is_refused(bridge: Bridge) -> None:
    with pytest.raises(Refused) as caught:
        next(bridge.client().list(state="resting"))
    assert [field for field, _ in caught.value.errors] == ["state"]


# --- cancel -------------------------------------------------------------------------------------


def test_cancelling_says_whether_it_is_done(bridge: Bridge, door: Door) -> None:
    waits, runs = submitted(door, 1), submitted(door, 2)
    door.claim(runs)
    client = bridge.client()
    assert client.cancel(waits).state == "cancelled"
    asked = client.cancel(runs)
    assert (asked.state, asked.cancel_requested) == ("running", True)


def test_what_has_ended_cannot_be_cancelled(bridge: Bridge, door: Door) -> None:
    task_id, client = submitted(door), bridge.client()
    client.cancel(task_id)
    for each, state in ((dead(door, 2), "dead"), (task_id, "cancelled")):
        with pytest.raises(Conflict) as caught:
            client.cancel(each)
        assert (caught.value.state, caught.value.kind) == (state, "already-final")


def test_a_cancel_whose_answer_was_lost_is_done(bridge: Bridge, door: Door) -> None:
    bridge.faults = deque([reply_lost])
    assert bridge.client().cancel(submitted(door)).state == "cancelled"
    assert len(bridge.seen) == 2


# --- redrive ------------------------------------------------------------------------------------


def test_a_redrive_whose_answer_was_lost_gives_one_life(bridge: Bridge, door: Door) -> None:
    task_id = dead(door)

    def dies_again(request: httpx.Request) -> None:
        if request.url.path.endswith("/redrive"):
            bridge.after = lambda request: None
            settle(door, task_id, Release(Counter.RELEASES))

    bridge.after = dies_again
    bridge.faults = deque([None, reply_lost])
    assert bridge.client().redrive(task_id).redriven == 1
    assert bridge.paths == [f"GET /tasks/{task_id}", *[f"POST /tasks/{task_id}/redrive"] * 2]
    task = door.record(task_id)
    assert task is not None
    assert (task.past, task.claim_no) == (1, 2)


def test_what_is_not_dead_cannot_be_redriven(bridge: Bridge, door: Door) -> None:
    with pytest.raises(Conflict) as caught:
        bridge.client().redrive(submitted(door))
    assert (caught.value.state, caught.value.kind) == ("queued", "not-dead")


def test_all_that_fit_are_redriven_to_the_end_and_progress_is_told(
    bridge: Bridge, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api_lambda.redrives.LOOKED", 20)
    ids = [dead(door, n, "a", OOPS) for n in range(90)]
    other = dead(door, 1, "b", OOPS)
    told: list[Redriven] = []
    done = bridge.client().redrive_all(type="a", error=OOPS.fingerprint, progress=told.append)
    assert (done.matched, done.redriven, done.failed, done.cursor) == (90, 90, 0, None)
    assert {door.get(each).doc["state"] for each in ids} == {"queued"}
    assert door.get(other).doc["state"] == "dead"
    assert [each.redriven for each in told] == sorted(each.redriven for each in told)
    assert len(told) > 2
    assert told[0].remaining is not None
    assert (told[0].redriven, told[0].remaining.count) == (0, 91)


def test_a_page_of_a_redrive_that_is_repeated_gives_nobody_two_lives(
    bridge: Bridge, door: Door
) -> None:
    task_id = dead(door)
    door.clock.now += 1_000

    def dies_again(request: httpx.Request) -> None:
        if b'"dry_run":false' in request.content:
            bridge.after = lambda request: None
            door.clock.now += 1_000
            settle(door, task_id, DIE)

    bridge.after = dies_again
    bridge.faults = deque([None, reply_lost])
    done = bridge.client().redrive_all()
    assert (done.redriven, door.get(task_id).doc["state"]) == (0, "dead")


def test_a_dry_run_counts_all_pages_and_changes_nothing(
    bridge: Bridge, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api_lambda.redrives.LOOKED", 20)
    ids = [dead(door, n) for n in range(50)]
    done = bridge.client().redrive_all(dry_run=True)
    assert (done.matched, done.redriven, done.dry_run) == (50, 0, True)
    assert {door.get(each).doc["state"] for each in ids} == {"dead"}


# --- stats --------------------------------------------------------------------------------------


def test_stats_are_values(bridge: Bridge, door: Door) -> None:
    dead(door)
    submitted(door, 2)
    door.clock.now += 5_000
    stats = bridge.client().stats()
    assert stats.at == datetime.fromtimestamp(NOW / 1000 + 5, UTC)
    assert (stats.counts["dead"], stats.counts["queued"], stats.exact) == (1, 1, True)
    assert (stats.groups["open"].count, stats.oldest_age_seconds) == (1, 5)
    [queue] = stats.queues
    assert (queue.name, queue.in_flight) == ("tasks", 2)
    assert (stats.dead_letter_queue, stats.daemons, stats.breakers) == (None, (), ())


def test_the_dead_are_grouped(bridge: Bridge, door: Door) -> None:
    ids = [dead(door, n, "a.b", OOPS) for n in range(3)]
    letters = bridge.client().dead_letters("1h")
    [group] = letters.groups
    assert (letters.total, group.count, group.share, group.type) == (3, 3, 1, "a.b")
    assert (group.class_name, group.fingerprint) == ("OSError", OOPS.fingerprint)
    assert (set(group.samples), group.last_seen) == (set(ids), letters.until)
    assert [hour.count for hour in group.hours] == [3]
    with pytest.raises(Refused):
        bridge.client().dead_letters("soon")
