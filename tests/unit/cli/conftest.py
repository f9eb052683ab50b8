"""What the command prints is its own: the API that answers in this process stays silent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_lambda.log import LOGGER


@pytest.fixture(autouse=True)
def _silent_api() -> Iterator[None]:
    # A test before may have had the API log to standard output, which is set for the process.
    handlers, propagate = LOGGER.handlers[:], LOGGER.propagate
    LOGGER.handlers, LOGGER.propagate = [], False
    yield
    LOGGER.handlers, LOGGER.propagate = handlers, propagate
