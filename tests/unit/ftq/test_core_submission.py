"""`ftq.submission`: what is stored and sent, before any of it is done."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.codec import Envelope, decode, fingerprint
from ftq.errors import InvalidField, KeyConflict, PayloadTooLarge
from ftq.lifecycle import State
from ftq.limits import BODY_BYTES, DELAY_SECONDS, ID_PATTERN, JSON_DEPTH, PAYLOAD_BYTES
from ftq.submission import (
    Submission,
    Terms,
    accepted_state,
    delay_left,
    needs_send,
    plan,
    same_task,
    task_id,
)
from ftq.text import Json, dump, size
from ftq.wire.item import to_item

NOW = 1_800_000_000_000
DAY = 24 * 3600 * 1000
TERMS = Terms("https://queue", grace=900_000, retention=30 * DAY)
ASKED = Submission("email.send", {"to": "a"}, "key-1")

KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
TENANTS = st.just("") | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,9}", fullmatch=True)
# Moments before, at and around the edge of what SQS itself can delay, and far beyond.
STARTS = st.one_of(
    st.just(0),
    st.integers(NOW - DAY, NOW + DAY),
    st.integers(NOW + 899_000, NOW + 901_000),
    st.integers(NOW, NOW + DELAY_SECONDS * 1000),
)
JSON: st.SearchStrategy[Json] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=600),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(KEYS, TENANTS)
def test_one_key_of_one_tenant_is_one_legal_id(key: str, tenant: str) -> None:
    assert task_id(key, tenant) == task_id(key, tenant)
    assert ID_PATTERN.fullmatch(task_id(key, tenant))
    assert len(task_id(key, tenant)) == 32


@given(st.tuples(KEYS, TENANTS), st.tuples(KEYS, TENANTS))
def test_ids_are_equal_only_for_equal_keys_of_equal_tenants(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (task_id(*one) == task_id(*other)) == (one == other)


def test_tenant_and_key_cannot_be_moved_into_each_other() -> None:
    assert len({task_id("bc", "a"), task_id("c", "ab"), task_id("abc", "")}) == 3


def test_the_id_of_a_key_is_pinned_for_clients_that_repeat_it_next_year() -> None:
    assert task_id("key-1", "") == "ogmq6axxo2ky6mmdhw4rohyukii4ngta"


@given(JSON, STARTS)
def test_the_daemon_reads_from_the_body_exactly_what_was_accepted(
    payload: Json, start: int
) -> None:
    planned = plan(replace(ASKED, payload=payload, not_before=start), TERMS, NOW)
    read = decode(planned.body)
    assert isinstance(read, Envelope)
    assert planned.payload == dump(payload)
    assert read.payload == planned.payload
    assert fingerprint(read.type, read.payload) == planned.task.fingerprint
    assert (read.id, read.correlation_id) == (planned.task.id, planned.task.correlation_id)


@given(STARTS)
def test_a_task_is_scheduled_exactly_past_what_sqs_can_delay(start: int) -> None:
    planned = plan(replace(ASKED, not_before=start), TERMS, NOW)
    scheduled = start - NOW > 900_000
    assert planned.task.state is (State.SCHEDULED if scheduled else State.QUEUED)
    assert planned.sends is not scheduled
    assert accepted_state(planned.task) is planned.task.state


@pytest.mark.parametrize(("ahead", "state"), [(900_000, State.QUEUED), (900_001, State.SCHEDULED)])
def test_the_longest_delay_that_sqs_takes_is_still_sent(ahead: int, state: State) -> None:
    assert plan(replace(ASKED, not_before=NOW + ahead), TERMS, NOW).task.state is state


@given(STARTS)
def test_free_at_is_zero_for_what_may_run_at_once_and_else_the_start(start: int) -> None:
    task = plan(replace(ASKED, not_before=start), TERMS, NOW).task
    expected = start if start > NOW else 0
    assert task.free_at == expected
    assert task.not_before == expected


@given(STARTS)
def test_due_at_and_sent_at_follow_the_start(start: int) -> None:
    task = plan(replace(ASKED, not_before=start), TERMS, NOW).task
    begins = max(NOW, start)
    assert task.due_at == (begins if task.state is State.SCHEDULED else begins + TERMS.grace)
    assert task.sent_at == begins


@given(STARTS)
def test_an_accepted_record_never_expires(start: int) -> None:
    task = plan(replace(ASKED, not_before=start), TERMS, NOW).task
    assert task.expires_at == 0
    assert "expires_at" not in to_item(task)


@given(STARTS, st.integers(0, 2 * DAY))
def test_the_delay_left_covers_the_start_within_what_sqs_takes(start: int, later: int) -> None:
    planned = plan(replace(ASKED, not_before=start), TERMS, NOW)
    now = NOW + later
    left = delay_left(planned.task, now)
    assert planned.delay_seconds(now) == left
    assert 0 <= left <= 900
    if planned.sends:
        assert now + left * 1000 >= planned.task.not_before
    assert left == 0 or now + (left - 1) * 1000 < planned.task.not_before


@pytest.mark.parametrize(
    ("ahead", "left"), [(0, 0), (1, 1), (1000, 1), (1001, 2), (900_000, 900), (900_001, 900)]
)
def test_the_delay_is_in_whole_seconds_rounded_up(ahead: int, left: int) -> None:
    planned = plan(replace(ASKED, not_before=NOW + ahead), TERMS, NOW)
    assert planned.delay_seconds(NOW) == left


def test_a_payload_of_the_limit_is_accepted_and_one_byte_more_is_not() -> None:
    fits = "x" * (PAYLOAD_BYTES - 2)
    assert size(dump(fits)) == 262_144
    assert plan(replace(ASKED, payload=fits), TERMS, NOW).payload == dump(fits)
    with pytest.raises(PayloadTooLarge) as caught:
        plan(replace(ASKED, payload=fits + "x"), TERMS, NOW)
    assert (caught.value.size, caught.value.limit) == (262_145, 262_144)


def test_the_limit_counts_bytes_and_not_characters() -> None:
    half = "é" * 131_071
    assert plan(replace(ASKED, payload=half), TERMS, NOW).payload == dump(half)
    with pytest.raises(PayloadTooLarge, match="262145"):
        plan(replace(ASKED, payload=half + "x"), TERMS, NOW)


@pytest.mark.parametrize(("extra", "beside"), [(0, False), (1, True)])
def test_a_payload_over_one_kib_goes_beside_the_record(extra: int, beside: bool) -> None:
    planned = plan(replace(ASKED, payload="x" * (1022 + extra)), TERMS, NOW)
    key = f"{planned.task.id}#payload#{planned.task.fingerprint[:16]}"
    assert planned.beside == (key if beside else None)
    assert planned.task.payload == (None if beside else planned.payload)


def test_a_payload_that_no_body_takes_is_still_kept_beside() -> None:
    planned = plan(replace(ASKED, payload="x" * (PAYLOAD_BYTES - 2)), TERMS, NOW)
    assert size(planned.body) < 1024 < BODY_BYTES
    envelope = decode(planned.body)
    assert isinstance(envelope, Envelope)
    assert envelope == Envelope(planned.task.id, "email.send", planned.task.id, "", NOW)
    assert envelope.payload is None
    assert planned.beside is not None


@given(STARTS)
def test_a_payload_beside_outlives_start_and_retention_twice(start: int) -> None:
    planned = plan(replace(ASKED, not_before=start, payload="x" * 2000), TERMS, NOW)
    assert planned.beside_expires_at == (max(NOW, start) + 2 * TERMS.retention) // 1000


def test_without_a_correlation_id_the_task_is_its_own() -> None:
    assert plan(ASKED, TERMS, NOW).task.correlation_id == task_id("key-1", "")
    assert plan(replace(ASKED, correlation_id="c"), TERMS, NOW).task.correlation_id == "c"


def test_the_record_says_what_was_asked_and_on_which_terms() -> None:
    task = plan(replace(ASKED, tenant="acme"), TERMS, NOW).task
    assert (task.type, task.queue, task.tenant) == ("email.send", "https://queue", "acme")
    assert (task.created_at, task.updated_at, task.claim_no) == (NOW, NOW, 0)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (replace(ASKED, type=""), "type"),
        (replace(ASKED, type="1a"), "type"),
        (replace(ASKED, type="a\n"), "type"),
        (replace(ASKED, tenant=" "), "tenant"),
        (replace(ASKED, tenant="a\0b"), "tenant"),
        (replace(ASKED, correlation_id="a b"), "correlation_id"),
        (replace(ASKED, key=""), "idempotency_key"),
        (replace(ASKED, key="é"), "idempotency_key"),
        (replace(ASKED, key="k" * 256), "idempotency_key"),
        (replace(ASKED, not_before=NOW + DELAY_SECONDS * 1000 + 1), "not_before"),
        (replace(ASKED, payload=float("nan")), "payload"),
        (replace(ASKED, payload="\ud800"), "payload"),
    ],
)
def test_a_field_that_is_wrong_is_named(asked: Submission, field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        plan(asked, TERMS, NOW)
    assert [name for name, _ in caught.value.errors] == [field]
    assert all(problem for _, problem in caught.value.errors)


def test_all_fields_that_are_wrong_are_named_at_once() -> None:
    with pytest.raises(InvalidField) as caught:
        plan(Submission("", float("inf"), "", "\n", "\n", NOW * 2), TERMS, NOW)
    names = [name for name, _ in caught.value.errors]
    assert names == ["type", "tenant", "correlation_id", "idempotency_key", "not_before", "payload"]


def test_the_latest_start_allowed_is_accepted() -> None:
    start = NOW + DELAY_SECONDS * 1000
    assert plan(replace(ASKED, not_before=start), TERMS, NOW).task.not_before == start


def nested(levels: int) -> Json:
    """A value inside that many lists."""
    value: Json = 1
    for _ in range(levels):
        value = [value]
    return value


def test_a_payload_nested_deeper_than_the_daemon_reads_is_refused() -> None:
    deepest = plan(replace(ASKED, payload=nested(JSON_DEPTH - 1)), TERMS, NOW)
    assert isinstance(decode(deepest.body), Envelope)
    for levels in (JSON_DEPTH, 100_000):
        with pytest.raises(InvalidField, match="payload"):
            plan(replace(ASKED, payload=nested(levels)), TERMS, NOW)


def test_a_repeated_key_stands_for_the_stored_task_whatever_the_order_of_its_keys() -> None:
    stored = plan(replace(ASKED, payload={"a": 1, "b": 2}), TERMS, NOW).task
    again = plan(replace(ASKED, payload={"b": 2, "a": 1}), TERMS, NOW + 5).task
    assert same_task(stored, again) is stored


@pytest.mark.parametrize(
    "other", [replace(ASKED, payload={"to": "b"}), replace(ASKED, type="email.sent")]
)
def test_a_repeated_key_with_another_payload_or_type_is_a_conflict(other: Submission) -> None:
    stored = plan(ASKED, TERMS, NOW).task
    with pytest.raises(KeyConflict):
        same_task(stored, plan(other, TERMS, NOW).task)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("claims", [0, 1])
def test_a_repeat_sends_again_only_what_was_queued_and_never_claimed(
    state: State, claims: int
) -> None:
    stored = replace(plan(ASKED, TERMS, NOW).task, state=state, claim_no=claims)
    assert needs_send(stored) is (state is State.QUEUED and claims == 0)


def test_the_answer_to_a_repeat_is_the_first_answer() -> None:
    scheduled = plan(replace(ASKED, not_before=NOW + DAY), TERMS, NOW).task
    promoted = replace(scheduled, state=State.QUEUED)
    assert accepted_state(promoted) is State.SCHEDULED
    assert accepted_state(replace(plan(ASKED, TERMS, NOW).task, state=State.DEAD)) is State.QUEUED
