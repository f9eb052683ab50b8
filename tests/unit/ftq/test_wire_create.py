"""`ftq.wire.create`: table and queues, for local mode and tests."""

from __future__ import annotations

import json

from ftq.lifecycle import State
from ftq.task import Task
from ftq.wire import create
from ftq.wire.item import to_item
from ftq.wire.table import INDEX


def test_the_table_has_its_key_and_its_one_index() -> None:
    request = create.table("tasks").request
    assert request["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    indexes = request["GlobalSecondaryIndexes"]
    assert isinstance(indexes, list)
    [index] = indexes
    assert index["IndexName"] == INDEX == "by_bucket"
    assert index["KeySchema"] == [
        {"AttributeName": "bucket", "KeyType": "HASH"},
        {"AttributeName": "due_at", "KeyType": "RANGE"},
    ]


def test_the_index_carries_nothing_that_a_claim_a_beat_or_a_release_writes() -> None:
    assert not set(create.PROJECTED) & {
        "state",
        "claim_no",
        "free_at",
        "claimed_by",
        "claim_token",
        "updated_at",
        "history",
        "releases",
    }
    assert set(create.PROJECTED) <= set(to_item(Task("t1", "a", "q", State.QUEUED)))


def test_only_what_is_final_is_removed_in_time() -> None:
    assert create.ttl("tasks").request["TimeToLiveSpecification"] == {
        "Enabled": True,
        "AttributeName": "expires_at",
    }


def test_a_queue_dead_letters_by_itself_only_where_it_is_told_to() -> None:
    bare = create.queue("dlq").request["Attributes"]
    full = create.queue("q", "arn:dlq").request["Attributes"]
    assert isinstance(bare, dict)
    assert isinstance(full, dict)
    assert "RedrivePolicy" not in bare
    assert json.loads(full["RedrivePolicy"]) == {
        "deadLetterTargetArn": "arn:dlq",
        "maxReceiveCount": create.MAX_RECEIVE_COUNT,
    }
    assert full["MessageRetentionPeriod"] == str(14 * 24 * 3600)
