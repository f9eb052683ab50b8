"""`ftq.codec`: the message body, both ways."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.codec import Envelope, Unreadable, decode, encode, fingerprint
from ftq.lifecycle import State
from ftq.limits import (
    BODY_BYTES,
    CORRELATION_PATTERN,
    ID_PATTERN,
    PAYLOAD_BYTES,
    TENANT_PATTERN,
    TYPE_PATTERN,
)
from ftq.task import Task
from ftq.text import Json, dump, size

HOSTILE = st.sampled_from(["\ufffe", "\uffff", "\x00", "\x1f", "\u2028", "\U0001fffe", '"}', "\\"])
TEXTS = st.one_of(st.text(max_size=8), st.lists(HOSTILE, max_size=4).map("".join))
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
JSON: st.SearchStrategy[Json] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)
TASKS = st.builds(
    Task,
    id=st.from_regex(ID_PATTERN, fullmatch=True),
    type=st.from_regex(TYPE_PATTERN, fullmatch=True),
    queue=st.just("https://queue"),
    state=st.just(State.QUEUED),
    correlation_id=st.just("") | st.from_regex(CORRELATION_PATTERN, fullmatch=True),
    tenant=st.just("") | st.from_regex(TENANT_PATTERN, fullmatch=True),
    created_at=st.integers(0, 10**14 - 1),
)
PLAIN = Task("t1", "email.send", "https://queue", State.QUEUED, created_at=5)


def _read(body: str) -> tuple[Envelope, str | None]:
    envelope = decode(body)
    assert isinstance(envelope, Envelope)
    return envelope, envelope.payload


@given(TASKS, JSON)
def test_any_task_and_payload_come_back_as_they_were(task: Task, payload: Json) -> None:
    body = encode(task, dump(payload))
    envelope = Envelope(
        id=task.id,
        type=task.type,
        correlation_id=task.correlation_id,
        tenant=task.tenant,
        created_at=task.created_at,
    )
    assert _read(body) == (envelope, dump(payload))


def test_the_body_is_pinned() -> None:
    body = encode(replace(PLAIN, tenant="acme", correlation_id="c"), '{"b":1}')
    assert body == (
        '{"correlation_id":"c","created_at":5,"id":"t1","tenant":"acme","type":"email.send",'
        '"v":1,"payload":{"b":1}}'
    )


def test_a_payload_is_left_out_from_the_first_byte_over_what_a_body_may_have() -> None:
    frame = size(encode(PLAIN, '""'))
    fits = dump("x" * (BODY_BYTES - frame))
    over = dump("x" * (BODY_BYTES - frame + 1))
    assert size(encode(PLAIN, fits)) == BODY_BYTES
    assert _read(encode(PLAIN, fits)) == (Envelope("t1", "email.send", created_at=5), fits)
    assert _read(encode(PLAIN, over)) == (Envelope("t1", "email.send", created_at=5), None)


def test_a_payload_that_is_not_at_hand_is_left_out() -> None:
    assert _read(encode(PLAIN, None)) == (Envelope("t1", "email.send", created_at=5), None)


def test_a_direct_producer_may_leave_out_all_but_id_and_type() -> None:
    assert _read('{"id":"a","type":"b"}') == (Envelope("a", "b"), None)


def test_unknown_keys_are_ignored() -> None:
    assert _read('{"id":"a","type":"b","new":[1],"v":1}') == (Envelope("a", "b"), None)


def test_a_null_payload_is_a_payload() -> None:
    assert _read('{"id":"a","type":"b","payload":null}') == (Envelope("a", "b"), "null")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "not JSON"),
        ("hello", "not JSON"),
        ('{"id":"a","type":"b","payload":NaN}', "NaN"),
        ('{"id":"a","type":"b","payload":1e999}', "too large"),
        ('{"id":"a","id":"b","type":"b"}', "twice"),
        ('{"id":"a","type":"b","payload":"\\ud800"}', "Unicode"),
        ("[" * 50_000, "nested"),
        ('{"id":"a","payload":' + "[" * 500 + "]" * 500 + "}", "nested"),
        ('{"id":"a","payload":' + "9" * 5000 + "}", "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"id"', "not a JSON object"),
        ('{"v":2,"id":"a"}', "version 2"),
        ('{"v":"1","id":"a"}', "version"),
        ('{"v":null,"id":"a"}', "version"),
        ('{"v":[[[[]]]],"id":"a"}', "version"),
        ("{}", "no usable id"),
        ('{"id":1}', "no usable id"),
        ('{"id":""}', "no usable id"),
        ('{"id":"a#payload"}', "no usable id"),
        ('{"id":"a\\n"}', "no usable id"),
        ('{"id":"' + "a" * 129 + '"}', "no usable id"),
    ],
)
def test_a_body_that_is_no_envelope_says_why(body: str, why: str) -> None:
    read = decode(body)
    assert isinstance(read, Unreadable)
    assert why in read.why
    assert len(read.why) < 300


ANYTHING = st.one_of(JSON, st.just("a"), st.integers(-1, 10**15))
FRAMES = st.fixed_dictionaries(
    {},
    optional={
        "v": st.just(1) | ANYTHING,
        "id": st.just("a") | ANYTHING,
        "type": ANYTHING,
        "payload": ANYTHING,
        "correlation_id": ANYTHING,
        "tenant": ANYTHING,
        "created_at": ANYTHING,
    },
)


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1")), FRAMES.map(dump)))
def test_garbage_never_raises_and_never_gets_past_the_patterns(body: str) -> None:
    read = decode(body)
    if isinstance(read, Unreadable):
        assert read.why
        return
    assert ID_PATTERN.fullmatch(read.id)
    assert read.type == "" or TYPE_PATTERN.fullmatch(read.type)
    assert read.tenant == "" or TENANT_PATTERN.fullmatch(read.tenant)
    assert read.correlation_id == "" or CORRELATION_PATTERN.fullmatch(read.correlation_id)
    assert 0 <= read.created_at < 10**14
    assert read.payload is None or size(read.payload) <= PAYLOAD_BYTES


def test_malformed_optional_fields_count_as_not_given() -> None:
    frame = {
        "id": "a",
        "type": "not a type",
        "correlation_id": "\n",
        "tenant": 7,
        "created_at": True,
    }
    assert _read(json.dumps(frame)) == (Envelope("a", ""), None)


def test_a_payload_over_the_limit_counts_as_not_carried() -> None:
    fits = "x" * (PAYLOAD_BYTES - 2)
    for text, expected in ((fits, dump(fits)), (fits + "x", None)):
        read = decode(json.dumps({"id": "a", "type": "b", "payload": text}))
        assert isinstance(read, Envelope)
        assert read.payload == expected


def test_the_fingerprint_tells_types_and_payloads_apart() -> None:
    prints = {fingerprint(kind, text) for kind in ("a", "b") for text in ("1", "2", '"1"')}
    assert len(prints) == 6


def test_the_fingerprint_is_pinned_for_records_already_stored() -> None:
    assert fingerprint("email.send", '{"to":"a"}') == (
        "09721687b6b9efb8c059e10414a8e683665b7672a30e584770146d6bd7896a4d"
    )
