from __future__ import annotations

import pytest

from tests.unit.api.door import Door


@pytest.fixture
def door() -> Door:
    return Door()
