from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import botocore
import pytest

from deploy.lambda_zip import LIMIT, MACHINES, build
from tests.deploy.conftest import HERE, MACHINE, PYTHON

pytestmark = pytest.mark.e2e

# "e_machine" of the generic ABI.
ELF_MACHINES: Final = {"x86_64": 62, "aarch64": 183}
REQUEST = """
import json, sys
sys.path.insert(0, sys.argv[1])
from api_lambda.handler import handler
import pydantic
event = {
    "version": "2.0", "rawPath": "/tasks", "headers": {}, "body": "no JSON",
    "isBase64Encoded": False, "requestContext": {"http": {"method": "POST", "path": "/tasks"}},
}
answer = handler(event, None)
print(json.dumps([answer["statusCode"], pydantic.__file__]), file=sys.__stdout__)
"""


@pytest.fixture(scope="module", params=MACHINES)
def either(
    request: pytest.FixtureRequest, built: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """For which machine a zip is, and where it lies."""
    machine = str(request.param)
    if machine == MACHINE:
        return machine, built
    return machine, build(machine, PYTHON, tmp_path_factory.mktemp("other"))


def test_it_holds_the_api_the_library_and_pydantic_and_nothing_else(
    either: tuple[str, Path],
) -> None:
    names = zipfile.ZipFile(either[1]).namelist()

    tops = {name.split("/")[0].split("-")[0] for name in names}
    assert tops == {
        "__pycache__",
        "annotated_types",
        "api_lambda",
        "cronsim",
        "ftq",
        "pydantic",
        "pydantic_core",
        "typing_extensions",
        "typing_extensions.py",
        "typing_inspection",
    }
    assert "api_lambda/handler.py" in names
    assert {f"api_lambda/console/{name}" for name in ("index.html", "app.css", "app.js")} <= {
        *names
    }
    assert not [name for name in names if "test" in name.rpartition("/")[2].split("_")]
    assert not [name for name in names if name.startswith(("ftq/testing", "ftq/client"))]


def test_it_stays_under_its_limit(either: tuple[str, Path]) -> None:
    assert either[1].stat().st_size <= LIMIT == 5 * 1024 * 1024


def test_the_same_sources_make_the_same_bytes(either: tuple[str, Path], tmp_path: Path) -> None:
    machine, first = either

    again = build(machine, PYTHON, tmp_path)

    digests = {hashlib.sha256(path.read_bytes()).digest() for path in (first, again)}
    assert len(digests) == 1


def test_what_is_compiled_in_it_is_for_its_machine(either: tuple[str, Path]) -> None:
    # Only this machine's can be run here: the header says whom the other one is for.
    machine, path = either
    archive = zipfile.ZipFile(path)
    objects = [archive.read(name) for name in archive.namelist() if name.endswith(".so")]

    assert objects
    for each in objects:
        assert each[:4] == b"\x7fELF"
        assert int.from_bytes(each[18:20], "little") == ELF_MACHINES[machine]


def test_each_module_is_compiled_for_the_interpreter_that_runs_it(
    either: tuple[str, Path],
) -> None:
    names = zipfile.ZipFile(either[1]).namelist()
    compiled = f"cpython-{PYTHON.replace('.', '')}.pyc"

    assert f"api_lambda/__pycache__/handler.{compiled}" in names


@pytest.mark.skipif(
    (platform.machine(), HERE) != (MACHINE, PYTHON) or sys.platform != "linux",
    reason="the zip is for another platform than this machine",
)
def test_its_handler_answers_in_an_interpreter_that_has_only_the_runtimes_botocore(
    built: Path, tmp_path: Path
) -> None:
    zipfile.ZipFile(built).extractall(tmp_path / "task")
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    packages = Path(botocore.__file__).parents[1]
    for name in ("botocore", "dateutil", "jmespath", "six.py", "urllib3"):
        (runtime / name).symlink_to(packages / name)
    environment = {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_REGION": "eu-central-1",
        "AWS_SECRET_ACCESS_KEY": "x",
        "FTQ_DLQ_URL": "http://127.0.0.1:9/0/dead",
        "FTQ_QUEUE_URL": "http://127.0.0.1:9/0/tasks",
        "FTQ_TABLE": "tasks",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(runtime),
    }

    told = subprocess.run(
        [sys.executable, "-S", "-c", REQUEST, str(tmp_path / "task")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0, told.stderr
    assert f'[400, "{tmp_path}/task/pydantic/__init__.py"]' in told.stdout
