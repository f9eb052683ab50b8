from __future__ import annotations

import pytest

from benchmarks.capacity import size, units, writes_of
from benchmarks.stub.partiql import Item

RECORD: Item = {"id": {"S": "t"}, "bucket": {"S": "open#00"}, "due_at": {"N": "1700000000000"}}


@pytest.mark.parametrize(
    ("number", "counted"),
    [("0", 2), ("7", 2), ("12", 2), ("123", 3), ("-123", 4), ("1200", 2), ("1700000000001", 8)],
)
def test_a_number_weighs_a_byte_for_two_digits_and_one_more(number: str, counted: int) -> None:
    assert size({"n": {"N": number}}) == 1 + counted


def test_a_text_weighs_its_utf_8() -> None:
    assert size({"né": {"S": "é"}}) == 3 + 2


def test_a_write_weighs_a_unit_for_each_kib_begun_of_the_larger_item() -> None:
    large: Item = {"id": {"S": "t"}, "payload": {"S": "x" * 1024}}

    assert units(None, large) == 2
    assert units(large, {"id": {"S": "t"}}) == 2


def test_an_index_entry_costs_one_when_new_two_when_moved_and_none_when_left_alone() -> None:
    moved: Item = {**RECORD, "bucket": {"S": "done#00"}}
    touched: Item = {**RECORD, "claim_token": {"S": "a"}}

    assert units(None, RECORD) == 2
    assert units(RECORD, moved) == 3
    assert units(RECORD, touched) == 1


def test_64_kib_of_payload_add_no_write_unit_to_claim_and_settle() -> None:
    small, large = writes_of(64), writes_of(64 * 1024)

    assert (large.claim, large.settle) == (small.claim, small.settle)
    assert large.beside == 65
