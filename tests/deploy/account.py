"""An AWS account that asks whoever calls for permission, and principals with a role's policy.

The embedded AWS with AUTH on evaluates identity and resource policies, conditions included. But it
calls the actions of batches by their operations' names, where AWS has none of its own for them
("Actions, resources, and condition keys for Amazon SQS"; "IAM security policies with PartiQL for
DynamoDB"). So principals get those beside the real ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from deploy.ecs.stacks import Stacks
from ftq.text import Json
from ftq_cli.embedded import StandIn, running
from tests.deploy.watched import document, listed, resources

PARTIQL: Final = {"dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"}
BATCHED: Final = {"sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}


@asynccontextmanager
async def strict_aws() -> AsyncIterator[str]:
    """The embedded AWS, asking for permission."""

    def environment(port: int, mark: str) -> Mapping[str, str]:
        own = {"GATEWAY_PORT": str(port), "MINISTACK_EDITION": mark, "AUTH": "true"}
        return os.environ | own | {"BIND_HOST": "127.0.0.1", "PERSIST_STATE": "0"}

    async with running(StandIn("ministack", "/_ministack/health", environment, marked=True)) as url:
        yield url


@dataclass(frozen=True, slots=True)
class Role:
    """A role of a template: its statements, with what the stacks put out filled in."""

    statements: list[dict[str, Json]]

    @classmethod
    def of(cls, part: str, resource: str, known: Mapping[str, str]) -> Role:
        """Read one from its template."""
        properties = resources(part, "AWS::IAM::Role", known)[resource]
        policies = map(document, listed(properties["Policies"]))
        whole = document(
            next(each for each in policies if "PolicyDocument" in each)["PolicyDocument"]
        )
        return cls([document(each) for each in listed(whole["Statement"])])

    @property
    def actions(self) -> set[str]:
        """All that it allows."""
        return {action for each in self.statements for action in _actions(each)}

    def document(self, without: str = "") -> str:
        """Its policy as the stand-in needs it, perhaps without one action."""
        # What is not named yet, log groups, nobody here asks for.
        named = [each for each in self.statements if isinstance(each["Resource"], str)]
        wanted = [{**each, "Action": _without(each, without)} for each in named]
        asked: list[Mapping[str, Json]] = [each for each in wanted if each["Action"]]
        if any(PARTIQL & set(_actions(each)) for each in wanted):
            action = "dynamodb:BatchExecuteStatement"
            asked.append({"Effect": "Allow", "Action": action, "Resource": "*"})
        return json.dumps({"Version": "2012-10-17", "Statement": asked})


def _without(statement: Mapping[str, Json], action: str) -> list[Json]:
    kept = [each for each in _actions(statement) if each != action]
    return [*kept, *(f"{each}Batch" for each in kept if each in BATCHED)]


def _actions(statement: Mapping[str, Json]) -> list[str]:
    action = statement["Action"]
    return [str(each) for each in action] if isinstance(action, list) else [str(action)]


def keys_of(stacks: Stacks, policy: str, user: str) -> dict[str, str]:
    """A principal that may do what a policy says; its keys, as an environment has them."""
    stacks.call("create_user", {"UserName": user}, "iam")
    stacks.call(
        "put_user_policy",
        {"UserName": user, "PolicyName": "role", "PolicyDocument": policy},
        "iam",
    )
    reply: Mapping[str, object] = stacks.call("create_access_key", {"UserName": user}, "iam")
    made = reply["AccessKey"]
    assert isinstance(made, Mapping)
    return {
        "AWS_ACCESS_KEY_ID": str(made["AccessKeyId"]),
        "AWS_SECRET_ACCESS_KEY": str(made["SecretAccessKey"]),
    }
