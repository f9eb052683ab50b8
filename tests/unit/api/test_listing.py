"""GET /tasks: what is listed, in which order, and that pages fit together."""

from __future__ import annotations

import json
import random
from urllib.parse import quote

import pytest

from api_lambda import listing as module
from ftq.cursor import write_cursor
from ftq.ports import Call, Reply, SyncPort
from ftq.settlement import Complete, Counter, Release, RetryAt, Settlement
from ftq.text import Json
from tests.unit.api.door import Door, Got, dig
from tests.unit.api.dying import DIE, OOPS, dead, settle, submitted


def ask(door: Door, **params: object) -> Got:
    query = "&".join(f"{name}={quote(str(value))}" for name, value in params.items())
    return door.ask("GET", f"/tasks?{query}")


def ids(got: Got) -> list[str]:
    assert got.status == 200, got.body
    tasks = got.doc["tasks"]
    assert isinstance(tasks, list)
    return [str(dig(task, "id")) for task in tasks]


def pages(door: Door, **params: object) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: Json = None
    while not found or cursor is not None:
        got = ask(door, **params, **({"cursor": cursor} if cursor else {}))
        found.append(ids(got))
        cursor = got.doc["cursor"]
    return found


def listed(door: Door, **params: object) -> list[str]:
    return [each for page in pages(door, **params) for each in page]


def one_after_the_other(door: Door, count: int) -> list[str]:
    made: list[str] = []
    for n in range(count):
        made.append(submitted(door, n))
        door.clock.now += 10
    return made


def test_tasks_are_listed_newest_first(door: Door) -> None:
    made = one_after_the_other(door, 30)
    assert ids(ask(door)) == made[::-1]


def test_a_task_is_listed_without_what_may_be_large(door: Door) -> None:
    task_id = dead(door, {"secret": 1}, tenant="acme")
    (task,) = [dig(ask(door).doc, "tasks", 0)]
    shown = door.get(task_id).doc
    assert isinstance(task, dict)
    assert shown.keys() - task.keys() == {"payload", "result", "progress", "history"}
    assert task == {name: shown[name] for name in task}


def test_what_is_open_and_what_has_ended_are_on_one_line(door: Door) -> None:
    first, second, third, fourth = one_after_the_other(door, 4)
    settle(door, second, Complete("1"))
    door.clock.now += 10
    fifth = submitted(door)
    door.clock.now += 10
    settle(door, first, Complete("1"))
    assert ids(ask(door)) == [first, fifth, second, fourth, third]


@pytest.mark.parametrize("limit", [1, 7, 50, 100])
def test_pages_fit_together(door: Door, limit: int) -> None:
    made = one_after_the_other(door, 120 if limit > 1 else 20)
    found = pages(door, limit=limit)
    assert [each for page in found for each in page] == made[::-1]
    assert {len(page) for page in found[:-2]} <= {limit}


def test_tasks_of_one_moment_are_listed_once_each_whatever_the_page(door: Door) -> None:
    made = {submitted(door, n) for n in range(200)}
    found = listed(door, limit=9)
    assert len(found) == 200
    assert set(found) == made


def test_who_reads_on_misses_and_doubles_nothing_that_does_not_move(door: Door) -> None:
    dice = random.Random(7)
    made = [submitted(door, n) for n in range(300)]
    for task_id in dice.sample(made, 90):
        door.clock.now += dice.randrange(3)
        settle(door, task_id, Complete("1"))
    waiting = [each for each in made if (task := door.record(each)) and not task.final]
    movers = set(dice.sample(waiting, 60))
    left = sorted(movers)
    found: list[str] = []
    cursor: Json = None
    while not found or cursor is not None:
        got = ask(door, limit=13, **({"cursor": cursor} if cursor else {}))
        found += ids(got)
        cursor = got.doc["cursor"]
        door.clock.now += 5
        submitted(door)
        for task_id in left[:4]:
            verdict = RetryAt(door.clock.now + 1_000, Counter.ATTEMPTS, OOPS)
            endings: list[Settlement] = [Complete("1"), Release(), verdict]
            settle(door, task_id, dice.choice(endings))
        left = left[4:]
    still = [each for each in made if each not in movers]
    assert sorted(each for each in found if each in set(still)) == sorted(still)


def test_tasks_are_listed_by_state(door: Door) -> None:
    queued, running, retrying, done, cancelled = one_after_the_other(door, 5)
    scheduled = submitted(door, delay_seconds=7_200)
    died = dead(door)
    door.claim(running)
    settle(door, retrying, RetryAt(door.clock.now + 60_000, Counter.ATTEMPTS, OOPS))
    settle(door, done, Complete("1"))
    door.ask("POST", f"/tasks/{cancelled}/cancel")
    wanted = {
        "queued": queued,
        "running": running,
        "retrying": retrying,
        "succeeded": done,
        "cancelled": cancelled,
        "scheduled": scheduled,
        "dead": died,
    }
    for state, task_id in wanted.items():
        assert listed(door, state=state) == [task_id], state


def test_tasks_are_listed_by_type_and_tenant(door: Door) -> None:
    one = submitted(door, tenant="acme")
    two = submitted(door, type_="b", tenant="acme")
    three = submitted(door, type_="b")
    assert set(listed(door, type="b")) == {two, three}
    assert set(listed(door, tenant="acme")) == {one, two}
    assert listed(door, type="b", tenant="acme") == [two]
    assert listed(door, type="none") == []


def test_the_record_is_believed_and_not_the_index(door: Door) -> None:
    task_id = submitted(door)
    other = submitted(door)
    door.lag(60_000)
    settle(door, task_id, Complete("1"))
    assert listed(door, state="queued") == [other]
    assert dig(ask(door, limit=2).doc, "tasks", 0, "state") in ("queued", "succeeded")


def test_few_among_many_are_looked_for_within_bounds(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKED", 50)
    one_after_the_other(door, 150)
    wanted = submitted(door)
    one_after_the_other(door, 150)
    door.claim(wanted)
    found = pages(door, state="running", limit=10)
    assert [each for page in found for each in page] == [wanted]
    assert len(found) >= 4


def test_a_page_takes_a_bounded_number_of_calls(door: Door) -> None:
    one_after_the_other(door, 400)
    door.port.calls.clear()
    ask(door, limit=100)
    assert len(door.port.calls) <= 60
    door.port.calls.clear()
    ask(door, limit=1, state="running")
    assert len(door.port.calls) <= 80


def test_a_page_ends_in_time(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    made = one_after_the_other(door, 60)

    def slow(call: object) -> None:
        door.clock.now += 150

    door.port.before = slow
    found = listed(door, limit=50)
    assert sorted(found) == sorted(made)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"state": "open"}, "state"),
        ({"state": ""}, "state"),
        ({"state": "DEAD"}, "state"),
        ({"type": "a b"}, "type"),
        ({"type": ""}, "type"),
        ({"tenant": "é"}, "tenant"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "1e1"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "AAAA"}, "cursor"),
        ({"cursor": "x" * 2000}, "cursor"),
        ({"order": "asc"}, "order"),
    ],
)
def test_bad_parameters_are_named_with_what_they_were(
    door: Door, params: dict[str, str], field: str
) -> None:
    got = ask(door, **params)
    assert (got.status, got.fields) == (422, [field])
    assert len(got.body) < 1_000


def test_a_parameter_given_twice_is_refused(door: Door) -> None:
    got = door.ask("GET", "/tasks?type=a&type=b")
    assert (got.status, got.fields) == (422, ["type"])


def test_a_cursor_is_good_for_its_filters_only(door: Door) -> None:
    one_after_the_other(door, 3)
    cursor = str(ask(door, limit=1).doc["cursor"])
    assert ask(door, cursor=cursor).status == 200
    assert ask(door, cursor=cursor, type="a").fields == ["cursor"]
    at = len(cursor) // 2
    changed = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
    assert ask(door, cursor=changed).fields == ["cursor"]


def test_a_cursor_with_a_key_of_no_task_is_refused(door: Door) -> None:
    forged = write_cursor(["tasks", "", "", ""], [1, "daemon#d1"])
    assert ask(door, cursor=forged).fields == ["cursor"]
    assert ask(door, cursor=write_cursor(["tasks", "", "", ""], [10**40, "x"])).status == 422


def test_ten_thousand_are_listed_while_tasks_move_and_none_that_stays_is_missed(
    door: Door,
) -> None:
    dice = random.Random(1)
    made: list[str] = []
    for first in range(0, 10_000, 100):
        tasks: list[Json] = [{"type": "a", "payload": first + n} for n in range(100)]
        got = door.ask("POST", "/tasks/batch", json.dumps({"tasks": tasks}))
        made += [str(dig(got.doc, "results", n, "id")) for n in range(100)]
        door.clock.now += dice.randrange(2)
    movers = dice.sample(made, 500)
    endings: list[Settlement] = [Complete("1"), DIE]
    found: list[str] = []
    cursor: Json = None
    while not found or cursor is not None:
        got = ask(door, limit=100, **({"cursor": cursor} if cursor else {}))
        found += ids(got)
        cursor = got.doc["cursor"]
        door.clock.now += 1
        for task_id in movers[-5:]:
            settle(door, task_id, dice.choice(endings))
        del movers[-5:]
    still = set(_still(door, made))
    assert len(still) <= 9_600
    assert sorted(each for each in found if each in still) == sorted(still)


def _still(door: Door, made: list[str]) -> list[str]:
    return [each for each in made if (task := door.record(each)) and not task.final]


class AnyOrder:
    """A port on which what is due at one moment comes in any order, as DynamoDB may have it."""

    def __init__(self, port: SyncPort) -> None:
        self.port = port

    def call(self, call: Call) -> Reply:
        reply = self.port.call(call)
        items = reply.get("Items")
        if not isinstance(items, list):
            return reply
        mixed = sorted(items, key=lambda item: (-int(item["due_at"]["N"]), item["id"]["S"][::-1]))
        return {**reply, "Items": mixed}


@pytest.mark.parametrize("limit", [3, 10])
def test_the_order_of_one_moment_is_ours_whatever_the_index_has(door: Door, limit: int) -> None:
    made = {submitted(door, n) for n in range(150)}
    door.behind(AnyOrder(door.aws))
    found = listed(door, limit=limit)
    assert found == sorted(made, reverse=True)
