"""`ftq.text`: JSON that is strict, canonical, and legal in an SQS body."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.limits import JSON_DEPTH
from ftq.text import Json, NotJson, dump, parse, size

HOSTILE = st.sampled_from(["\ufffe", "\uffff", "\x00", "\x7f", "\u2028", "\U0001fffe", '"', "\\"])
TEXTS = st.one_of(st.text(max_size=8), st.lists(HOSTILE, max_size=4).map("".join))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
JSON: st.SearchStrategy[Json] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)
# SendMessage reference: the characters that a body may hold.
LEGAL = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")


@given(JSON)
def test_what_was_dumped_parses_to_the_same_value_and_dumps_to_the_same_text(value: Json) -> None:
    text = dump(value)
    assert parse(text) == value
    assert dump(parse(text)) == text
    assert parse(text.encode()) == value


def reversed_keys(value: Json) -> Json:
    """The same value with the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(list(value))}
    if isinstance(value, list):
        return [reversed_keys(each) for each in value]
    return value


@given(JSON)
def test_the_order_of_keys_does_not_change_the_text(value: Json) -> None:
    assert dump(reversed_keys(value)) == dump(value)


@given(JSON)
def test_what_was_dumped_is_legal_in_an_sqs_body(value: Json) -> None:
    assert LEGAL.fullmatch(dump(value))


def test_the_canonical_text_is_pinned() -> None:
    assert dump({"b": [1, 1.5, None, True], "a": "é\n\uffff"}) == (
        '{"a":"é\\n\\uffff","b":[1,1.5,null,true]}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        '{"a":-Infinity}',
        "1e999",
        "[-1e999]",
        '{"a":1,"a":2}',
        '[{"b":{"a":1,"a":1}}]',
        '"\\ud800"',
        '{"\\udfff":1}',
        '["\\udc00\\ud800"]',
        "\ud800",
        '"\ud800"',
        "[" * 100_000,
        '{"a":' * (JSON_DEPTH + 1) + "1" + "}" * (JSON_DEPTH + 1),
        "",
        " ",
        "tru",
        "01",
        "'a'",
        '{"a":1,}',
        '{"a":1} x',
        '"\t"',
        "1" * 5000,
        "\ufeff{}",
        b"\xff",
        b'"\xed\xa0\x80"',
        b"",
    ],
)
def test_what_would_not_survive_the_way_is_refused(text: str | bytes) -> None:
    with pytest.raises(NotJson) as caught:
        parse(text)
    assert str(caught.value)


@given(st.one_of(st.text(), st.binary(), st.text(alphabet='[]{}",:0123456789eE+-.\\udNaIfty ')))
def test_garbage_is_refused_with_the_one_error_or_read(text: str | bytes) -> None:
    try:
        value = parse(text)
    except NotJson:
        return
    assert parse(dump(value)) == value


def test_the_deepest_value_allowed_is_read() -> None:
    text = "[" * JSON_DEPTH + "1" + "]" * JSON_DEPTH
    assert dump(parse(text)) == text


def test_a_key_that_stands_twice_is_told_but_not_which() -> None:
    with pytest.raises(NotJson, match="stands twice in an object of 4 members"):
        parse('{"once":0,"twice":1,"other":2,"twice":3}')


def test_an_escaped_pair_of_surrogates_is_one_character() -> None:
    assert parse('"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], "\ud800", {"\udfff": 1}])
def test_what_json_or_unicode_cannot_carry_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON|surrogates"):
        dump(value)


def test_a_cycle_is_a_value_error() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(ValueError, match="Circular"):
        dump(cycle)


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", {(1, 2): 3}])
def test_what_has_no_form_in_json_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        dump(value)


@given(st.text())
def test_the_size_of_a_text_is_its_bytes_of_utf8(text: str) -> None:
    assert size(text) == len(text.encode())


def test_a_lone_surrogate_has_the_size_that_it_would_take() -> None:
    assert size("a\ud800") == 4


@given(JSON)
def test_any_json_reader_agrees_on_what_was_dumped(value: Json) -> None:
    assert json.loads(dump(value)) == value
