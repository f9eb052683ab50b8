"""The mutants are of the code as it is: each can be made, and parses."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from tests.simulation.mutant_table import EXTRA, MUTANTS, Mutant
from tests.simulation.mutants import ROOT, apply


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: f"{each.rule} {each.what}")
def test_each_mutant_can_be_made(mutant: Mutant, tmp_path: Path) -> None:
    paths = {mutant.path, *(path for path, _, _ in EXTRA.values())}
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    assert apply(mutant, tmp_path) == ""
    assert (tmp_path / mutant.path).read_text() != (ROOT / mutant.path).read_text()
    for path in paths:
        ast.parse((tmp_path / path).read_text())
