"""The image is built and run: see `containers` for by what."""

from __future__ import annotations

import os
import platform
import re
import shlex
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.backends import eventually
from tests.deploy import containers
from tests.deploy.containers import IMAGE, LOCKED, ROOT, Container, Engine
from tests.e2e.stage import Stage, stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PAGE: Final = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
# As images name it.
HERE: Final = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
# Beside the page's own handler: one that takes its time, and one that takes memory.
MORE: Final = """

class Takes(BaseModel):
    seconds: float = 0
    megabytes: int = 0


@registry.handler("hold", timeout=60)
async def hold(takes: Takes) -> None:
    import asyncio

    await asyncio.sleep(takes.seconds)


@registry.handler("hog", timeout=60)
async def hog(takes: Takes) -> int:
    import os

    return len(b"x" * (takes.megabytes << 20)) if "GREEDY" in os.environ else 0
"""
# Where nothing can be installed, or what is not in what runs.
ABSENT: Final = """
import importlib.util, shutil
tools = "pip pip3 gcc cc g++ ld make hatch uv ftq curl git"
modules = "pip ensurepip hatchling click rich ministack botocore.tests pytest"
print([t for t in tools.split() if shutil.which(t)], [
    m for m in modules.split() if "." not in m and importlib.util.find_spec(m)])
"""


def in_page(language: str) -> str:
    """The first block of code in the page that is in a language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found, language
    return found[1]


@pytest.fixture(scope="session")
def handlers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's directory of a user: handlers, and three lines."""
    directory = tmp_path_factory.mktemp("mailer")
    (directory / "mailer.py").write_text(in_page("python") + MORE)
    (directory / "Dockerfile").write_text(in_page("dockerfile"))
    return directory


@pytest.fixture(scope="session")
def engine(engine: Engine, handlers: Path) -> Engine:
    """Where the image is, and a user's `mailer` on it."""
    with containers.engine():
        engine.build(handlers, "--tag", "mailer")
    return engine


@pytest.fixture
def told(engine: Engine) -> str:
    """What the engine knows of the image."""
    return engine("image", "inspect", IMAGE).stdout


@asynccontextmanager
async def local(handlers: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """The embedded AWS and the API; the daemons come in containers."""
    monkeypatch.syspath_prepend(str(handlers))
    more = {"PYTHONPATH": str(handlers), "FTQ_VISIBILITY_SECONDS": "8"}
    async with stage(daemons=0, handlers="mailer:registry", **more) as on:
        yield on


def settings(on: Stage, **more: str) -> list[str]:
    """The options that give a container its settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ours = {k: v for k, v in on.it.environ.items() if k.startswith(("AWS_", "FTQ_"))}
    # The image names its handlers itself.
    given = {**ours, "FTQ_HEALTH_PORT": port, **more}
    return [f"--env={key}={value}" for key, value in given.items() if key != "FTQ_HANDLERS"]


async def started(container: Container) -> None:
    await eventually(lambda: "daemon.started" in container.logs, within=30)


async def state_of(on: Stage, task: str, wanted: str, within: float = 30) -> None:
    async def is_so() -> bool:
        return (await on.get(task))["state"] == wanted

    await eventually(is_so, within)


async def test_three_lines_make_an_image_that_works_locked_in_and_drains_on_sigterm(
    engine: Engine, handlers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with local(handlers, monkeypatch) as on:
        with engine.running(*LOCKED, "--memory=512m", *settings(on), "mailer") as daemon:
            await started(daemon)
            sent = await on.submit("email.send", {"to": "a@example.com", "subject": "Hi"})
            await state_of(on, sent, "succeeded")
            status = daemon.runs("cat", "/proc/1/status").stdout
            assert re.search(r"^Uid:\s10001\s10001\s10001\s10001$", status, re.MULTILINE)
            assert re.search(r"^CapEff:\s0+$", status, re.MULTILINE)
            assert re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)
            assert daemon.runs("touch", "/app/x", "/opt/ftq/x", "/x").returncode != 0
            assert daemon.healthy().returncode == 0

            held = await on.submit("hold", {"seconds": 2})
            await state_of(on, held, "running")
            daemon.kill("TERM")

            assert daemon.end() == 0, daemon.logs
            assert (await on.get(held))["state"] == "succeeded", daemon.logs


async def test_neither_one_that_hung_and_was_killed_nor_one_out_of_memory_loses_its_task(
    engine: Engine, handlers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with local(handlers, monkeypatch) as on:
        held = await on.submit("hold", {"seconds": 1})
        with engine.running(*LOCKED, *settings(on), "mailer") as killed:
            await state_of(on, held, "running")
            killed.kill("STOP")
            asked = killed.healthy()
            assert (asked.returncode, "TimeoutError" in asked.stderr) == (1, True), asked.stderr
            killed.kill("KILL")
            assert killed.end() == 137
        greed = await on.submit("hog", {"megabytes": 2000})
        limits = ("--memory=200m", "--memory-swap=200m", "--env=GREEDY=1")
        with engine.running(*LOCKED, *limits, *settings(on), "mailer") as greedy:
            assert greedy.end() == 137, greedy.logs

        # Its root can be written to, so that it is seen not to.
        with engine.running(*settings(on), "mailer") as last:
            await state_of(on, held, "succeeded")
            await state_of(on, greed, "succeeded")
            written = engine("diff", last.id).stdout.split("\n")
            ours = [each for each in written if re.search(r" /(app|home|opt|root|usr|var)", each)]
            assert not ours, written


def test_the_pages_commands_build_both_images(
    engine: Engine, handlers: Path, tmp_path: Path
) -> None:
    found = re.search(r"```\n(make image.*?)```", PAGE, re.DOTALL)
    assert found
    commands = found[1].replace("linux/arm64", f"linux/{HERE}").replace("../mailer", str(handlers))
    if engine.base:  # a docker that builds as the engine does
        words = (*engine.builds, "--build-arg", f"PYTHON_IMAGE={engine.base}")
        stand_in = tmp_path / "docker"
        stand_in.write_text(
            f'#!/bin/bash\n[ "$1" = info ] || exec {shlex.join(words)} "${{@:2}}"\n'
        )
        stand_in.chmod(0o755)
    with containers.engine():
        done = subprocess.run(
            ["bash", "-euc", commands],
            cwd=ROOT,
            env={**engine.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "mailer" in done.stdout + done.stderr


def test_one_without_settings_ends_at_once_and_says_what_it_lacks(engine: Engine) -> None:
    ended = engine("run", "--rm", *LOCKED, IMAGE, fails=True)

    assert ended.returncode == 2
    assert "FTQ_QUEUE_URL" in ended.stderr


def test_it_holds_no_installer_no_compiler_and_nothing_that_a_daemon_needs_not(
    engine: Engine,
) -> None:
    found = engine("run", "--rm", "--entrypoint", "python", IMAGE, "-c", ABSENT).stdout

    assert found == "[] []\n"


def test_no_program_in_it_makes_its_user_another_and_nothing_of_ours_can_be_changed(
    engine: Engine,
) -> None:
    find = ("run", "--rm", "--entrypoint", "find")
    everywhere = ("/", "-xdev", "-type", "f", "-perm", "/6000")

    assert engine(*find, "--user", "0", IMAGE, *everywhere).stdout == ""
    assert engine(*find, IMAGE, "/app", "/opt", "/usr", "!", "-type", "l", "-writable").stdout == ""


def test_what_ftq_adds_to_the_base_is_as_large_as_the_page_says(engine: Engine) -> None:
    said = re.search(r"`/opt/ftq` \((\d+) MB\)", PAGE)
    assert said
    du = engine("run", "--rm", "--entrypoint", "du", IMAGE, "-sm", "/opt/ftq").stdout

    assert int(du.split()[0]) == pytest.approx(int(said[1]), rel=0.1)


def test_the_base_is_the_one_that_is_pinned_or_says_that_it_stands_in(
    engine: Engine, told: str
) -> None:
    assert ('"ftq.stand-in": "true"' in told) == bool(engine.base)
