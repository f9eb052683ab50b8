"""`ftq.wire.faults`: what an AWS error code means for whoever made the call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.wire.faults import classify


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("ThrottlingException", 400, "throttled"),
        ("Throttling", 400, "throttled"),
        ("ProvisionedThroughputExceededException", 400, "throttled"),
        ("RequestLimitExceeded", 400, "throttled"),
        ("AWS.SimpleQueueService.OverLimit", 403, "throttled"),
        ("com.amazonaws.dynamodb.v20120810#ThrottlingException", 400, "throttled"),
        ("com.amazonaws.sqs#OverLimit:http://internal/", 400, "throttled"),
        ("SlowDown", 503, "throttled"),
        ("anything", 429, "throttled"),
        ("InternalServerError", 500, "unavailable"),
        ("InternalFailure", 500, "unavailable"),
        ("ServiceUnavailable", 503, "unavailable"),
        ("anything", 502, "unavailable"),
        ("", 0, "unavailable"),
        ("ConditionalCheckFailedException", 400, "refused"),
        ("ValidationException", 400, "refused"),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, "refused"),
        ("AccessDeniedException", 400, "refused"),
    ],
)
def test_a_code_says_whether_the_call_was_applied(code: str, status: int, meaning: str) -> None:
    assert classify(code, status) == meaning


@given(st.text(st.characters()), st.integers())
def test_any_code_has_a_meaning(code: str, status: int) -> None:
    assert classify(code, status) in ("throttled", "unavailable", "refused")
