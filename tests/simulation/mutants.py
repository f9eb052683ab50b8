"""What if a rule were left out? Each mutant of the code must be caught, by a test or a seed.

    python -m tests.simulation.mutants [--seeds A..B] [--only WORD]

copies the project, leaves one rule out of the copy, runs the daemon's unit tests and the
simulation on it, and prints who noticed. Not part of `make check`: it takes an hour. Run it after
a change of PROTOCOL.md's rules, of the schedules or of the invariants. The texts that it replaces
are those of the code as it is; where the code has moved on, it says so.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from tests.simulation.batch import play_among, workers
from tests.simulation.mutant_table import EXTRA, MUTANTS, Mutant

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("ftq", "ftq_daemon", "api_lambda", "ftq_cli", "tests", "docs", "pyproject.toml")
PYTEST: Final = ("-m", "pytest", "-q", "-n", "auto", "--timeout=60", "--maxfail=6")
# Enough to know a mutant by.
ENOUGH: Final = 12


def apply(mutant: Mutant, root: Path) -> str:
    """Make the mutant; says what does not fit, if anything."""
    edits = [(mutant.path, old, new) for old, new in mutant.edits]
    edits += [extra for sign, extra in EXTRA.items() for _, new in mutant.edits if sign in new]
    for path, old, new in edits:
        file = root / path
        source = file.read_text()
        if source.count(old) != 1:
            return f"{path} has {source.count(old)} times: {old.strip()[:60]}"
        file.write_text(source.replace(old, new))
    return ""


def _run(root: Path, *arguments: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    try:
        ran = subprocess.run(
            command, cwd=root, env=environ, capture_output=True, text=True, timeout=1800
        )
    except subprocess.TimeoutExpired:
        # Slow is not caught: this machine may be busy.
        return "it did not end in time: UNDECIDED"
    return ran.stdout + ran.stderr


def _unit(root: Path) -> list[str]:
    said = _run(root, *PYTEST, "tests/unit/daemon", "tests/unit/ftq/test_core_verdict.py")
    return re.findall(r"^(?:FAILED|ERROR) \S*::(\w+)", said, re.MULTILINE)


def _simulated(root: Path, seeds: str) -> Counter[str]:
    said = _run(root, "-m", "tests.simulation.mutants", "--play", seeds)
    lines = [line for line in said.splitlines() if line[:8].isdigit()]
    return Counter({line[9:]: int(line[:8]) for line in lines})


def _play(seeds: range) -> None:
    """In the copy: how many seeds broke which promise."""
    broken: Counter[str] = Counter()
    with workers() as pool:
        for batch in play_among(pool, seeds):
            broken.update(failure.promise for failure in batch.failures)
            if broken.total() >= ENOUGH:
                pool.shutdown(cancel_futures=True)
                break
    for promise, count in broken.most_common():
        sys.stdout.write(f"{count:08} {promise}\n")


def _judge(mutant: Mutant, seeds: str) -> bool:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for part in COPIED:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, root / part)
        if problem := apply(mutant, root):
            sys.stdout.write(f"{mutant.rule:8} {mutant.what}: CANNOT BE MADE: {problem}\n")
            return False
        units, simulated = _unit(root), _simulated(root, seeds)
    by_unit = f"{len(units)} tests ({', '.join(units[:2])})" if units else "no test"
    by_seed = ", ".join(f"{count} {promise}" for promise, count in simulated.most_common(4))
    sys.stdout.write(
        f"{mutant.rule:8} {mutant.what}\n         unit: {by_unit}\n"
        f"         simulation: {by_seed or 'NO SEED'}\n"
    )
    sys.stdout.flush()
    return bool(units or simulated)


def _range(text: str) -> range:
    first, _, last = text.partition("..")
    return range(int(first), int(last) + 1)


def main() -> int:
    """Judge them all; 1 if one was not caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants")
    parser.add_argument("--seeds", default="0..999")
    parser.add_argument("--only", default="", help="mutants with this word in them")
    parser.add_argument("--play", default="", help="used by itself, in the copies")
    asked = parser.parse_args()
    if asked.play:
        _play(_range(asked.play))
        return 0
    wanted = [each for each in MUTANTS if asked.only in f"{each.rule} {each.what}"]
    missed = [each.what for each in wanted if not _judge(each, asked.seeds)]
    sys.stdout.write(f"{len(wanted)} mutants, not caught: {', '.join(missed) or 'none'}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
