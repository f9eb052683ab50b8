"""``make sbom``: what the daemon's image and the Lambda's zips are made of, as CycloneDX documents.

    python deploy/sbom.py ftq-daemon --out dist

syft reads what is there: Debian's packages and Python's, each with its version and licence. It
asks nobody, so the documents say what is inside, not what is known to be wrong with it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).parents[1]
# What saves an image as a file, by what may have built it.
SAVES: Final = {
    "docker": ("docker", "save", "--output", "{path}", "{image}"),
    "podman": (
        "podman",
        "save",
        "--quiet",
        "--format=docker-archive",
        "--output={path}",
        "{image}",
    ),
    "buildah": ("buildah", "push", "--quiet", "{image}", "docker-archive:{path}:{image}"),
}


class SbomError(Exception):
    """A list could not be made."""


def of_image(image: str, out: Path) -> Path:
    """List what an image of this machine is made of; returns where.

    Raises:
        SbomError: There is no such image, or nothing to save it with.
    """
    with TemporaryDirectory() as directory:
        archive = Path(directory) / "image.tar"
        _save(image, archive)
        return of_archive(image, archive, out)


def of_archive(image: str, archive: Path, out: Path) -> Path:
    """List what a saved image is made of.

    Raises:
        SbomError: It cannot be read.
    """
    name = image.rpartition("/")[2].partition(":")[0]
    return _scan(f"docker-archive:{archive}", name, out / f"{name}.cdx.json")


def of_zip(path: Path, out: Path) -> Path:
    """List what a Lambda's zip is made of.

    Raises:
        SbomError: It cannot be read.
    """
    with TemporaryDirectory() as directory:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(directory)
        except (OSError, zipfile.BadZipFile) as error:
            raise SbomError(f"{path}: {error}") from error
        return _scan(f"dir:{directory}", path.stem, out / f"{path.stem}.cdx.json")


def _scan(source: str, name: str, to: Path) -> Path:
    found = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    version = found[1] if found else ""
    to.parent.mkdir(parents=True, exist_ok=True)
    syft = str(Path(sys.executable).with_name("syft"))
    named = ("--source-name", name, "--source-version", version)
    words = (syft, "scan", source, "--quiet", *named, "--output", f"cyclonedx-json={to}")
    _run(words, {**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"})
    return to


def _save(image: str, to: Path) -> None:
    refused = []
    for tool, words in SAVES.items():
        if shutil.which(tool):
            try:
                return _run([word.format(image=image, path=to) for word in words], os.environ)
            except SbomError as error:
                refused.append(str(error))
                to.unlink(missing_ok=True)
    raise SbomError(
        "\n".join(refused) or f"{image} is saved by docker, podman or buildah: none here"
    )


def _run(words: Sequence[str], environ: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(words, env=environ, capture_output=True, text=True)
    except OSError as error:
        raise SbomError(f"{words[0]}: {error.strerror}") from error
    if done.returncode:
        raise SbomError(f"{' '.join(words[:2])}: {(done.stderr or done.stdout).strip()}")


def main() -> int:
    """Make them and say where they are."""
    parser = argparse.ArgumentParser(prog="sbom", description=__doc__)
    parser.add_argument("image", help="the daemon's image; the zips are those in --out")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    asked = parser.parse_args()
    try:
        made = [of_image(asked.image, asked.out)]
        made += [of_zip(path, asked.out) for path in sorted(asked.out.glob("*.zip"))]
    except SbomError as error:
        print(error, file=sys.stderr)
        return 1
    for path in made:
        print(os.path.relpath(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
