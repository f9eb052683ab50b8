from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Final

import pytest

from deploy.lambda_zip import MACHINES, PYTHONS, build
from tests.backends import REQUIRE
from tests.deploy import containers
from tests.deploy.containers import IMAGE, ROOT, Engine
from tests.deploy.lab import LabError

MACHINE: Final = platform.machine() if platform.machine() in MACHINES else "x86_64"
HERE: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON: Final = HERE if HERE in PYTHONS else "3.13"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Lambda's zip, for this machine if it can be."""
    return build(MACHINE, PYTHON, tmp_path_factory.mktemp("zip"))


@pytest.fixture(scope="session")
def engine() -> Engine:
    """What builds and runs containers; it has built the daemon's image."""
    if reason := containers.missing():
        pytest.skip(f"the image is not tested: {reason}")
    try:
        with containers.engine() as it:  # another test process waits, and finds it built
            it.build(ROOT, "--tag", IMAGE)
    except LabError as error:
        if os.environ.get(REQUIRE, "0") not in {"", "0"}:
            pytest.fail(f"the image is not tested, and {REQUIRE} is set: {error}", pytrace=False)
        pytest.skip(f"the image is not tested: {error}")
    return it
