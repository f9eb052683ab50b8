from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.document import at, number
from benchmarks.machine import clean_environment
from benchmarks.sides import peers

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]


def run(results: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one program as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        env=clean_environment() | {"FTQ_BENCH_RESULTS": str(results)},
        capture_output=True,
        text=True,
    )


def measured(results: Path, *arguments: str) -> object:
    """What one program found."""
    ended = run(results, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    [path] = results.glob(f"{arguments[0]}-*.json")
    return at(json.loads(path.read_text()), "found")


def drawn(results: Path) -> list[str]:
    """All pictures."""
    return [path.read_text() for path in results.glob("*.svg")]


def test_a_side_is_measured_and_its_bars_are_drawn(tmp_path: Path) -> None:
    found = measured(tmp_path, "throughput", "--sides", "floor", "--tasks", "400", "--runs", "1")

    summary = at(found, "summaries", 0)
    assert 0.3 < number(summary, "calls_per_task", "median") < 0.6
    assert ["floor" in picture for picture in drawn(tmp_path)] == [True] * 6


def test_lone_tasks_are_timed_and_quiet_minutes_counted(tmp_path: Path) -> None:
    found = measured(tmp_path, "idle", "--sides", "ftq", "--tasks", "5", "--quiet", "0.5")

    assert at(found, "lone", 0, "tasks") == 5
    assert number(found, "lone", 0, "queued", "p50") > 0
    assert number(found, "lone", 0, "queued", "p50") < number(found, "lone", 0, "submitted", "p50")
    assert at(found, "quiet", 0, "side") == "ftq"
    assert len(drawn(tmp_path)) == 4


def test_a_steady_stream_is_timed_and_memory_sampled(tmp_path: Path) -> None:
    found = measured(tmp_path, "steady", "--side", "ftq", "--tasks", "200", "--rate", "200")

    assert at(found, "tasks") == 180
    assert number(found, "p50") <= number(found, "p99") <= number(found, "most")
    assert number(found, "resident", -1, 1) > 10
    assert len(drawn(tmp_path)) == 2


def test_a_task_is_measured_before_each_backlog(tmp_path: Path) -> None:
    found = measured(tmp_path, "backlog", "--side", "floor", "--backlogs", "200", "400", "--runs=1")

    assert [at(found, place, "waiting") for place in (0, 1)] == [200, 400]
    assert number(found, 1, "runs", 0, "tasks") < 400
    assert number(found, 1, "runs", 0, "cpu_us") == number(found, 1, "cpu_us")
    assert len(drawn(tmp_path)) == 2


def test_the_handler_is_started_cold_and_asked_warm(tmp_path: Path) -> None:
    found = measured(tmp_path, "cold", "--starts", "1")

    assert at(found, "handlers", 0, "handler") == "api_lambda.handler"
    wall = [number(found, "handlers", 0, "wall", name, "median") for name in ("import", "warm")]
    assert wall[0] > wall[1] > 0
    assert len(drawn(tmp_path)) == 2


def test_cost_needs_what_it_is_computed_from(tmp_path: Path) -> None:
    ended = run(tmp_path, "cost")

    assert ended.returncode == 1
    assert "Run benchmarks.throughput and benchmarks.idle first" in ended.stderr


def test_cost_follows_from_the_newest_results(tmp_path: Path) -> None:
    measured(tmp_path, "throughput", "--sides", "naive", "--tasks", "400", "--runs", "1")
    measured(tmp_path, "idle", "--sides", "naive", "--tasks", "2", "--quiet", "0.5")
    found = measured(tmp_path, "cost")

    assert at(found, "million", 0, "side") == "naive"
    assert number(found, "million", 0, "send") == pytest.approx(0.4)
    # One receive of ten and one delete for each.
    assert number(found, "million", 0, "queue") == pytest.approx(0.44, abs=0.04)


def test_what_is_not_a_program_is_refused_with_the_list_of_those_that_are(tmp_path: Path) -> None:
    ended = run(tmp_path, "speed")

    assert ended.returncode == 2
    assert "throughput, idle, steady" in ended.stderr


def test_a_peer_that_is_not_there_is_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peers, "PYTHON", str(peers.ROOT / ".venv-bench" / "gone"))

    assert "there is no .venv-bench/gone" in peers.missing_module("celery")()
