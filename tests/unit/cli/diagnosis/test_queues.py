"""Queues as they should be, and as people make them; each command mends what it is told beside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from ftq.text import Json
from ftq.wire import create
from ftq_cli.diagnosis import queues
from ftq_cli.diagnosis.finding import Finding, Level
from ftq_cli.diagnosis.wanted import Wanted
from tests.unit.cli.diagnosis.awscli import calls

ARN = "arn:aws:sqs:us-east-1:1:main"
DEAD = "arn:aws:sqs:us-east-1:1:dead"
WANTED = Wanted("https://q/main", "https://q/dead", "tasks", 30, 60)
DENY: dict[str, Json] = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": [ARN, DEAD],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def redrive(target: str, receives: int | str) -> str:
    return json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": receives})


def policy(*statements: Json) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


DLQ = {
    "QueueArn": DEAD,
    "MessageRetentionPeriod": "1209600",
    "MaximumMessageSize": "1048576",
    "SqsManagedSseEnabled": "true",
    "Policy": policy(DENY),
}
QUEUE = {
    **DLQ,
    "QueueArn": ARN,
    "VisibilityTimeout": "30",
    "ReceiveMessageWaitTimeSeconds": "20",
    "RedrivePolicy": redrive(DEAD, 1000),
}
ON_QUEUE = "redrive policy"


def found(wanted: Wanted, queue: Mapping[str, str], dlq: Mapping[str, str]) -> list[Finding]:
    judged = queues.queues(wanted, wanted.queue_url, queue, dlq)
    return [queues.differ(wanted), *judged, *queues.dead_letters(wanted, dlq)]


def faults(findings: list[Finding]) -> dict[str, Finding]:
    return {each.name: each for each in findings if each.level in (Level.WRONG, Level.WARNING)}


def test_what_is_right_is_found_right() -> None:
    assert {each.level for each in found(WANTED, QUEUE, DLQ)} == {Level.RIGHT}


@pytest.mark.parametrize(
    ("changed", "name", "level", "says"),
    [
        ({"RedrivePolicy": ""}, ON_QUEUE, "wrong", "there is none"),
        ({"RedrivePolicy": redrive("arn:other", 1000)}, ON_QUEUE, "wrong", "not FTQ_DLQ_URL's"),
        ({"RedrivePolicy": redrive(DEAD, 5)}, ON_QUEUE, "wrong", "healthy tasks would be"),
        ({"RedrivePolicy": redrive(DEAD, "99")}, ON_QUEUE, "wrong", "after 99 receives"),
        ({"RedrivePolicy": redrive(DEAD, 100)}, ON_QUEUE, "warning", "1000 is better"),
        ({"VisibilityTimeout": "43200"}, "visibility timeout", "warning", "43200 s"),
        ({"MessageRetentionPeriod": "345600"}, "retention", "warning", "kept for 4 days"),
        ({"MaximumMessageSize": "65536"}, "message size", "wrong", "up to 65536 bytes"),
        ({"SqsManagedSseEnabled": "false"}, "encryption", "wrong", "stored as they are"),
        ({"Policy": ""}, "TLS only", "wrong", "no policy denies"),
        ({"DelaySeconds": "90"}, "delay", "warning", "back for 90 s"),
        ({"ReceiveMessageWaitTimeSeconds": "0"}, "long poll", "warning", "asks in vain"),
    ],
)
def test_a_fault_of_the_queue_is_found_and_its_command_mends_it(
    changed: dict[str, str], name: str, level: str, says: str
) -> None:
    queue = {**QUEUE, **changed}
    seen = faults(found(WANTED, queue, DLQ))
    assert list(seen) == [name]
    assert seen[name].level == level
    assert says in seen[name].detail
    (mend,) = calls(seen[name].mend)
    assert (mend.operation, mend.request["QueueUrl"]) == ("SetQueueAttributes", "https://q/main")
    attributes = mend.request["Attributes"]
    assert isinstance(attributes, dict)
    assert faults(found(WANTED, {**queue, **attributes}, DLQ)) == {}


def test_a_fault_of_the_dead_letter_queue_is_found_and_mended_there() -> None:
    dlq = {**DLQ, "SqsManagedSseEnabled": "false"}
    ((name, finding),) = faults(found(WANTED, QUEUE, dlq)).items()
    (mend,) = calls(finding.mend)
    assert (name, mend.request["QueueUrl"]) == ("dead-letter encryption", "https://q/dead")


@pytest.mark.parametrize(
    ("wanted", "name", "mend"),
    [
        (replace(WANTED, dlq_url="https://q/main"), "queues differ", ""),
        (replace(WANTED, more={"a": "https://q/dead"}), "queues differ", ""),
        (
            replace(WANTED, retention_days=28),
            "records outlive messages",
            "export FTQ_RETENTION_DAYS=29",
        ),
        (
            replace(WANTED, visibility_seconds=7),
            "visibility timeout",
            "export FTQ_VISIBILITY_SECONDS=60",
        ),
    ],
)
def test_a_setting_that_does_not_fit_the_queues_is_found(
    wanted: Wanted, name: str, mend: str
) -> None:
    seen = faults(found(wanted, QUEUE, DLQ))
    assert list(seen) == [name]
    assert (seen[name].level, seen[name].mend) == (Level.WRONG, mend)


def test_a_fifo_queue_is_none_that_ftq_can_use() -> None:
    wanted = replace(WANTED, queue_url="https://q/main.fifo")
    finding = faults(found(wanted, {**QUEUE, "FifoQueue": "true"}, DLQ))["kind"]
    (mend,) = calls(finding.mend)
    assert mend == create.queue("main")


@pytest.mark.parametrize(
    ("statement", "right"),
    [
        (DENY, True),
        ({**DENY, "Principal": {"AWS": "*"}, "Action": ["SQS:*"], "Resource": "*"}, True),
        ({**DENY, "Condition": {"BoolIfExists": {"AWS:SecureTransport": [False]}}}, True),
        ({**DENY, "Effect": "Allow"}, False),
        ({**DENY, "Principal": {"AWS": "1"}}, False),
        ({**DENY, "Action": "sqs:SendMessage"}, False),
        ({**DENY, "Resource": DEAD}, False),
        ({**DENY, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}, False),
        ({**DENY, "Condition": {"Bool": {"aws:SecureTransport": "false", "a": "true"}}}, False),
        ({k: v for k, v in DENY.items() if k != "Condition"}, False),
        ("nonsense", False),
    ],
)
def test_only_a_statement_that_denies_everybody_everything_here_without_tls_will_do(
    statement: Json, right: bool
) -> None:
    seen = faults(found(WANTED, {**QUEUE, "Policy": policy(statement)}, DLQ))
    assert ("TLS only" not in seen) is right


def test_what_a_policy_says_already_is_kept_by_the_command_that_adds_to_it() -> None:
    mine: dict[str, Json] = {"Sid": "mine", "Effect": "Allow", "Principal": "*", "Action": "sqs:*"}
    seen = faults(found(WANTED, {**QUEUE, "Policy": policy(mine)}, DLQ))
    (mend,) = calls(seen["TLS only"].mend)
    attributes = mend.request["Attributes"]
    assert isinstance(attributes, dict)
    first, second = json.loads(attributes["Policy"])["Statement"]
    assert (first, second["Sid"]) == (mine, "NothingWithoutTls")


def test_a_key_of_kms_is_encryption_too() -> None:
    kms = {**QUEUE, "SqsManagedSseEnabled": "false", "KmsMasterKeyId": "alias/mine"}
    assert faults(found(WANTED, kms, DLQ)) == {}


def test_what_protects_is_a_warning_where_the_queue_is_a_stand_ins() -> None:
    bare = {**QUEUE, "Policy": "", "SqsManagedSseEnabled": "false"}
    seen = faults(found(replace(WANTED, on_aws=False), bare, DLQ))
    assert {name: each.level for name, each in seen.items()} == {
        "encryption": Level.WARNING,
        "TLS only": Level.WARNING,
    }


def test_what_a_stand_in_does_not_say_nobody_can_tell() -> None:
    silent = {name: QUEUE[name] for name in QUEUE if name != "SqsManagedSseEnabled"}
    del silent["MaximumMessageSize"]
    findings = found(WANTED, silent, DLQ)
    untold = [each.name for each in findings if each.level is Level.UNKNOWN]
    assert untold == ["message size", "encryption"]


def test_without_the_dead_letter_queue_a_missing_redrive_policy_is_told_without_a_command() -> None:
    finding = queues.queues(WANTED, "https://q/main", {**QUEUE, "RedrivePolicy": ""}, None)[0]
    assert (finding.level, finding.mend) == (Level.WRONG, "")
