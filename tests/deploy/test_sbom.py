from __future__ import annotations

import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from deploy import sbom
from ftq.text import parse
from tests.deploy.containers import IMAGE, Engine
from tests.deploy.watched import document, listed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

Packages = set[tuple[str, str]]
INSTALLED: Final = """
import json
from importlib.metadata import distributions
print(json.dumps([[each.name, each.version] for each in distributions()]))
"""
# What the documents point to; whoever makes packages is not asked, and not named.
KNOWN: Final = {"bugs.debian.org", "cyclonedx.org", "www.debian.org"}


def made_of(path: Path) -> dict[str, Packages]:
    """What a document lists, by kind."""
    text = path.read_text()
    assert set(re.findall(r"https?://([^/\"]+)", text)) <= KNOWN
    whole = document(parse(text))
    assert whole["bomFormat"] == "CycloneDX"
    assert document(document(whole["metadata"])["component"])["version"] == version("ftq")
    found: dict[str, Packages] = defaultdict(set)
    for each in map(document, listed(whole["components"])):
        kind = str(each.get("purl", "")).removeprefix("pkg:").partition("/")[0]
        found[kind].add((str(each["name"]), str(each["version"])))
    return found


def normal(packages: Iterable[tuple[str, str]]) -> Packages:
    return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in packages}


def test_the_images_list_has_all_packages_that_are_in_it_and_no_other(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in engine.environ.items():
        monkeypatch.setenv(name, value)

    found = made_of(sbom.of_image(IMAGE, tmp_path))

    run = ("run", "--rm", "--entrypoint")
    ours = json.loads(engine(*run, "python", IMAGE, "-c", INSTALLED).stdout)
    debians = engine(*run, "dpkg-query", IMAGE, "-W", "-f", "${Package} ${Version}\\n").stdout
    assert normal(found.pop("pypi")) == normal(map(tuple, ours))
    assert found.pop("deb") == {tuple(line.split()) for line in debians.splitlines()}
    others = {name for packages in found.values() for name, _ in packages}
    assert others <= {"debian", "python"}


def test_the_zips_list_has_all_packages_that_are_in_it_and_no_other(
    built: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(built) as archive:
        names = re.findall(
            r"(?m)^([^/]+)-([^-/]+)\.dist-info/METADATA$", "\n".join(archive.namelist())
        )

    path = sbom.of_zip(built, tmp_path)

    assert path.name == f"{built.stem}.cdx.json"
    found = made_of(path)
    assert found.keys() == {"pypi"}
    assert normal(found["pypi"]) == normal(names)
    assert len(names) > 4


def test_an_image_that_is_not_there_and_a_file_that_is_no_zip_are_named(tmp_path: Path) -> None:
    with pytest.raises(sbom.SbomError, match="ftq-no-such-image"):
        sbom.of_image("ftq-no-such-image", tmp_path)
    (tmp_path / "a.zip").write_text("no zip")
    with pytest.raises(sbom.SbomError, match=r"a\.zip: File is not a zip file"):
        sbom.of_zip(tmp_path / "a.zip", tmp_path)
    assert not list(tmp_path.glob("*.json"))
