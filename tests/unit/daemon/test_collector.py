"""The garbage collector looks seldom, never at what was loaded, and still at all else."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from ftq_daemon.__main__ import _spare_the_collector


class Ring:
    """Something that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_was_loaded_is_looked_at_no_more_and_what_comes_later_seldom() -> None:
    loaded = len(gc.get_objects())
    _spare_the_collector()
    assert gc.get_freeze_count() > loaded / 2 > len(gc.get_objects())
    young, middle, _ = gc.get_threshold()
    assert young * middle == 100_000  # objects between two looks at all that lives


def test_rings_that_a_handler_leaves_are_still_freed() -> None:
    _spare_the_collector()
    assert gc.isenabled()
    left = weakref.ref(Ring())
    kept: list[list[None]] = [[] for _ in range(2 * gc.get_threshold()[0])]
    assert left() is None, len(kept)
