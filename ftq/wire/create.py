"""The calls that create table and queues, for local mode and tests.

On AWS the templates under ``deploy/`` do it; a test holds the two against each other.
"""

from __future__ import annotations

from typing import Final

from ftq.limits import SQS_RECEIVE_COUNT
from ftq.ports import Call, Request
from ftq.text import dump
from ftq.wire.table import INDEX

# The index carries what never changes between two writes of its keys, so that claims, beats and
# releases leave it alone and cost nothing there.
PROJECTED: Final = ("type", "tenant", "queue", "created_at", "sent_at", "sweeps")
RETENTION_SECONDS: Final = 14 * 24 * 3600
# The net for what cannot even be claimed. SQS's own maximum: yields and releases count as
# receives too, and the daemon re-sends a copy that comes near (DESIGN §6).
MAX_RECEIVE_COUNT: Final = SQS_RECEIVE_COUNT


def queue(name: str, dlq_arn: str | None = None) -> Call:
    """Create a queue; with `dlq_arn`, one that SQS itself dead-letters as a last net."""
    attributes = {
        "MessageRetentionPeriod": str(RETENTION_SECONDS),
        "ReceiveMessageWaitTimeSeconds": "20",
        "SqsManagedSseEnabled": "true",
    }
    if dlq_arn is not None:
        policy = {"deadLetterTargetArn": dlq_arn, "maxReceiveCount": MAX_RECEIVE_COUNT}
        attributes["RedrivePolicy"] = dump(policy)
    return Call("sqs", "CreateQueue", {"QueueName": name, "Attributes": attributes})


def table(name: str) -> Call:
    """Create the table with its one index."""
    request: Request = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "bucket", "AttributeType": "S"},
            {"AttributeName": "due_at", "AttributeType": "N"},
        ],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": INDEX,
                "KeySchema": [
                    {"AttributeName": "bucket", "KeyType": "HASH"},
                    {"AttributeName": "due_at", "KeyType": "RANGE"},
                ],
                "Projection": {
                    "ProjectionType": "INCLUDE",
                    "NonKeyAttributes": list(PROJECTED),
                },
            }
        ],
    }
    return Call("dynamodb", "CreateTable", request)


def ttl(name: str) -> Call:
    """Switch on the removal of final records past their retention."""
    specification = {"Enabled": True, "AttributeName": "expires_at"}
    request: Request = {"TableName": name, "TimeToLiveSpecification": specification}
    return Call("dynamodb", "UpdateTimeToLive", request)
