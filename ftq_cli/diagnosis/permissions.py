"""Which permissions these credentials have, by calls that change nothing.

A refusal is certain. Where a call would change something if it were allowed, or AWS does not say
whether it looks at the permission before it looks at the call, nobody can tell from here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ftq.errors import CallError
from ftq.ports import Call, Port
from ftq.text import dump
from ftq.wire import partiql
from ftq.wire.item import text
from ftq_cli.diagnosis.finding import Finding, Level, right, unknown

DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
)
_CONDITION: Final = "ConditionalCheckFailedException"
# No task's id has a `#` with this before it (PROTOCOL R11).
_NOBODY: Final = "doctor#nobody"
_WHO: Final = re.compile(r"(?:assumed-role|(?P<user>user))/(?P<name>[\w+=,.@-]+)")


@dataclass(frozen=True, slots=True)
class Probe:
    """A call that tells of a permission, and changes nothing.

    Attributes:
        action: The permission.
        call: The call; None where there is no harmless one.
        proof: The error that only comes to those who have it; '' if that is an answer, None if
            nothing proves it.
        on_index: Whether the permission is on the table's index.
    """

    action: str
    call: Call | None
    proof: str | None = None
    on_index: bool = False


@dataclass(slots=True)
class Tried:
    """What came of the probes of one queue or table.

    Attributes:
        has: Permissions that are there.
        lacks: Permissions that are not.
        open: Those that nobody can tell.
        said: AWS's words on a refusal.
    """

    has: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    said: str = ""


def of_table(table: str, query: Call) -> list[Probe]:
    """What daemon and API do to the table; `query` is a page of the index."""
    key = {"id": text(_NOBODY)}
    there = "attribute_exists(id)"
    update: dict[str, object] = {
        "Statement": partiql.update(table, ("state",), (("state", "="),), (), (), False),
        "Parameters": [text(""), text(_NOBODY), text("")],
    }

    def call(operation: str, **request: object) -> Call:
        return Call("dynamodb", operation, request)

    return [
        Probe("dynamodb:GetItem", call("GetItem", TableName=table, Key=key), ""),
        Probe(
            "dynamodb:BatchGetItem",
            call("BatchGetItem", RequestItems={table: {"Keys": [key]}}),
            "",
        ),
        Probe("dynamodb:Query", query, "", on_index=True),
        # Writes of an item that is not there, on the condition that it is.
        Probe(
            "dynamodb:PutItem",
            call("PutItem", TableName=table, Item=key, ConditionExpression=there),
            _CONDITION,
        ),
        Probe(
            "dynamodb:DeleteItem",
            call("DeleteItem", TableName=table, Key=key, ConditionExpression=there),
            _CONDITION,
        ),
        Probe("dynamodb:PartiQLUpdate", call("ExecuteStatement", **update), _CONDITION),
        Probe("dynamodb:PartiQLInsert", None),
    ]


def of_queue(url: str, *, dead_letters: bool = False) -> list[Probe]:
    """What the daemon does to a queue; its depth has been asked for already."""
    send: dict[str, object] = {"QueueUrl": url, "Entries": []}
    sending = Probe("sqs:SendMessage", Call("sqs", "SendMessageBatch", send))
    if dead_letters:
        return [sending]
    nothing = {"QueueUrl": url, "ReceiptHandle": "doctor"}
    return [
        sending,
        # A receive hides a message and counts, even for no time at all.
        Probe("sqs:ReceiveMessage", None),
        Probe("sqs:DeleteMessage", Call("sqs", "DeleteMessage", {**nothing})),
        Probe(
            "sqs:ChangeMessageVisibility",
            Call("sqs", "ChangeMessageVisibility", {**nothing, "VisibilityTimeout": 0}),
        ),
    ]


async def tried(port: Port, probes: Iterable[Probe]) -> Tried:
    """Make the calls."""
    found = Tried()
    for probe in probes:
        said = await _said(port, probe)
        if said is not None and said.code.rsplit(".", 1)[-1] in DENIED:
            found.lacks.append(probe.action)
            found.said = str(said)
        elif probe.proof == ("" if said is None else said.code) and probe.call is not None:
            found.has.append(probe.action)
        else:
            found.open.append(probe.action)
    return found


async def _said(port: Port, probe: Probe) -> CallError | None:
    if probe.call is not None:
        try:
            await port.call(probe.call)
        except CallError as error:
            return error
    return None


def judged(name: str, arns: Sequence[str], found: Tried, *, daemon: bool) -> list[Finding]:
    """What is to be said of them.

    Args:
        name: What they are permissions on.
        arns: Its ARN, and those of what belongs to it.
        found: What came of the probes.
        daemon: Whether these credentials are a daemon's own, and not a person's, who may be
            allowed less.
    """
    name, findings = f"permissions, {name}", []
    if found.lacks:
        whose = "the daemon lacks" if daemon else "you lack, and a program that runs as you would"
        level = Level.WRONG if daemon else Level.WARNING
        detail = f"{whose}: {' '.join(found.lacks)}"
        findings.append(Finding(name, level, detail, granting(found.lacks, arns, found.said)))
    if found.has:
        findings.append(right(name, " ".join(found.has)))
    if found.open:
        simulate = ["aws", "iam", "simulate-principal-policy", "--action-names", *found.open]
        mend = f'{shlex.join([*simulate, "--resource-arns", *arns])} --policy-source-arn "$ARN"'
        detail = f"nobody can tell from here: {' '.join(found.open)}"
        findings.append(unknown(name, detail, mend if all(arns) else ""))
    return findings


def granting(actions: Sequence[str], arns: Sequence[str], said: str) -> str:
    """The command that allows it to whom AWS's words on the refusal name.

    Args:
        actions: The permissions.
        arns: On what.
        said: AWS's words.
    """
    who = _WHO.search(said)
    kind = "user" if who is not None and who["user"] else "role"
    whom = shlex.quote(who["name"]) if who is not None else '"$NAME"'
    statement: Mapping[str, object] = {
        "Effect": "Allow",
        "Action": sorted(actions),
        "Resource": sorted(arns),
    }
    policy = dump({"Version": "2012-10-17", "Statement": [statement]})
    subject = actions[0].split(":")[0]
    return (
        f"aws iam put-{kind}-policy --{kind}-name {whom} --policy-name ftq-{subject} "
        f"--policy-document {shlex.quote(policy)}"
    )
