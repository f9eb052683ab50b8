"""``make zip``: the Lambda's zip, the same bytes for the same sources, pins and interpreter.

    python deploy/lambda_zip.py --machine aarch64 --python 3.13 --out dist

It holds `api_lambda`, `ftq` and pydantic with its wheels for Lambda's own Linux. Not botocore,
which the runtime brings, nor the fakes and the client of ftq. Where an interpreter of that Python
is at hand the modules are compiled: Lambda cannot keep what it compiles, so each cold start would
do it again.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PINS: Final = ROOT / "requirements" / "lambda.txt"
MACHINES: Final = ("aarch64", "x86_64")
PYTHONS: Final = ("3.11", "3.12", "3.13")
LIMIT: Final = 5 * 2**20
# Zip's first day: no file tells when it was built.
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
# What no handler runs: fakes, plugins of type checkers, pydantic's first major version, and what
# installers keep for themselves. Licences stay.
LEFT_OUT: Final = re.compile(
    r"^(ftq/(testing/|client)|annotated_types/test_cases\.py$|pydantic/(v1/|mypy\.py$)|bin/)"
    r"|(^|/)__pycache__/|\.pyi$|(^|/)tests?/"
    r"|\.dist-info/(RECORD|INSTALLER|REQUESTED|WHEEL|direct_url\.json)$"
)


class ZipError(Exception):
    """The zip could not be built as it has to be."""


def build(machine: str, python: str, out: Path) -> Path:
    """Build the zip; returns where it is.

    Args:
        machine: One of `MACHINES`.
        python: One of `PYTHONS`.
        out: The directory that it goes to.

    Raises:
        ZipError: pip failed, or the zip is over the limit.
    """
    with TemporaryDirectory() as directory:
        tree = Path(directory)
        _install(machine, python, tree)
        for package in ("api_lambda", "ftq"):
            shutil.copytree(ROOT / package, tree / package)
        for path in sorted(tree.rglob("*"), reverse=True):
            if LEFT_OUT.search(_name(path, tree)):
                _remove(path)
        _compile(python, tree)
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"ftq-api-{machine}-python{python}.zip"
        _write(tree, path)
    if path.stat().st_size > LIMIT:
        raise ZipError(f"{path} has {path.stat().st_size:,} bytes; at most {LIMIT:,}")
    return path


def _install(machine: str, python: str, tree: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
    pinned = ["--no-deps", "--no-compile", "--require-hashes", "-r", str(PINS)]
    made_for = ["--platform", f"manylinux2014_{machine}", "--python-version", python]
    wheels = ["--implementation", "cp", "--only-binary", ":all:", "--target", str(tree)]
    if subprocess.run([*pip, *pinned, *made_for, *wheels]).returncode:
        raise ZipError(f"pip found no wheels for Python {python} on {machine}")


def _compile(python: str, tree: Path) -> None:
    interpreter = _interpreter(python)
    if interpreter is None:
        print(f"There is no Python {python} here: Lambda will compile at each cold start.")
        return
    # By hash and unchecked: times would differ from build to build, and cost a look per module.
    how = ["--invalidation-mode", "unchecked-hash", "-q", "-s", str(tree), "-p", "/var/task"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    compiled = [interpreter, "-m", "compileall", *how, str(tree)]
    if subprocess.run(compiled, env=environment).returncode:
        raise ZipError(f"not everything compiles on Python {python}")


def _interpreter(python: str) -> str | None:
    names = [sys.executable, f"python{python}"]
    names += map(str, sorted(Path.home().glob(f".pyenv/versions/{python}.*/bin/python")))
    tell = "import sys; print('%d.%d' % sys.version_info[:2])"
    for name in names:
        try:
            told = subprocess.run([name, "-c", tell], capture_output=True, text=True)
        except FileNotFoundError:
            continue
        if told.stdout.strip() == python:
            return name
    return None


def _write(tree: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for source in sorted(each for each in tree.rglob("*") if each.is_file()):
            entry = zipfile.ZipInfo(_name(source, tree), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, source.read_bytes())


def _name(path: Path, tree: Path) -> str:
    return path.relative_to(tree).as_posix() + ("/" if path.is_dir() else "")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def main() -> int:
    """Build it and say where it is and how large."""
    parser = argparse.ArgumentParser(prog="lambda_zip", description=__doc__)
    parser.add_argument("--machine", choices=MACHINES, default="aarch64")
    parser.add_argument("--python", choices=PYTHONS, default="3.13")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    asked = parser.parse_args()
    try:
        path = build(asked.machine, asked.python, asked.out)
    except ZipError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{os.path.relpath(path)}: {path.stat().st_size / 2**20:.2f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
