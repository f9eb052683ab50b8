"""The pytest plugin: loaded wherever ftq is installed, so it imports the engine when asked only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ftq.registry import Registry
    from ftq_testing.harness import Harness


@pytest.fixture
def ftq_harness() -> Iterator[Callable[[Registry], Harness]]:
    """Start a `ftq.testing.Harness` over a registry; it is closed as the test ends."""
    from ftq_testing.harness import Harness

    with ExitStack() as stack:
        yield lambda registry: stack.enter_context(Harness(registry))
