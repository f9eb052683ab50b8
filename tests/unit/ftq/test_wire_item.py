"""`ftq.wire.item`: the record as a DynamoDB item, both ways."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.lifecycle import State
from ftq.task import Entry, Failure, Task, bucket_of
from ftq.text import dump
from ftq.wire.item import history_text, number, read_failure, read_task, text, to_item

NAMES = st.sampled_from(
    ["id", "type", "state", "claim_no", "attempts", "releases", "free_at", "history", "S", "N"]
)
GARBAGE: st.SearchStrategy[object] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.text(st.characters()),
        st.binary(),
        st.sampled_from(["queued", "9" * 5000, "[[", '[{"claim_no":"x"}]', '{"type":7}', "1e5"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=6),
    ),
    max_leaves=20,
)
PLAIN = Task(
    "t1",
    "email.send",
    "https://queue",
    State.RUNNING,
    fingerprint="f",
    claim_no=3,
    attempts=1,
    releases=1,
    payload='{"a":1}',
    last_error=Failure("exception", "KeyError", "'a'", "0123"),
    history=(Entry(1, "d1", 5, "raised", "KeyError", 7), Entry(2, "d2", 9, "released")),
)


@given(st.from_type(Task))
def test_any_record_comes_back_as_it_was(task: Task) -> None:
    expected = replace(task, free_at=0) if task.final else task
    assert read_task(to_item(task)) == expected


@given(st.lists(st.from_type(Entry)))
def test_the_history_is_canonical_json(history: list[Entry]) -> None:
    assert history_text(tuple(history)) == dump([entry.to_json() for entry in history])


@given(st.from_type(Task))
def test_an_item_holds_only_texts_and_numbers_and_its_key(task: Task) -> None:
    item = to_item(task)
    for value in item.values():
        [(kind, held)] = value.items()
        assert kind in ("S", "N")
        assert isinstance(held, str)
        assert kind == "S" or str(int(held)) == held
    assert item["id"] == text(task.id)
    assert item["bucket"] == text(bucket_of(task.id, task.state))


@pytest.mark.parametrize("state", list(State))
def test_free_at_is_there_exactly_while_the_task_is_open(state: State) -> None:
    task = replace(PLAIN, state=state)
    assert ("free_at" in to_item(task)) is not task.final


def test_what_is_not_set_is_absent_where_its_absence_means_something() -> None:
    bare = to_item(replace(PLAIN, payload=None))
    assert not {"expires_at", "cancel_requested", "payload"} & set(bare)
    full = to_item(replace(PLAIN, expires_at=5, cancel_requested=6, payload=""))
    assert (full["expires_at"], full["cancel_requested"]) == (number(5), number(6))
    assert full["payload"] == text("")


def test_every_other_attribute_is_there_from_the_start() -> None:
    item = to_item(Task("t1", "a", "q", State.QUEUED))
    absent = {"expires_at", "cancel_requested", "payload", "trace"}
    assert set(item) == {field.name for field in fields(Task)} - absent | {"bucket"}


@given(GARBAGE)
def test_garbage_is_no_record_and_never_raises(garbage: object) -> None:
    assert read_task(garbage) is None or isinstance(garbage, dict)


@given(st.sampled_from(sorted(to_item(PLAIN))), GARBAGE)
def test_a_record_with_one_attribute_of_garbage_never_raises(name: str, garbage: object) -> None:
    read = read_task({**to_item(PLAIN), name: garbage})
    assert read is None or isinstance(read, Task)


@given(
    st.sampled_from(sorted(to_item(PLAIN))), st.sampled_from(["S", "N"]), st.text() | st.floats()
)
def test_a_record_with_one_value_of_garbage_never_raises(
    name: str, kind: str, garbage: object
) -> None:
    read = read_task({**to_item(PLAIN), name: {kind: garbage}})
    assert read is None or isinstance(read, Task)


@pytest.mark.parametrize("name", ["id", "type", "state", "claim_no", "attempts", "releases"])
def test_an_item_without_what_a_claim_needs_is_no_record(name: str) -> None:
    item = to_item(PLAIN)
    assert read_task(item) == PLAIN
    del item[name]
    assert read_task(item) is None


def test_an_item_in_a_state_of_another_version_is_no_record() -> None:
    assert read_task({**to_item(PLAIN), "state": text("paused")}) is None


@given(st.text() | st.text('{}[]":,typeclas0', max_size=30))
def test_a_stored_error_of_garbage_is_none_or_a_failure(stored: str) -> None:
    read = read_failure(stored)
    assert read is None or isinstance(read, Failure)


@pytest.mark.parametrize("stored", ["", "x", "[]", "7", '{"type"', "NaN"])
def test_what_is_no_stored_error_is_read_as_none(stored: str) -> None:
    assert read_failure(stored) is None


@pytest.mark.parametrize(
    ("stored", "history"),
    [
        ("", ()),
        ("x", ()),
        ("{}", ()),
        ("[7,null,[]]", ()),
        ('[{"claim_no":true,"by":7,"at":null,"ms":1.5}]', (Entry(0, "", 0, ""),)),
        ('[{"claim_no":2,"by":"d","at":3,"outcome":"x","new":1}]', (Entry(2, "d", 3, "x"),)),
    ],
)
def test_a_stored_history_is_read_as_far_as_it_can_be(
    stored: str, history: tuple[Entry, ...]
) -> None:
    read = read_task({**to_item(PLAIN), "history": text(stored)})
    assert read == replace(PLAIN, history=history)
