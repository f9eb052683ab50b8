from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.machine import clean_environment
from benchmarks.sides import peers

pytestmark = pytest.mark.e2e


def measured(results: Path, *arguments: str) -> object:
    """Run one program as a user would; what it found."""
    environment = clean_environment() | {"FTQ_BENCH_RESULTS": str(results)}
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    [path] = results.glob(f"{arguments[0]}-*.json")
    return figure(json.loads(path.read_text()), "found")


def figure(found: object, *path: str | int) -> object:
    """What is at this place of a JSON document."""
    for step in path:
        if isinstance(step, int):
            assert isinstance(found, list)
            found = found[step]
        else:
            assert isinstance(found, dict)
            found = found[step]
    return found


def drawn(results: Path) -> list[str]:
    """All pictures."""
    return [path.read_text() for path in results.glob("*.svg")]


def test_a_side_is_measured_and_its_bars_are_drawn(tmp_path: Path) -> None:
    found = measured(tmp_path, "throughput", "--sides", "floor", "--tasks", "400", "--runs", "1")

    summary = figure(found, "summaries", 0)
    assert 0.3 < float(str(figure(summary, "calls_per_task", "median"))) < 0.6
    assert ["floor" in picture for picture in drawn(tmp_path)] == [True] * 6


def test_a_peer_that_is_not_there_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "PYTHON", str(peers.ROOT / ".venv-bench" / "gone"))

    assert "there is no .venv-bench/gone" in peers._missing_module("celery")()
