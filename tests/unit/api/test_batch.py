"""POST /tasks/batch: each task by itself, in order, with the guarantees of a single one."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from ftq import Registry
from ftq.codec import decode
from ftq.ports import Call
from ftq.task import payload_key
from ftq.testing import Fault, FaultySyncPort, script
from ftq.text import Json
from tests.unit.api.door import Door, Got, dig


class Number(BaseModel):
    n: int


def ask(door: Door, *tasks: Json, **headers: str) -> Got:
    return door.ask("POST", "/tasks/batch", json.dumps({"tasks": [*tasks]}), headers)


def task(payload: Json = 1, key: str | None = None, **more: Json) -> Json:
    return {"type": "a", "payload": payload, **more, **({"idempotency_key": key} if key else {})}


def results(got: Got) -> list[Json]:
    assert got.status == 200, got.body
    found = got.doc["results"]
    assert isinstance(found, list)
    return found


def statuses(got: Got) -> list[Json]:
    return [dig(each, "status") for each in results(got)]


def ids(got: Got) -> list[str]:
    return [str(dig(each, "id")) for each in results(got)]


def test_each_task_is_answered_in_order_as_a_single_one_is(door: Door) -> None:
    got = ask(door, task({"n": 1}), task({"n": 2}, tenant="acme", delay_seconds=7_200))
    assert statuses(got) == [202, 202]
    for n, each in enumerate(results(got)):
        shown = door.get(ids(got)[n]).doc
        assert dig(shown, "payload", "n") == n + 1
        names = ("id", "type", "state", "created_at", "correlation_id")
        assert each == {"status": 202, **{name: shown[name] for name in names}}
    assert [dig(each, "state") for each in results(got)] == ["queued", "scheduled"]


def test_a_hundred_tasks_take_four_writes_and_ten_sends(door: Door) -> None:
    got = ask(door, *(task({"n": n}) for n in range(100)))
    assert statuses(got) == [202] * 100
    assert door.port.operations == ["BatchExecuteStatement"] * 4 + ["SendMessageBatch"] * 10
    messages = door.messages()
    assert {getattr(decode(each.body), "id", "") for each in messages} == set(ids(got))
    assert all(each.stored for each in messages)


def test_one_that_is_wrong_spoils_no_other(door: Door) -> None:
    got = ask(
        door,
        task(1),
        3,
        {"type": "a"},
        task(1, type="a b"),
        task("x" * 262_145),
        task(1, extra=1),
        task(1, delay_seconds=1, not_before="2030-01-01T00:00Z"),
        task(2),
    )
    assert statuses(got) == [202, 422, 422, 422, 413, 422, 422, 202]
    problem = dig(results(got)[3], "problem")
    assert dig(problem, "type") == "urn:ftq:problem:invalid"
    assert dig(problem, "errors", 0, "field") == "type"
    assert dig(results(got)[5], "problem", "errors", 0, "field") == "extra"
    assert len(door.messages()) == 2


def test_equal_keys_are_folded_and_a_key_of_two_tasks_is_a_conflict(door: Door) -> None:
    got = ask(door, task(1, "k"), task(2, "k"), task(1, "k"), task(1, "k", tenant="other"))
    assert statuses(got) == [202, 409, 202, 202]
    assert dig(results(got)[0], "id") == dig(results(got)[2], "id")
    assert dig(results(got)[1], "problem", "id") == dig(results(got)[0], "id")
    assert dig(results(got)[3], "id") != dig(results(got)[0], "id")
    assert len(door.messages()) == 2


def test_a_repeat_is_answered_as_the_first_time(door: Door) -> None:
    tasks = [task(n, f"k{n}") for n in range(30)]
    first = ask(door, *tasks, **{"x-correlation-id": "c"})
    door.clock.now += 60_000
    again = ask(door, *tasks, **{"x-correlation-id": "d"})
    assert results(again) == results(first)
    other = ask(door, *(task(-1 - n, f"k{n}") for n in range(30)))
    assert statuses(other) == [409] * 30
    assert door.post({"type": "a", "payload": 3}, key="k3").id == ids(first)[3]


def test_a_large_payload_is_stored_beside_first(door: Door) -> None:
    got = ask(door, task("x" * 3_000), task(1))
    assert door.port.operations == ["PutItem", "BatchExecuteStatement", "SendMessageBatch"]
    record = door.record(ids(got)[0])
    assert record is not None
    assert record.payload is None
    assert door.beside(payload_key(record.id, record.fingerprint)) is not None


def test_large_messages_are_sent_within_what_a_batch_may_carry(door: Door) -> None:
    got = ask(door, *(task("x" * 100_000 + str(n)) for n in range(6)))
    assert statuses(got) == [202] * 6
    assert len(door.messages()) == 6


def test_tasks_are_held_against_the_registry_one_by_one() -> None:
    registry = Registry()

    @registry.handler("a")
    async def a(payload: Number) -> None: ...

    door = Door(registry=registry)
    got = ask(door, task({"n": 1}), task({"n": "x"}), task(1, type="b"))
    assert statuses(got) == [202, 422, 422]


# --- faults -----------------------------------------------------------------------------------


def test_what_is_not_known_to_be_stored_is_told_with_its_key(door: Door) -> None:
    door.behind(FaultySyncPort(door.port, lambda call: Fault("unavailable")))
    got = ask(door, task(1, "mine"), task(2))
    assert statuses(got) == [503, 503]
    assert dig(results(got)[0], "problem", "idempotency_key") == "mine"
    key = dig(results(got)[1], "problem", "idempotency_key")
    door.behind(door.port)
    again = ask(door, task(1, "mine"), task(2, str(key)))
    assert statuses(again) == [202, 202]


def test_a_lost_answer_makes_no_second_task(door: Door) -> None:
    tasks = [task(n, f"k{n}") for n in range(40)]
    door.behind(FaultySyncPort(door.port, script({"BatchExecuteStatement": [Fault("lost")]})))
    got = ask(door, *tasks)
    assert statuses(got) == [503] * 25 + [202] * 15
    again = ask(door, *tasks)
    assert statuses(again) == [202] * 40
    assert len(set(ids(again))) == 40
    assert len({getattr(decode(each.body), "id", "") for each in door.messages()}) == 40


def test_a_write_that_fails_within_a_batch_is_tried_by_itself(door: Door) -> None:
    failing = Fault(failing=frozenset({0, 3}))
    door.behind(FaultySyncPort(door.port, script({"BatchExecuteStatement": [failing]})))
    got = ask(door, *(task(n) for n in range(10)))
    assert statuses(got) == [202] * 10
    assert door.port.operations.count("PutItem") == 2
    assert len(door.messages()) == 10


def test_a_message_that_is_not_sent_is_left_to_the_sweeper(door: Door) -> None:
    failing = Fault(failing=frozenset({1}))
    door.behind(FaultySyncPort(door.port, script({"SendMessageBatch": [failing]})))
    got = ask(door, *(task(n) for n in range(3)))
    assert statuses(got) == [202] * 3
    assert len(door.messages()) == 2
    due = [record.due_at for each in ids(got) if (record := door.record(each))]
    assert [at == door.clock.now for at in due] == [False, True, False]


def test_a_request_that_runs_out_of_time_answers_for_each(door: Door) -> None:
    def slow(call: Call) -> None:
        door.clock.now += 5_000

    door.port.before = slow
    got = ask(door, *(task(n) for n in range(100)))
    assert statuses(got) == [202] * 75 + [503] * 25


# --- the request as a whole -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ("{", 400, []),
        ("[]", 422, [""]),
        ("{}", 422, ["tasks"]),
        ('{"tasks": []}', 422, ["tasks"]),
        ('{"tasks": {}}', 422, ["tasks"]),
        ('{"tasks": [1], "more": 1}', 422, ["more"]),
        (json.dumps({"tasks": [1] * 101}), 422, ["tasks"]),
        (" " * (4 * 1024 * 1024 + 1), 413, []),
    ],
)
def test_a_request_that_is_wrong_as_a_whole_is_refused(
    door: Door, body: str, status: int, fields: list[str]
) -> None:
    got = door.ask("POST", "/tasks/batch", body)
    assert (got.status, got.fields) == (status, fields)
    assert door.port.calls == []


def test_one_key_for_many_tasks_is_refused(door: Door) -> None:
    got = ask(door, task(), **{"idempotency-key": "k"})
    assert (got.status, got.fields) == (422, ["Idempotency-Key"])


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, 3])
def test_a_malformed_key_is_named(door: Door, key: Json) -> None:
    (found,) = results(ask(door, {"type": "a", "payload": 1, "idempotency_key": key}))
    assert dig(found, "problem", "errors", 0, "field") == "idempotency_key"
