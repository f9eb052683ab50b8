from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Final

import pytest

from deploy.lambda_zip import MACHINES, PYTHONS, build

MACHINE: Final = platform.machine() if platform.machine() in MACHINES else "x86_64"
HERE: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON: Final = HERE if HERE in PYTHONS else "3.13"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Lambda's zip, for this machine if it can be."""
    return build(MACHINE, PYTHON, tmp_path_factory.mktemp("zip"))
