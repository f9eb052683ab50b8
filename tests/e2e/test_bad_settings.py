from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.stage import environ, ftq

pytestmark = pytest.mark.e2e

GOOD = {
    "FTQ_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/1/q",
    "FTQ_DLQ_URL": "https://sqs.eu-central-1.amazonaws.com/1/d",
    "FTQ_TABLE": "tasks",
    "FTQ_HANDLERS": "ftq_cli.demo:registry",
}
# Key, value, and a word of the limit. The last one is a limit across settings.
BAD = [
    ("FTQ_LOG_LEVEL", "LOUD", "INFO"),
    ("FTQ_CONCURRENCY", "0", "1"),
    ("FTQ_VISIBILITY_SECONDS", "3", "8"),
    ("FTQ_CRASH_LIMIT", "1", "2"),
    ("FTQ_TRACING", "zipkin", "otlp"),
]
CROSS = ("FTQ_STOP_TIMEOUT_SECONDS", "20", "45")


def daemon(cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ftq_daemon"],
        cwd=cwd,
        env=environ(**more),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def assert_refused(
    done: subprocess.CompletedProcess[str], lines: list[tuple[str, str, str]]
) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    said = done.stderr.splitlines()
    assert len(said) == len(lines), done.stderr
    for line, (key, value, limit) in zip(said, lines, strict=True):
        assert line.startswith(f"{key}=")
        assert value in line
        assert limit in line


def test_a_daemon_names_each_bad_setting_in_one_line(tmp_path: Path) -> None:
    done = daemon(tmp_path, **GOOD, **{key: value for key, value, _ in BAD})
    assert_refused(done, BAD)


def test_a_daemon_checks_settings_against_each_other(tmp_path: Path) -> None:
    assert_refused(daemon(tmp_path, **GOOD, **{CROSS[0]: CROSS[1]}), [CROSS])


def test_a_daemon_says_what_is_not_set(tmp_path: Path) -> None:
    done = daemon(tmp_path)
    assert done.returncode == 2
    assert [line.split()[0] for line in done.stderr.splitlines()] == list(GOOD)
    assert done.stderr.count("is not set") == len(GOOD)


def test_up_refuses_bad_settings_before_it_starts_anything(tmp_path: Path) -> None:
    done = ftq("up", "--port", "0", cwd=tmp_path, **{key: value for key, value, _ in BAD})
    assert_refused(done, BAD)
    assert not (tmp_path / ".ftq" / "aws.log").exists()


@pytest.mark.parametrize(
    ("handlers", "says"),
    [
        ("nowhere:registry", "there is no module 'nowhere'"),
        ("ftq_cli.demo:nothing", "has no 'nothing'"),
        ("ftq_cli.demo", "FTQ_HANDLERS='ftq_cli.demo'"),
    ],
)
def test_up_refuses_handlers_that_are_not_there(handlers: str, says: str, tmp_path: Path) -> None:
    done = ftq("up", "--port", "0", "--handlers", handlers, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
