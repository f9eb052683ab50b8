from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.stage import QUICK, document, ftq, numbers

pytestmark = pytest.mark.e2e


def test_every_task_of_the_demo_reaches_the_state_it_should(tmp_path: Path) -> None:
    done = ftq("demo", "--tasks", "60", "--json", cwd=tmp_path, **QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    said = document(done.stdout)
    succeeded, dead = said["succeeded"], said["dead"]
    assert isinstance(succeeded, dict)
    by_attempt = numbers(succeeded["by_attempt"])
    assert isinstance(dead, int)
    assert sum(by_attempt) + dead == said["submitted"] == 60
    assert by_attempt[0] > by_attempt[1] > 0, "some succeeded at once, some at the second attempt"
    assert (said["lost"], said["duplicates"], said["daemon_deaths"]) == (0, 0, 0)
    assert said["dead_letters"] == dead
    assert said["ok"] is True
    assert not (tmp_path / ".ftq" / "up.json").exists()


def test_without_a_terminal_the_demo_prints_plain_lines_and_a_table(tmp_path: Path) -> None:
    # So few failures that no breaker takes them for an outage.
    done = ftq("demo", "--tasks", "3", "--failure-rate", "1", cwd=tmp_path, **QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert "submitted 3/3" in done.stdout
    assert "Every task reached the state it should" in done.stdout
    [dead] = [line for line in done.stdout.splitlines() if line.startswith("dead ")]
    assert dead.split()[1] == "3"
