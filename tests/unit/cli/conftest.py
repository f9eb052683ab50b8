"""The API in memory behind the command, which stays silent: what is printed is the command's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_lambda.log import LOGGER
from tests.unit.api.door import Door
from tests.unit.client.bridge import Bridge


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def bridge(door: Door) -> Bridge:
    return Bridge(door)


@pytest.fixture(autouse=True)
def _silent_api() -> Iterator[None]:
    # A test before may have had the API log to standard output, which is set for the process.
    handlers, propagate = LOGGER.handlers[:], LOGGER.propagate
    LOGGER.handlers, LOGGER.propagate = [], False
    yield
    LOGGER.handlers, LOGGER.propagate = handlers, propagate
