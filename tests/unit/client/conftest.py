from __future__ import annotations

import pytest

from tests.unit.api.door import Door
from tests.unit.client.bridge import Bridge


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def bridge(door: Door) -> Bridge:
    return Bridge(door)
