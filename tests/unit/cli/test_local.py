from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftq_cli.announced import known_api
from ftq_cli.children import ChildFailedError, Program, running
from ftq_cli.exits import CommandError, Exit
from ftq_cli.local import Options, check
from ftq_cli.metrics import Totals, read
from ftq_cli.processes import ending
from ftq_cli.relay import CUT, LINE_BYTES
from ftq_cli.state import Locked, locked


def test_settings_of_the_shell_reach_the_programs() -> None:
    check(Options(environ={"FTQ_VISIBILITY_SECONDS": "8", "FTQ_WAIT_SECONDS": "0"}))
    with pytest.raises(CommandError, match="FTQ_VISIBILITY_SECONDS='7'") as refused:
        check(Options(environ={"FTQ_VISIBILITY_SECONDS": "7"}))
    assert refused.value.code is Exit.USAGE


def test_a_directory_is_had_by_one(tmp_path: Path) -> None:
    state = tmp_path / "a" / "b"
    with locked(state), pytest.raises(Locked), locked(state):
        pass
    with locked(state):
        pass


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(CommandError, match="cannot be used: Not a directory")
    with refused, locked(tmp_path / "file" / "x"):
        pass


def test_what_an_up_left_behind_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text("{}")
    with locked(tmp_path):
        assert not (tmp_path / "up.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"api_url": 1}'])
def test_a_file_that_says_nothing_names_no_api(text: str, tmp_path: Path) -> None:
    assert known_api(tmp_path) is None
    (tmp_path / "up.json").write_text(text)
    assert known_api(tmp_path) is None


def test_a_file_that_names_the_api_is_believed(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text(json.dumps({"api_url": "http://x"}))
    assert known_api(tmp_path) == "http://x"


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "SIGKILL"), (-99, "signal 99")]
)
def test_ends_are_worded_for_people(code: int, words: str) -> None:
    assert ending(code) == words


async def test_a_program_that_ends_before_it_is_ready_is_quoted() -> None:
    said: list[str] = []
    program = Program("the zen", "this", {}, "zen.started")
    with pytest.raises(ChildFailedError, match="the zen ended with exit code 0") as failed:
        async with running(program, said.append):
            raise AssertionError("it is never ready")
    assert failed.value.code == 0
    assert "Namespaces are one honking great idea" in failed.value.said
    assert len(said) > 12


def chatter(directory: Path, code: str) -> Program:
    (directory / "chatter.py").write_text("import sys, time\n" + code)
    return Program("chatter", "chatter", {"PYTHONPATH": str(directory)}, "ready")


async def test_a_relay_that_fails_does_not_hold_the_program_up(tmp_path: Path) -> None:
    said: list[str] = []

    def relay(line: str) -> None:
        said.append(line)
        raise BrokenPipeError

    program = chatter(
        tmp_path, "for _ in range(20_000): print('x' * 100)\nprint('{\"event\": \"ready\"}')\n"
    )
    async with running(program, relay) as child:
        assert await child.process.wait() == 0
    assert said == ["x" * 100]


async def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    said: list[str] = []
    program = chatter(
        tmp_path,
        "sys.stdout.write('x' * 1_000_000 + '\\n{\"event\": \"ready\"}\\n' + 'y' * 1_000_000)\n",
    )
    async with running(program, said.append) as child:
        assert await child.process.wait() == 0
    assert said == [
        "x" * LINE_BYTES + CUT, '{"event": "ready"}', "y" * LINE_BYTES + CUT,
    ]  # fmt: skip


def test_metrics_are_added_up() -> None:
    exposition = (
        "# TYPE ftq_aws_calls_total counter\n"
        'ftq_aws_calls_total{operation="ReceiveMessage",outcome="ok",service="sqs"} 3.0\n'
        'ftq_aws_calls_total{operation="DeleteMessageBatch",outcome="ok",service="sqs"} 2.0\n'
        "# TYPE ftq_tasks_total counter\n"
        'ftq_tasks_total{outcome="succeeded",type="a"} 4.0\n'
        'ftq_tasks_total{outcome="retrying",type="a"} 5.0\n'
        'ftq_tasks_total{outcome="succeeded",type="b"} 1.0\n'
    )
    assert read(exposition) + Totals(1, 1) == Totals(6, 6)
