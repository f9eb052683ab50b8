"""The page's commands are run, and ftq runs on what they make.

They are read from docs/how-to/deploy.md and run by a shell, in a clone of this repository, on the
embedded AWS; moto takes two of the templates. What the stand-ins skip is listed and held against
the templates by other means: see `skipped`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from moto.server import ThreadedMotoServer
from pydantic import BaseModel, Field

from deploy.ecs.errors import DeployError
from deploy.ecs.stacks import Stacks
from deploy.ecs.templates import OPTIONAL, ORDER
from deploy.ecs.templates import read as templates
from ftq_cli.diagnosis.finding import Level
from ftq_cli.diagnosis.look import Look
from ftq_cli.diagnosis.wanted import Wanted
from ftq_cli.environment import embedded
from ftq_cli.resources import Aws
from tests.backends import SEEN, started
from tests.deploy.conftest import MACHINE, PYTHON
from tests.deploy.front import front
from tests.deploy.page import PAGE, ROOT, blocks, commands
from tests.deploy.skipped import GAPS, LOOKS, REFUSED
from tests.deploy.test_image import in_page
from tests.e2e.stage import QUICK, environ

pytestmark = [
    pytest.mark.e2e,
    # moto says what it skips, which is what `skipped` lists.
    pytest.mark.filterwarnings("ignore:Tried to parse AWS:UserWarning"),
]

NAME: Final = "ftq"
USUAL: Final = [part for part in ORDER if part not in OPTIONAL]
# What a newcomer has from the block that only AWS can answer.
ACCOUNT: Final = {
    "REGISTRY": "000000000000.dkr.ecr.us-east-1.amazonaws.com",
    "VPC": "vpc-1",
    "SUBNETS": "subnet-1,subnet-2",
}


class Container(BaseModel):
    """What ECS starts a container with."""

    environment: list[dict[str, str]]


class Definition(BaseModel):
    """A task definition as ECS describes it."""

    containers: list[Container] = Field(alias="containerDefinitions")


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody with an account, a clone, and a shell.

    Attributes:
        endpoint: Where the account is.
        clone: The repository, as far as the page needs it.
        environ: What the shell knows.
        stacks: For looks at what was made.
    """

    endpoint: str
    clone: Path
    environ: Mapping[str, str]
    stacks: Stacks

    def types(self, lines: str, **more: str) -> str:
        """Run lines as a shell does that stops at the first failure; what they printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],
            cwd=self.clone,
            env={**self.environ, **more},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def api_url(self) -> str:
        # By path: this process is not told of the proxy.
        return f"{self.endpoint}/_aws/execute-api/{self.stacks.known.outputs['ApiId']}/$default"


def _cloned(clone: Path) -> None:
    """A clone in which all is installed: make is to leave this environment as it is."""
    packages = clone / ".venv"
    packages.mkdir()
    for path in ROOT.glob("[!.]*"):
        if path.name != "dist":  # whose zips are not to be mixed up with these
            (clone / path.name).symlink_to(path)
    for path in (ROOT / ".venv").glob("[!.]*"):
        (packages / path.name).symlink_to(path)
    for made in (".python", ".local", ".dev"):
        (packages / made).touch()


@pytest.fixture(scope="module")
def newcomer(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Newcomer]:
    """One who has typed what stands under "The stacks"."""
    clone = tmp_path_factory.mktemp("clone")
    _cloned(clone)
    moto = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    moto.start()
    other = "http://{}:{}".format(*moto.get_host_and_port())
    try:
        with (
            started("ministack", pytestconfig.stash[SEEN]) as endpoint,
            front(endpoint, other) as account,
        ):
            make = botocore.session.get_session().create_client
            client = partial(make, region_name="us-east-1", endpoint_url=endpoint)
            shell = {
                **environ(),
                **ACCOUNT,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ENDPOINT_URL_CLOUDFORMATION": account,
                "HTTP_PROXY": account,
                "NO_PROXY": "127.0.0.1",
                # By itself the command signs for the host names of AWS.
                "FTQ_API_AUTH": "iam",
                # Lambda's own code runs here.
                "LAMBDA_MACHINE": MACHINE,
                "LAMBDA_PYTHON": PYTHON,
            }
            # Whatever another test of this process left there.
            urllib.request.urlopen(f"{other}/moto-api/reset", b"")  # noqa: S310  # our own stand-in
            stacks = Stacks(NAME, client, templates(), print)
            it = Newcomer(endpoint, clone, shell, stacks)
            it.types(commands("2. The stacks"))
            stacks.learn()
            yield it
    finally:
        moto.stop()


def test_each_command_of_the_page_is_run_here_or_on_the_image_or_marked() -> None:
    here = ["2. The stacks", "3. A task", "Change it", "Remove it"]
    marked = [each for each in blocks() if each.only_aws]
    run = [each.section for each in blocks() if not each.only_aws]

    assert run == ["1. Handlers in an image", *here]
    assert [each.section for each in marked] == ["1. Handlers in an image"]
    # The reader is told, too; and what these lines give is what the other ones are given.
    assert PAGE.read_text().count("**Only AWS**") == len(marked)
    for line in marked[0].text.splitlines():
        name = line.partition("=")[0]
        assert line.startswith("aws ") or "docker push" in line or name in ACCOUNT, line


@contextmanager
def daemon(it: Newcomer, handlers: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon with the settings of the stack's task definition, and a user's handlers."""
    described = it.stacks.call("describe_task_definition", {"taskDefinition": NAME}, "ecs")
    definition = Definition.model_validate(described["taskDefinition"])
    (container,) = definition.containers
    settings = {each["name"]: each["value"] for each in container.environment}
    own = {
        "AWS_ENDPOINT_URL": it.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "FTQ_HEALTH_PORT": "0",
        "PYTHONPATH": str(handlers),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "ftq_daemon"],
        env=environ(**{**settings, **QUICK, **own}),
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def test_a_task_goes_by_the_pages_commands_through_what_the_stacks_made_to_a_daemon_and_back(
    newcomer: Newcomer, tmp_path: Path
) -> None:
    (tmp_path / "mailer.py").write_text(in_page("python"))

    with daemon(newcomer, tmp_path) as process:
        told = newcomer.types(commands("3. A task"))

    assert "sent to a@example.com" in told
    assert process.returncode == 0


def test_nobody_asks_the_api_without_a_signature(newcomer: Newcomer) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{newcomer.api_url}/health")  # noqa: S310  # our own stand-in


def test_the_scheduled_sweep_runs_by_the_stacks_own_role_and_settings(newcomer: Newcomer) -> None:
    sweeper = newcomer.stacks.known.outputs["SweeperName"]

    reply = newcomer.stacks.call("invoke", {"FunctionName": sweeper, "Payload": b"{}"}, "lambda")

    payload: object = reply["Payload"]
    assert isinstance(payload, StreamingBody)
    assert json.loads(payload.read()) == {"sent": 0, "looked": 0}


async def test_the_doctor_finds_nothing_wrong_with_the_data_stack_but_what_was_skipped(
    newcomer: Newcomer,
) -> None:
    known = newcomer.stacks.known.outputs
    urls = (known["QueueUrl"], known["DlqUrl"], known["TableName"])
    look = Look(Aws(embedded(os.environ, newcomer.endpoint)), Wanted(*urls, 30, 60), daemon=True)
    await look.everything(datetime.now(UTC))
    wrong = [each.name for each in look.findings if each.level in (Level.WRONG, Level.WARNING)]
    # The embedded AWS makes a table from a template without these two.
    assert wrong == ["time to live", "point-in-time recovery"]


def test_all_that_the_templates_ask_for_is_made_but_what_is_listed(newcomer: Newcomer) -> None:
    left_out = {name for name, look in LOOKS.items() if not look.made(newcomer.stacks)}

    assert left_out == {name for name, gap in GAPS.items() if "ministack" in gap.by}


@pytest.mark.parametrize("part", REFUSED["ministack"])
def test_the_embedded_aws_still_refuses_what_moto_is_asked_for(
    newcomer: Newcomer, part: str
) -> None:
    stacks = Stacks("refused", newcomer.stacks.client, templates(), print)
    needed = {
        each.name for each in stacks.templates[part].parameters.values() if each.default is None
    }
    stacks.known.outputs = dict.fromkeys(needed - {"Name"}, "1")

    with pytest.raises((ClientError, DeployError), match=REFUSED["ministack"][part]):
        stacks.up(part)


def test_what_is_not_said_again_stays(newcomer: Newcomer) -> None:
    before = newcomer.stacks.known.standing["daemon"]

    told = newcomer.types(commands("Change it"))

    assert "ftq-daemon: UPDATE_COMPLETE" in told
    newcomer.stacks.learn()
    after = newcomer.stacks.known.standing["daemon"]
    assert {**before, "Image": f"{ACCOUNT['REGISTRY']}/mailer:2"} == after
    assert after["PublicIp"] == "ENABLED"  # which is not the default


def test_what_is_the_same_is_left_alone(newcomer: Newcomer) -> None:
    told = newcomer.types('make deploy ARGS="--only data --only api --only dashboard"')

    for part in ("data", "api", "dashboard"):
        assert f"ftq-{part}: nothing to change" in told


def test_daemons_use_the_endpoints_that_are_made_before_them(newcomer: Newcomer) -> None:
    told = newcomer.types(
        'make deploy ARGS="--only daemon --only endpoints --set RouteTableIds=rtb-1"'
    )

    assert told.index("ftq-endpoints: CREATE_COMPLETE") < told.index("ftq-daemon: changing")
    newcomer.stacks.learn()
    group = newcomer.stacks.known.outputs["EndpointsGroupId"]
    assert newcomer.stacks.known.standing["daemon"]["EndpointsGroupId"] == group


# Last, since nothing is left then.
def test_the_pages_commands_remove_all_but_table_and_dead_letters(newcomer: Newcomer) -> None:
    told = newcomer.types(commands("Remove it"))

    assert "ftq-data: kept" in told
    assert not newcomer.stacks.learn()
    (table,) = newcomer.stacks.call("list_tables", {}, "dynamodb")["TableNames"]
    assert str(table) == NAME
    (queue,) = newcomer.stacks.call("list_queues", {}, "sqs")["QueueUrls"]
    assert str(queue).endswith(f"/{NAME}-dlq")
