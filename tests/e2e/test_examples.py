"""An example, run by its one command; what all of them do is tested on the virtual clock."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.stage import environ

pytestmark = pytest.mark.e2e


def test_the_nightly_report_runs_by_one_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.nightly"],
        cwd=Path(__file__).parents[2],
        env=environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("│ succeeded │") == 3
    assert '"hours": 25' in done.stdout
    assert len(re.findall(r"the report of task \w+ is there", done.stdout)) == 3
