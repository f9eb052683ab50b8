"""The compose files: what they say, and what they start."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import yaml

from ftq.client import AsyncClient
from ftq.text import Json, parse
from ftq_cli.embedded import embedded_aws
from tests.deploy import containers
from tests.deploy.containers import ROOT, Container, Engine
from tests.deploy.watched import document, listed
from tests.e2e.stage import stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

LOCALSTACK: Final = ("docker-compose.yml",)
EMBEDDED: Final = (*LOCALSTACK, "docker-compose.embedded.yml")
PAGE: Final = (ROOT / "docs" / "how-to" / "localstack.md").read_text()
BIN: Final = Path(sys.executable).parent


def files(names: tuple[str, ...]) -> list[str]:
    return [f"--file={ROOT / name}" for name in names]


def services(name: str) -> dict[str, dict[str, Json]]:
    """The services of one file as it stands, its anchors written out."""
    whole = document(parse(json.dumps(yaml.safe_load((ROOT / name).read_text()))))
    return {name: document(each) for name, each in document(whole["services"]).items()}


@pytest.mark.parametrize(
    ("schema", "names"),
    [("compose-spec", EMBEDDED), ("github-workflows", (".github/workflows/ci.yml",))],
)
def test_the_files_are_of_their_schemas(schema: str, names: tuple[str, ...]) -> None:
    paths = [str(ROOT / name) for name in names]
    words = [str(BIN / "check-jsonschema"), "--builtin-schema", f"vendor.{schema}", *paths]
    told = subprocess.run(words, capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("names", [LOCALSTACK, EMBEDDED], ids=len)
def test_dockers_own_compose_finds_nothing_wrong(names: tuple[str, ...]) -> None:
    asked = ["docker", "compose", "version"]
    if not shutil.which("docker") or subprocess.run(asked, capture_output=True).returncode:
        pytest.skip("there is no `docker compose` here; the schema and podman-compose are")
    words = ["docker", "compose", *files(names), "config", "--quiet"]
    told = subprocess.run(words, capture_output=True, text=True, check=False)

    assert (told.returncode, told.stderr) == (0, "")


def test_only_this_machine_comes_in_and_nothing_of_ours_is_root_or_writes_to_its_root() -> None:
    said = services(LOCALSTACK[0])
    ours = [said["api"], said["daemon"], services(EMBEDDED[1])["aws"]]

    for each in ours:
        assert each["read_only"] is True
        assert (each["cap_drop"], each["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
        assert "user" not in each, "the image's own"
    ports = [str(port) for each in said.values() for port in listed(each.get("ports", []))]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_localstacks_image_is_the_one_that_asks_for_no_account_pinned() -> None:
    image = str(services(LOCALSTACK[0])["aws"]["image"])

    assert re.fullmatch(
        r"\$\{LOCALSTACK_IMAGE:-localstack/localstack:4\.\d+\.\d+@sha256:[0-9a-f]{64}\}", image
    )


async def test_on_localstack_the_queues_are_where_the_daemon_looks_for_them(
    localstack_url: str,
) -> None:
    said = services(LOCALSTACK[0])
    assert document(said["aws"]["environment"])["SQS_ENDPOINT_STRATEGY"] == "path"  # as here
    looks = document(said["daemon"]["environment"])

    async with embedded_aws() as other:  # its DynamoDB needs more than its package has
        endpoints = {"AWS_ENDPOINT_URL_SQS": localstack_url, "AWS_ENDPOINT_URL_DYNAMODB": other}
        async with stage(daemons=1, **endpoints) as on:
            made = on.it.made
            assert (await on.final(await on.submit("demo.echo", {})))["state"] == "succeeded"

    urls = {"FTQ_QUEUE_URL": made.queue_url, "FTQ_DLQ_URL": made.dlq_url}
    for key, url in urls.items():
        assert urlsplit(str(looks[key])).path == urlsplit(url).path
    assert looks["FTQ_TABLE"] == made.table


@dataclass(frozen=True, slots=True)
class Composed:
    """The services of the embedded variant, under a name and at ports of their own."""

    engine: Engine
    project: str
    environ: dict[str, str]

    def __call__(self, *words: str) -> str:
        """Run a command of compose's."""
        ours = self.engine.base != ""
        tool = [str(BIN / "podman-compose"), "--podman-args=--log-level=fatal"]
        command = tool if ours else ["docker", "compose"]
        done = subprocess.run(
            [*command, f"--project-name={self.project}", *words],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def service(self, name: str) -> Container:
        """A service's container."""
        label = f"--filter=label=com.docker.compose.service={name}"
        mine = f"--filter=label=com.docker.compose.project={self.project}"
        return Container(
            self.engine, self.engine("ps", "--all", "--quiet", label, mine).stdout.strip()
        )

    async def up(self) -> None:
        """Start each when those that it depends on are healthy."""
        # As compose does: but podman knows no health unless it is asked, or has a systemd.
        whole = document(parse(json.dumps(yaml.safe_load(self("config")))))
        needs = {
            name: document(document(each).get("depends_on", {}))
            for name, each in document(whole["services"]).items()
        }
        assert {name: set(each) for name, each in needs.items()} == {
            "aws": set(),
            "api": {"aws"},
            "daemon": {"api"},
        }
        for name in TopologicalSorter(needs).static_order():
            for need in needs[name].values():
                assert document(need)["condition"] == "service_healthy"
            self("up", "--detach", "--no-build", "--no-deps", name)
            await self.service(name).well()


@contextmanager
def composed(engine: Engine, **settings: str) -> Iterator[Composed]:
    project = f"ftq-test-{uuid.uuid4().hex[:8]}"
    (both,) = re.findall(r"^export (COMPOSE_FILE)=(.+)$", PAGE, re.MULTILINE)
    it = Composed(engine, project, {**os.environ, **engine.environ, **settings, **dict([both])})
    try:
        yield it
    finally:
        it("down", "--volumes", "--timeout=0")


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.fixture(scope="session")
def local_image(engine: Engine) -> str:
    """The command's image, which plays the API and AWS."""
    with containers.engine():
        engine.build(ROOT, "--target", "local", "--tag", "ftq-local")
    return "ftq-local"


@pytest.mark.usefixtures("local_image")
async def test_a_task_posted_to_the_api_goes_through_the_daemon_and_all_of_it_ends_in_order(
    engine: Engine,
) -> None:
    port = free_port()
    with composed(engine, API_PORT=port, AWS_PORT=free_port()) as on:
        await on.up()
        async with AsyncClient(f"http://127.0.0.1:{port}") as api:
            accepted = await api.submit("email.send", {"to": "a@example.com", "subject": "Hi"})
            ended = await api.wait(accepted.id)
        assert (ended.state, ended.result) == ("succeeded", "sent to a@example.com at attempt 1")

        parts = {name: on.service(name) for name in ("aws", "api", "daemon")}
        for name, each in parts.items():
            status = each.runs("cat", "/proc/1/status").stdout
            assert re.search(r"^Uid:\s10001\s", status, re.MULTILINE), name
            assert re.search(r"^CapEff:\s0+$", status, re.MULTILINE), name
            mounts = each.runs("cat", "/proc/mounts").stdout
            assert re.search(r"^\S+ / \S+ ro,", mounts, re.MULTILINE), name
        asked = parts["daemon"].runs("python", "-c", "from urllib.request import urlopen as u; "
                                     "print(u('http://api:8700/health').status)")  # fmt: skip
        assert asked.stdout == "200\n", asked.stderr
        commands = re.findall(r"^docker compose exec (.+)$", PAGE, re.MULTILINE)
        assert len(commands) == 2
        for command in commands:
            on("exec", "-T", *shlex.split(command))

        assert "asks nobody who they are" in parts["api"].logs

        on("stop")
        codes = {name: each.shown("{{.State.ExitCode}}") for name, each in parts.items()}
        assert codes == {"aws": "0", "api": "0", "daemon": "0"}
