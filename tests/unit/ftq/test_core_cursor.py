"""Cursors: read back where they were made, told from everything else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ftq.cursor import CHARS, MOST, read_cursor, write_cursor

PLACES = st.lists(st.one_of(st.integers(1 - MOST, MOST - 1), st.text(max_size=40)), max_size=5)


@given(PLACES, st.lists(st.text(max_size=20), max_size=3))
def test_a_cursor_is_read_back_in_its_scope(place: list[int | str], scope: list[str]) -> None:
    cursor = write_cursor(scope, place)
    assert read_cursor(scope, cursor) == place
    assert read_cursor([*scope, "more"], cursor) is None
    assert cursor.isascii()
    assert "=" not in cursor


@given(st.integers(0, 60), st.characters())
def test_a_cursor_that_was_changed_is_none(at: int, char: str) -> None:
    cursor = write_cursor(["tasks"], [1_800_000_000_000, "an-id"])
    at %= len(cursor)
    changed = f"{cursor[:at]}{char}{cursor[at + 1 :]}"
    # The last character may carry bits that no byte takes up.
    if changed != cursor and at < len(cursor) - 1:
        assert read_cursor(["tasks"], changed) is None


@given(st.text())
def test_other_texts_are_none(text: str) -> None:
    assert read_cursor(["tasks"], text) is None


def test_a_number_that_is_no_moment_is_none() -> None:
    assert read_cursor([], write_cursor([], [MOST])) is None


def test_a_cursor_without_end_is_none() -> None:
    assert read_cursor([], "A" * (CHARS + 1)) is None
