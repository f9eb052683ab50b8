"""Each role of the templates may do all that its program does, and nothing else.

The programs run on an AWS that asks for permission, as principals that have their role's policy;
what they did is what they count themselves.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import botocore.session
import pytest
from botocore.exceptions import ClientError

from api_lambda.bootstrap import build
from api_lambda.routes import Api
from api_lambda.settings import ApiSettings
from api_lambda.sweeper import Sweeper
from deploy.ecs.stacks import Stacks
from deploy.ecs.templates import read as templates
from ftq.aws.plain import direct
from ftq.errors import CallRefused
from ftq.ports import Call, SyncPort
from ftq.settings import read
from ftq.text import Document, Json, dump
from ftq.wire import create
from tests.backends import held
from tests.deploy.account import Role, keys_of, strict_aws
from tests.e2e.stage import await_that, environ
from tests.unit.api.door import Recorder, event
from tests.unit.api.door import read as read_answer

pytestmark = pytest.mark.e2e

NAME: Final = "strict"
# What IAM calls the operations whose name is not the action's ("Actions, resources, and condition
# keys for Amazon SQS" and "... DynamoDB").
ACTIONS: Final[Mapping[str, set[str]]] = {
    "BatchExecuteStatement": {"dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"},
    "ChangeMessageVisibilityBatch": {"sqs:ChangeMessageVisibility"},
    "DeleteMessageBatch": {"sqs:DeleteMessage"},
    "SendMessageBatch": {"sqs:SendMessage"},
}
# Not our programs' calls: Lambda writes a function's log, and the ECS agent asks for protection.
OTHERS: Final = {
    "ecs:GetTaskProtection",
    "ecs:UpdateTaskProtection",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
}
# Before the daemon counts its calls, and after: the test below shows that it makes them.
UNCOUNTED: Final = {"dynamodb:DeleteItem", "sqs:GetQueueAttributes"}
EVERYTHING: Final = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


@dataclass(slots=True)
class Account:
    """An account with ftq's data stack, that asks for permission."""

    endpoint: str
    stacks: Stacks
    users: int = 0

    def role(self, part: str, resource: str) -> Role:
        return Role.of(part, resource, self.stacks.known.outputs | CONSTANTS)

    def as_(self, role: Role, without: str = "") -> dict[str, str]:
        """The environment of a program that has a role."""
        self.users += 1
        keys = keys_of(self.stacks, role.document(without), f"user{self.users}")
        return self.plain(keys)

    def plain(self, keys: Mapping[str, str]) -> dict[str, str]:
        return {
            **keys,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "FTQ_QUEUE_URL": f"{self.endpoint}/000000000000/{NAME}",
            "FTQ_DLQ_URL": f"{self.endpoint}/000000000000/{NAME}-dlq",
            "FTQ_TABLE": NAME,
            "FTQ_SWEEP_GRACE_SECONDS": "1",
        }

    def port(self, environment: Mapping[str, str]) -> SyncPort:
        port = direct(environment, "us-east-1")
        assert port is not None
        return port


CONSTANTS: Final = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "000000000000",
    "Name": NAME,
}


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with held(strict_aws()) as endpoint:
        make = botocore.session.get_session().create_client
        client = partial(make, region_name="us-east-1", endpoint_url=endpoint)
        account = Account(endpoint, Stacks(NAME, client, templates(), print))
        # Not by data.yaml, whose queues nobody reaches without TLS: the next test's. What they are
        # otherwise is the same (test_templates).
        port = account.port(account.plain(EVERYTHING))
        dlq = port.call(create.queue(f"{NAME}-dlq"))
        port.call(create.queue(f"{NAME}-other"))
        arn = f"arn:aws:sqs:us-east-1:000000000000:{NAME}"
        port.call(create.queue(NAME, f"{arn}-dlq"))
        port.call(create.table(NAME))
        account.stacks.known.outputs |= {
            "QueueArn": arn,
            "DlqArn": f"{arn}-dlq",
            "TableArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{NAME}",
        }
        assert str(dlq["QueueUrl"]).endswith(f"/{NAME}-dlq")
        yield account


@dataclass(slots=True)
class Story:
    """What the programs asked of AWS, and what they said."""

    api: set[str]
    sweeper: set[str]
    daemon: set[str]
    log: str
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asker:
    """The API in this process, as somebody, remembering what it asks."""

    api: Api
    recorder: Recorder
    problems: list[str]

    def ask(self, method: str, path: str, body: Json = None, **headers: str) -> Document:
        sent = None if body is None else dump(body)
        got = read_answer(self.api.handle(event(method, path, sent, headers)))
        if got.status >= 500:
            self.problems.append(f"{method} {path}: {got.status} {got.body}")
        return got.doc

    def submit(self, type_: str, payload: Json = None) -> str:
        return str(self.ask("POST", "/tasks", {"type": type_, "payload": payload})["id"])

    def state(self, task_id: str) -> Json:
        return self.ask("GET", f"/tasks/{task_id}")["state"]


def asker(account: Account) -> Asker:
    keys = account.as_(account.role("api", "Role"))
    recorder = Recorder(account.port(keys))
    return Asker(build(read(ApiSettings, keys), recorder, {}), recorder, [])


@contextmanager
def daemon(keys: Mapping[str, str], said: list[str]) -> Iterator[str]:
    """A daemon as somebody; where its own HTTP answers, '' if it did not start.

    What it said is there at the end.
    """
    settings = {
        "FTQ_HANDLERS": "tests.deploy.keeping:registry",
        "FTQ_HEALTH_PORT": "0",
        "FTQ_SWEEP_SECONDS": "1",
        "FTQ_VISIBILITY_SECONDS": "8",
        "FTQ_WAIT_SECONDS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "ftq_daemon"],
        env=environ(**{**keys, **settings}),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found: re.Match[str] | None = None
    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(r'"health_url":"([^"]+)"', line):
                break
        yield found[1] if found else ""
    finally:
        process.terminate()
        said.append(process.communicate(timeout=60)[0])


def swept(account: Account) -> set[str]:
    """One scheduled sweep as its role, of a task that the queue lost."""
    keys = account.as_(account.role("api", "SweeperRole"))
    recorder = Recorder(account.port(keys))
    now = time.time_ns() // 1_000_000 + 60_000
    sweeper = Sweeper(recorder, NAME, keys["FTQ_QUEUE_URL"], 1, 1, lambda: now, lambda: 60.0)
    sweeper.sweep()
    assert sweeper.sent == 1
    return set(recorder.operations)


@pytest.fixture(scope="module")
def story(account: Account) -> Story:
    api = asker(account)
    queue_url = account.plain(EVERYTHING)["FTQ_QUEUE_URL"]

    def lose() -> str:
        task_id = api.submit("echo")
        account.stacks.call("purge_queue", {"QueueUrl": queue_url}, "sqs")
        return task_id

    lose()
    by_sweeper = swept(account)
    lost = lose()
    said: list[str] = []
    keys = account.as_(account.role("daemon", "Role"))
    with daemon(keys, said) as url:
        large = api.submit("echo", "x" * 5_000)
        failed, long = api.submit("fail"), api.submit("long")
        api.submit("again")
        api.ask("POST", "/tasks/batch", {"tasks": [{"type": "echo", "payload": None}] * 2})
        # A direct producer's: no record yet.
        message = dump({"id": "direct", "type": "echo", "payload": None})
        account.stacks.call("send_message", {"QueueUrl": queue_url, "MessageBody": message}, "sqs")
        await_that(lambda: api.state(long) == "running")
        api.ask("POST", f"/tasks/{long}/cancel")
        await_that(lambda: api.state(failed) == "dead")
        api.ask("POST", f"/tasks/{failed}/redrive")
        await_that(lambda: api.state(failed) == "dead")
        api.ask("POST", "/redrives", {})
        await_that(lambda: api.state("direct") == "succeeded")
        await_that(lambda: api.state(large) == api.state(lost) == "succeeded")
        await_that(lambda: api.state(long) == "cancelled")
        for path in ("/tasks?state=dead", "/dead-letters", "/stats", "/health"):
            api.ask("GET", path)
        metrics = urllib.request.urlopen(f"{url}/metrics").read().decode()  # noqa: S310  # our own
    calls = set(re.findall(r'ftq_aws_calls_total\{[^}]*operation="(\w+)"[^}]*\} [1-9]', metrics))
    return Story(set(api.recorder.operations), by_sweeper, calls, "".join(said), api.problems)


def actions(operations: set[str]) -> set[str]:
    """What IAM asks for operations."""
    found: set[str] = set()
    for each in operations:
        queue = "Message" in each or "Queue" in each
        found |= ACTIONS.get(each, {f"{'sqs' if queue else 'dynamodb'}:{each}"})
    return found


def test_nobody_reaches_the_stacks_queues_without_tls(account: Account) -> None:
    stacks = Stacks("tls", account.stacks.client, templates(), print)
    stacks.up("data")

    for queue in ("tls", "tls-dlq"):
        url = f"{account.endpoint}/000000000000/{queue}"
        with pytest.raises(ClientError, match="AccessDenied"):
            stacks.call("receive_message", {"QueueUrl": url, "WaitTimeSeconds": 0}, "sqs")


def test_nothing_was_refused_that_a_program_needs(story: Story) -> None:
    assert not story.problems
    assert "AccessDenied" not in story.log
    assert '"event":"daemon.failed"' not in story.log
    assert '"event":"daemon.stopped"' in story.log


@pytest.mark.parametrize(
    ("part", "resource", "program"),
    [("api", "Role", "api"), ("api", "SweeperRole", "sweeper"), ("daemon", "Role", "daemon")],
)
def test_nothing_is_allowed_that_no_program_did(
    account: Account, story: Story, part: str, resource: str, program: str
) -> None:
    allowed = account.role(part, resource).actions - OTHERS
    did = actions(getattr(story, program))
    if program == "daemon":
        did |= UNCOUNTED

    # A sweep inserts nothing, but which of the two a statement is, its call does not say.
    only_updates = {"dynamodb:PartiQLInsert"} if program == "sweeper" else set()
    assert allowed == did - only_updates


@pytest.mark.parametrize("action", sorted(UNCOUNTED))
def test_a_daemon_that_lacks_what_it_does_not_count_says_so(account: Account, action: str) -> None:
    said: list[str] = []

    with daemon(account.as_(account.role("daemon", "Role"), without=action), said):
        pass

    assert f"not authorized to perform: {action}" in "".join(said)


@pytest.mark.parametrize("part", ["api", "daemon"])
def test_no_role_reaches_another_queue_or_table(account: Account, part: str) -> None:
    port = account.port(account.as_(account.role(part, "Role")))

    for call in (
        Call("dynamodb", "GetItem", {"TableName": "other", "Key": {"id": {"S": "x"}}}),
        Call(
            "sqs",
            "SendMessage",
            {"QueueUrl": f"{account.endpoint}/000000000000/{NAME}-other", "MessageBody": "x"},
        ),
    ):
        with pytest.raises(CallRefused, match="AccessDenied"):
            port.call(call)
