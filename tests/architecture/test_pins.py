"""What is installed is what was reviewed. Known holes are looked up elsewhere: SECURITY.md."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "requirements").glob("*.txt"))
# What the programs bring along: ours is MIT, and who installs it must be free to ship it.
SHIPPED = ("daemon", "lambda")
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)( ; .+)?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
_COPYLEFT = re.compile(r"\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)


def entries(path: Path) -> list[str]:
    """The requirements of a file, each with its hashes on one line."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    return [entry for entry in "\n".join(lines).replace("\\\n", " ").splitlines() if entry.strip()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_package_is_pinned_to_one_version_by_hashes(path: Path) -> None:
    found = entries(path)
    assert found
    for entry in found:
        requirement, *hashes = re.split(r"\s+(?=--hash)", entry.strip())
        assert _PIN.fullmatch(requirement.strip()), requirement
        assert hashes, requirement
        assert all(_HASH.fullmatch(each.strip()) for each in hashes), requirement


@pytest.mark.parametrize("name", SHIPPED)
def test_the_programs_bring_along_no_package_whose_licence_would_bind_who_ships_them(
    name: str,
) -> None:
    told = 0
    for entry in entries(ROOT / "requirements" / f"{name}.txt"):
        package = entry.split("==")[0].strip()
        try:
            about = metadata(package)
        except PackageNotFoundError:
            continue  # of another platform
        # The text of a licence may name others: the expression and the classifiers do not.
        said = [
            *about.get_all("License-Expression", []),
            *about.get_all("Classifier", []),
        ]
        licences = [each for each in said if each and not each.startswith(("Prog", "Oper"))]
        told += bool(licences)
        assert not [each for each in licences if _COPYLEFT.search(each)], package
    assert told
