"""POST /tasks with what it should not be: 400, 413, 422, and nothing done about it."""

from __future__ import annotations

import base64
import json

import pytest
from pydantic import BaseModel

from ftq import Context, Registry
from ftq.limits import PAYLOAD_BYTES
from ftq.text import Json
from tests.unit.api.door import Door, Got


def _post(door: Door, body: str | None, **headers: str) -> Got:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return door.ask("POST", "/tasks", body, named)


# --- 400 --------------------------------------------------------------------------------------

HOSTILE = {
    "nothing": None,
    "empty": "",
    "blank": " \n",
    "cut off": '{"type": "a", "payload": {',
    "two documents": '{"type": "a", "payload": 1} {}',
    "single quotes": "{'type': 'a'}",
    "NaN": '{"type": "a", "payload": NaN}',
    "Infinity": '{"type": "a", "payload": -Infinity}',
    "overflow": '{"type": "a", "payload": 1e999}',
    "digits": '{"type": "a", "payload": ' + "9" * 5000 + "}",
    "a key twice": '{"type": "a", "type": "b", "payload": 1}',
    "a key twice inside": '{"type": "a", "payload": {"x": [{"y": 1, "y": 2}]}}',
    "deep": '{"type": "a", "payload": ' + "[" * 70 + "]" * 70 + "}",
    "very deep": "[" * 200_000,
    "lone surrogate": '{"type": "a", "payload": "\\ud800"}',
    "raw surrogate": '{"type": "a", "payload": "\ud800"}',
    "control character": '{"type": "a", "payload": "\x00"}',
    "byte order mark": '\ufeff{"type": "a", "payload": 1}',
    "comment": '{"type": "a", "payload": 1} // x',
    "form": "type=a&payload=1",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_json_is_a_400(door: Door, body: str | None) -> None:
    got = _post(door, body)
    assert (got.status, got.doc["type"]) == (400, "urn:ftq:problem:not-json")
    assert "python" not in got.body.lower()
    assert "sys." not in got.body
    assert door.port.calls == []


@pytest.mark.parametrize("data", [b"\xff\xfe", b'{"type": "a", "payload": "\xc3"}', b"\x00" * 9])
def test_bytes_that_are_no_utf_8_are_a_400(door: Door, data: bytes) -> None:
    got = door.ask("POST", "/tasks", base64.b64encode(data).decode(), base64=True)
    assert got.status == 400


@pytest.mark.parametrize("text", ["!", "====", "YWJj*", "ü", "YQ"])
def test_a_body_that_is_no_base64_though_it_says_so_is_a_400(door: Door, text: str) -> None:
    assert door.ask("POST", "/tasks", text, base64=True).status == 400


def test_a_body_in_base64_with_more_in_it_is_a_400(door: Door) -> None:
    text = base64.b64encode(b'{"type": "a", "payload": 1}').decode()
    assert door.ask("POST", "/tasks", f"{text[:8]}*{text[8:]}", base64=True).status == 400


def test_a_body_in_base64_is_read(door: Door) -> None:
    body = json.dumps({"type": "a", "payload": "ü"}, ensure_ascii=False).encode()
    got = door.ask("POST", "/tasks", base64.b64encode(body).decode(), base64=True)
    assert door.get(got.id).doc["payload"] == "ü"


# --- 413 --------------------------------------------------------------------------------------

FULL = PAYLOAD_BYTES - 2  # without the quotes


def _sized(characters: str) -> str:
    return json.dumps({"type": "a", "payload": characters}, ensure_ascii=False)


@pytest.mark.parametrize(
    "full",
    [
        "x" * FULL,
        "ü" * (FULL // 2),
        "€" * (FULL // 3) + "x" * (FULL % 3),
        "😀" * (FULL // 4) + "xx",
    ],
    ids=["one byte each", "two", "three", "four"],
)
def test_256_kib_of_utf_8_pass_and_not_one_byte_more(door: Door, full: str) -> None:
    accepted = _post(door, _sized(full))
    assert accepted.status == 202
    assert door.get(accepted.id).doc["payload"] == full
    calls = len(door.port.calls)

    refused = _post(door, _sized(full + "x"))
    assert (refused.status, refused.doc["type"]) == (413, "urn:ftq:problem:too-large")
    assert str(PAYLOAD_BYTES + 1) in str(refused.doc["detail"])
    assert len(door.port.calls) == calls


def test_the_size_is_that_of_the_payload_and_not_of_how_it_was_written(door: Door) -> None:
    escaped = '{"type": "a", "payload":   "' + "\\u0041" * FULL + '"}'
    assert _post(door, escaped).status == 202


def test_a_body_that_no_payload_needs_is_refused_unread(door: Door) -> None:
    got = _post(door, "[" * (8 * PAYLOAD_BYTES))
    assert got.status == 413
    assert door.port.calls == []


# --- 422 --------------------------------------------------------------------------------------

FIELDS: dict[str, tuple[Json, list[str]]] = {
    "no object": ([1], [""]),
    "null": (None, [""]),
    "nothing in it": ({}, ["type", "payload"]),
    "no payload": ({"type": "a"}, ["payload"]),
    "no type": ({"payload": 1}, ["type"]),
    "type is a number": ({"type": 1, "payload": 1}, ["type"]),
    "type is null": ({"type": None, "payload": 1}, ["type"]),
    "type is empty": ({"type": "", "payload": 1}, ["type"]),
    "type with a space": ({"type": "a b", "payload": 1}, ["type"]),
    "type with a line feed": ({"type": "a\n", "payload": 1}, ["type"]),
    "type too long": ({"type": "a" * 101, "payload": 1}, ["type"]),
    "type of other digits": ({"type": "a\u0664", "payload": 1}, ["type"]),
    "unknown": ({"type": "a", "payload": 1, "priority": 3}, ["priority"]),
    "tenant is a number": ({"type": "a", "payload": 1, "tenant": 3}, ["tenant"]),
    "tenant is empty": ({"type": "a", "payload": 1, "tenant": ""}, ["tenant"]),
    "tenant with #": ({"type": "a", "payload": 1, "tenant": "a#b"}, ["tenant"]),
    "two at once": ({"type": "#", "payload": 1, "tenant": "#"}, ["type", "tenant"]),
    "delay as text": ({"type": "a", "payload": 1, "delay_seconds": "5"}, ["delay_seconds"]),
    "delay as true": ({"type": "a", "payload": 1, "delay_seconds": True}, ["delay_seconds"]),
    "delay negative": ({"type": "a", "payload": 1, "delay_seconds": -1}, ["delay_seconds"]),
    "delay too long": ({"type": "a", "payload": 1, "delay_seconds": 31_622_401}, ["delay_seconds"]),
    "delay enormous": ({"type": "a", "payload": 1, "delay_seconds": 1e308}, ["delay_seconds"]),
    "both": (
        {"type": "a", "payload": 1, "delay_seconds": 1, "not_before": "2027-01-15T08:00:01Z"},
        ["not_before"],
    ),
}


@pytest.mark.parametrize(("document", "fields"), FIELDS.values(), ids=FIELDS.keys())
def test_fields_that_are_not_valid_are_named(door: Door, document: Json, fields: list[str]) -> None:
    got = door.post(document)
    assert (got.status, got.fields) == (422, fields)
    assert door.port.calls == []


@pytest.mark.parametrize(
    "moment",
    [
        5,
        1_800_000_000,
        "1800000000",
        "tomorrow",
        "2027-01-15",
        "2027-01-15T08:00:00",
        "2027-W02-5T08:00:00Z",
        "2027-02-30T08:00:00Z",
        "2027-01-15T25:00:00Z",
        "2027-01-15T08:00:00+99:99",
        "٢٠٢٧-01-15T08:00:00Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2028-01-17T08:00:00Z",
    ],
)
def test_not_before_is_a_moment_within_a_year(door: Door, moment: Json) -> None:
    got = door.post({"type": "a", "payload": 1, "not_before": moment})
    assert (got.status, got.fields) == (422, ["not_before"])


def test_optional_fields_may_be_null(door: Door) -> None:
    document: Json = {
        "type": "a", "payload": 1, "delay_seconds": None, "not_before": None, "tenant": None
    }  # fmt: skip
    assert door.post(document).status == 202


@pytest.mark.parametrize("key", ["", " ", "a b", "a,b", "ü", "a\r\nx-evil: 1", "x" * 256, "\x7f"])
def test_a_malformed_key_is_named(door: Door, key: str) -> None:
    got = door.post({"type": "a", "payload": 1}, key=key)
    assert (got.status, got.fields) == (422, ["Idempotency-Key"])


# --- the registry -----------------------------------------------------------------------------


class Address(BaseModel):
    street: str
    number: int


class Order(BaseModel):
    to: Address
    lines: list[int]


shop = Registry()


@shop.handler("order.ship")
async def ship(order: Order, context: Context) -> None:
    raise AssertionError("only declared")


def test_a_known_registry_refuses_a_type_that_it_does_not_have() -> None:
    door = Door(registry=shop)
    got = door.post({"type": "order.sihp", "payload": {}})
    assert (got.status, got.fields) == (422, ["type"])
    assert door.port.calls == []


def test_a_known_registry_refuses_a_payload_by_field_path() -> None:
    door = Door(registry=shop)
    payload: Json = {"to": {"street": "secret", "number": "x"}, "lines": [1, "y"]}
    got = door.post({"type": "order.ship", "payload": payload})
    assert (got.status, got.fields) == (422, ["payload.to.number", "payload.lines.1"])
    assert "secret" not in got.body
    assert door.port.calls == []


def test_a_payload_is_validated_as_json_is() -> None:
    payload: Json = {"to": {"street": "s", "number": "7"}, "lines": []}
    assert Door(registry=shop).post({"type": "order.ship", "payload": payload}).status == 202


def test_a_problem_has_no_more_errors_than_anybody_reads() -> None:
    payload: Json = {"to": {"street": "s", "number": 1}, "lines": ["x"] * 5000}
    got = Door(registry=shop).post({"type": "order.ship", "payload": payload})
    assert (got.status, len(got.fields)) == (422, 50)
