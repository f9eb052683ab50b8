"""What scanners find in the templates and is meant so: where, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Finding(NamedTuple):
    """One rule that is broken at one place: `TEMPLATE.RESOURCE`."""

    rule: str
    where: str


class Skip(NamedTuple):
    """Where a rule may be broken, and why."""

    where: tuple[str, ...]
    why: str


LOGS: Final = ("api.Log", "api.AccessLog", "api.SweeperLog", "daemon.Log")
FUNCTIONS: Final = ("api.Function", "api.Sweeper")

SKIPS: Final[Mapping[str, Skip]] = {
    "CKV_AWS_27": Skip(
        ("data.Queue", "data.DeadLetters"),
        "They are encrypted, by SQS's own keys: checkov knows only KmsMasterKeyId. A key of KMS "
        "would have to be paid for by the call, and allowed to whoever sends.",
    ),
    "CKV_AWS_119": Skip(
        ("data.Table",),
        "It is encrypted, by the account's key for DynamoDB. A key of the user's own is for who "
        "must be able to take it away, and then everything stands still.",
    ),
    "CKV_AWS_18": Skip(
        ("data.Artifacts",),
        "It holds zips of this repository, for Lambda, which nobody else reads; CloudTrail has "
        "who changed the function.",
    ),
    "CKV_AWS_21": Skip(
        ("data.Artifacts",),
        "A zip's key is made of its bytes' hash: no object is ever overwritten.",
    ),
    "CKV_AWS_158": Skip(
        LOGS,
        "CloudWatch encrypts all logs by itself; what is secret is redacted before it is logged.",
    ),
    "CKV_AWS_116": Skip(
        FUNCTIONS,
        "The API is invoked synchronously, where Lambda has no use for a dead-letter queue; a "
        "sweep that failed is made good by the next one, and watched by an alarm.",
    ),
    "CKV_AWS_117": Skip(
        FUNCTIONS,
        "They ask SQS and DynamoDB only, over TLS, by IAM: a VPC would add endpoints or a NAT "
        "gateway to pay for, and protect nothing.",
    ),
    "CKV_AWS_115": Skip(
        FUNCTIONS,
        "API Gateway throttles the one, and the schedule starts the other once a minute. A new "
        "account may run ten functions at once and cannot reserve any of them.",
    ),
    "CKV_AWS_173": Skip(
        FUNCTIONS,
        "Lambda encrypts the environment by itself, and there is no secret in it.",
    ),
    "CREDENTIALS_EXPOSURE": Skip(
        ("daemon.StartRole",),
        "ecr:GetAuthorizationToken is how Fargate logs in to pull the image; no container gets "
        "this role.",
    ),
}
