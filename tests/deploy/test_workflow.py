"""The workflow for GitHub: what it runs is there, what it uses is pinned, and it holds no secrets.

Its schema is held against the real one beside the compose files'.
"""

from __future__ import annotations

import re
from typing import Final

from tests.deploy.page import ROOT

WORKFLOW: Final = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
TARGETS: Final = {*re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)}


def test_each_action_is_pinned_to_a_commit() -> None:
    used = re.findall(r"uses: (\S+)", WORKFLOW)

    assert used
    assert not [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each)]


def test_each_program_that_it_fetches_is_of_one_version() -> None:
    run = re.findall(r"pipx run (\S+)", WORKFLOW)

    assert run
    assert not [each for each in run if not re.fullmatch(r"[\w-]+==[\d.]+", each)]


def test_nothing_that_others_write_is_put_into_a_script() -> None:
    for script in re.findall(r"run: (\|\n(?: {10,}.*\n)+|.*)", WORKFLOW):
        assert {*re.findall(r"\$\{\{ (.*?) \}\}", script)} <= {"matrix.machine"}, script


def test_each_target_that_it_makes_exists() -> None:
    made = {*re.findall(r"run: make (\w+)", WORKFLOW)}

    assert {"deploy", "image", "scan", "zip"} <= made <= TARGETS


def test_it_holds_no_secret_and_may_write_nothing_but_ask_for_an_identity() -> None:
    assert "secrets." not in WORKFLOW
    assert {*re.findall(r"^ +([\w-]+): write$", WORKFLOW, re.MULTILINE)} == {"id-token"}


def test_nothing_is_deployed_that_was_not_looked_at() -> None:
    (deploy,) = re.findall(r"^  deploy:\n(.*)", WORKFLOW, re.MULTILINE | re.DOTALL)

    assert "needs: [check, audit, scan, build]" in deploy
    assert "environment: ${{ matrix.environment }}" in deploy
