"""The templates are executed on the embedded AWS, and ftq runs on what they make.

What it skips in silence is held against the template itself: see `test_templates.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import botocore.session
import pytest
from botocore.response import StreamingBody
from pydantic import BaseModel, Field

from deploy.ecs.deploy import Stacks, up
from ftq.client import Client, SigV4
from ftq_cli.diagnosis.finding import Level
from ftq_cli.diagnosis.look import Look
from ftq_cli.diagnosis.wanted import Wanted
from ftq_cli.environment import embedded
from ftq_cli.resources import Aws
from tests.backends import SEEN, started
from tests.e2e.stage import QUICK, environ

pytestmark = pytest.mark.e2e


class Container(BaseModel):
    """What ECS starts a container with."""

    environment: list[dict[str, str]]


class Definition(BaseModel):
    """A task definition as ECS describes it."""

    containers: list[Container] = Field(alias="containerDefinitions")


@dataclass(frozen=True, slots=True)
class Deployed:
    """What the stacks put out, and where their AWS is."""

    endpoint: str
    stacks: Stacks

    @property
    def name(self) -> str:
        return self.stacks.name

    @property
    def api_url(self) -> str:
        # The embedded AWS also answers by path, for those who cannot resolve *.localhost.
        return f"{self.endpoint}/_aws/execute-api/{self.stacks.known['ApiId']}/$default"


@pytest.fixture(scope="module")
def deployed(built: Path, pytestconfig: pytest.Config) -> Iterator[Deployed]:
    with started("ministack", pytestconfig.stash[SEEN]) as endpoint:
        name = f"t{uuid.uuid4().hex[:8]}"
        make = botocore.session.get_session().create_client
        client = partial(make, region_name="us-east-1", endpoint_url=endpoint)
        stacks = Stacks(name, client, print, pause=0.05)
        stacks.known |= {
            "Name": name,
            "Image": "ftq-daemon",
            "Handlers": "ftq_cli.demo:registry",
            "VpcId": "vpc-1",
            "SubnetIds": "subnet-1,subnet-2",
            "RouteTableIds": "rtb-1",
        }
        # Not what it refuses: ScalableTarget, and alarms over metric math.
        up(stacks, built, ["data", "api", "daemon", "endpoints", "dashboard"])
        yield Deployed(endpoint, stacks)


def test_nobody_asks_the_api_without_a_signature(deployed: Deployed) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{deployed.api_url}/health")  # noqa: S310  # our own stand-in


@contextmanager
def daemon(deployed: Deployed) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon with the settings of the stack's task definition."""
    described = deployed.stacks.call(
        "describe_task_definition", {"taskDefinition": deployed.name}, "ecs"
    )
    definition = Definition.model_validate(described["taskDefinition"])
    (container,) = definition.containers
    settings = {each["name"]: each["value"] for each in container.environment}
    own = {
        "AWS_ENDPOINT_URL": deployed.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "FTQ_HEALTH_PORT": "0",
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


def test_a_task_goes_through_what_the_stacks_made_to_a_daemon_and_back(deployed: Deployed) -> None:
    auth = SigV4(region="us-east-1")
    with daemon(deployed) as process, Client(deployed.api_url, auth=auth) as api:
        ended = api.wait(api.submit("demo.echo", {"hello": "stack"}).id)

    assert (ended.state, ended.result) == ("succeeded", {"hello": "stack"})
    assert process.returncode == 0


def test_the_scheduled_sweep_runs_by_the_stacks_own_role_and_settings(deployed: Deployed) -> None:
    sweeper = deployed.stacks.known["SweeperName"]

    reply = deployed.stacks.call("invoke", {"FunctionName": sweeper, "Payload": b"{}"}, "lambda")

    payload: object = reply["Payload"]
    assert isinstance(payload, StreamingBody)
    assert json.loads(payload.read()) == {"sent": 0, "looked": 0}


async def test_the_doctor_finds_nothing_wrong_with_the_data_stack_but_what_was_skipped(
    deployed: Deployed,
) -> None:
    known = deployed.stacks.known
    urls = (known["QueueUrl"], known["DlqUrl"], known["TableName"])
    look = Look(Aws(embedded(os.environ, deployed.endpoint)), Wanted(*urls, 30, 60), daemon=True)
    await look.everything(datetime.now(UTC))
    wrong = [each.name for each in look.findings if each.level in (Level.WRONG, Level.WARNING)]
    # The embedded AWS makes a table from a template without these two.
    assert wrong == ["time to live", "point-in-time recovery"]
