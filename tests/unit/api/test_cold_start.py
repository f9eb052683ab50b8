"""What the function's cold start loads: nothing that most requests never need."""

from __future__ import annotations

import subprocess
import sys

# Each is a fifth to a twentieth of the import, and only for functions that know their handlers.
LATER = ("cronsim", "ftq.handler", "ftq.outcome", "ftq.registry", "ftq.schedule", "ftq.verdict")


def test_a_cold_start_loads_nothing_that_handlers_are_declared_with() -> None:
    code = "import sys, api_lambda.handler; print(*sys.modules)"
    shown = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    loaded = shown.stdout.split()
    assert "api_lambda.handler" in loaded
    assert not set(LATER) & set(loaded)
