"""Container engines that build and run the image: Docker, or else podman as root on Debian."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.backends import eventually
from tests.deploy import lab

ROOT: Final = Path(__file__).parents[2]
IMAGE: Final = "ftq-daemon"
# As in the page and on ECS: nothing to write to but /tmp, nothing to gain.
LOCKED: Final = (
    "--read-only", "--tmpfs=/tmp:rw,nosuid,noexec,size=64m,mode=1777", "--cap-drop=ALL",
    "--security-opt=no-new-privileges", "--pids-limit=256",
)  # fmt: skip
HOST: Final = "--network=host"

Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Engine:
    """What builds and runs containers.

    Attributes:
        command: What its every call begins with.
        builds: What a build begins with.
        environ: The environment of its calls.
        base: Stands in for the image that `FROM` asks for; '' where that one can be had.
    """

    command: tuple[str, ...]
    builds: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    base: str = ""

    def __call__(self, *words: str, fails: bool = False, within: float = 60) -> Done:
        """Run one of its commands to its end, which is a good one unless it may fail."""
        return self._run((*self.command, *words), fails, within)

    def build(self, context: Path, *options: str, within: float = 600) -> None:
        """Build an image."""
        base = ("--build-arg", f"PYTHON_IMAGE={self.base}") if self.base else ()
        self._run((*self.builds, *base, *options, str(context)), False, within)

    def _run(self, words: tuple[str, ...], fails: bool, within: float) -> Done:
        done = subprocess.run(
            words,
            env=self.environ,
            cwd=lab.WHERE,  # where one killed for its memory leaves a file that says so
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        assert fails or done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done

    @contextmanager
    def running(self, *words: str) -> Iterator[Container]:
        """A container in the background, until the end of the context."""
        it = Container(self, self("run", "--detach", HOST, *words).stdout.strip())
        try:
            yield it
        finally:
            self("kill", it.id, fails=True)  # or it would be given time to drain
            self("rm", "--force", "--volumes", it.id, fails=True)


@dataclass(frozen=True, slots=True)
class Container:
    """One that was started."""

    engine: Engine
    id: str

    def shown(self, template: str) -> str:
        """Something that its engine knows of it, as a Go template."""
        return self.engine("inspect", "--format", template, self.id).stdout.strip()

    @property
    def logs(self) -> str:
        """All that it said."""
        done = self.engine("logs", self.id)
        return done.stdout + done.stderr

    def runs(self, *words: str, environ: str = "FTQ_IGNORED=") -> Done:
        """Run a command in it."""
        return self.engine("exec", "--env", environ, self.id, *words, fails=True)

    def healthy(self) -> Done:
        """Run the health check that its image brings."""
        test = self.shown("{{json .Config.Healthcheck.Test}}")
        words = re.findall(r'"([^"]*)"', test)
        assert words[0] == "CMD", test
        return self.runs(*words[1:])

    async def well(self) -> None:
        """Wait until its health check passes: Docker makes it by itself, podman if it is asked."""

        def is_so() -> bool:
            if self.engine.base:
                return self.engine("healthcheck", "run", self.id, fails=True).returncode == 0
            return self.shown("{{.State.Health.Status}}") == "healthy"

        await eventually(is_so, within=60)

    def kill(self, signal: str) -> None:
        """Send its first process a signal."""
        self.engine("kill", "--signal", signal, self.id)

    def end(self) -> int:
        """Wait until it has ended by itself, and return its exit code."""
        return int(self.engine("wait", self.id).stdout.strip())


def missing() -> str:
    """Why there is no engine here; '' if there is one, or one can be installed."""
    return "" if _docker() else lab.missing()


@contextmanager
def engine() -> Iterator[Engine]:
    """The engine of this machine, ours alone while it is being set up and builds.

    Raises:
        lab.LabError: It cannot be set up.
    """
    lab.WHERE.mkdir(mode=0o700, exist_ok=True)
    with (lab.WHERE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _docker():
            yield Engine(("docker",), ("docker", "build"))
            return
        wanted = base_image((ROOT / "Dockerfile").read_text())
        made = lab.prepared(wanted)
        # Docker's format, for the other one has no HEALTHCHECK.
        builds = (
            "buildah", "build", "--isolation=chroot", "--pull=never", "--format=docker", "--layers",
            *made.mounts,
        )  # fmt: skip
        yield Engine(("podman", "--log-level=fatal"), builds, made.environ, made.base)


def base_image(dockerfile: str) -> str:
    """The name and tag of the image that a Dockerfile's builds begin with."""
    found = re.search(r"^ARG PYTHON_IMAGE=([^@\s]+)", dockerfile, re.MULTILINE)
    assert found, "the Dockerfile names no PYTHON_IMAGE"
    return found[1]


def _docker() -> bool:
    if not shutil.which("docker"):
        return False
    asked = subprocess.run(
        ["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, check=False
    )
    return asked.returncode == 0 and bool(asked.stdout.strip())
