"""What an AWS error code means for whoever made the call. This table is the rule.

The codes come from "Common Errors" and "Error handling" of the DynamoDB and SQS references, and
from the lists by which AWS's own clients decide to retry.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Meaning: TypeAlias = Literal["throttled", "unavailable", "refused"]

# Refused for now: nothing was applied, the same call may pass later. Without the endings
# Exception and Error, which services and stand-ins add or leave out as they like.
_THROTTLED: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "KmsThrottled",
        "LimitExceeded",
        "OverLimit",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceeded",
        "ReplicatedWriteConflict",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "ThrottledRequest",
        "Throttled",
        "Throttling",
        "ThroughputExceeded",
        "TooManyRequests",
        "TransactionConflict",
        "TransactionInProgress",
    }
)
# The service broke off: it may have been applied before it did.
_UNAVAILABLE: Final = frozenset(
    {
        "Internal",
        "InternalFailure",
        "InternalServer",
        "RequestTimeout",
        "ServiceUnavailable",
        "Unavailable",
    }
)
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERRORS: Final = 500


def classify(code: str, status: int) -> Meaning:
    """What an error reply says.

    * ``throttled``: refused for now, nothing was applied.
    * ``unavailable``: no usable answer, it may have been applied.
    * ``refused``: the call is wrong or its condition does not hold; nothing was applied.

    Args:
        code: The error code, with or without a namespace before it.
        status: The HTTP status of the reply; 0 if there was none.
    """
    name = _bare(code)
    if name in _THROTTLED or status == _TOO_MANY_REQUESTS:
        return "throttled"
    if name in _UNAVAILABLE or status >= _SERVER_ERRORS or status == 0:
        return "unavailable"
    return "refused"


def _bare(code: str) -> str:
    """`AWS.SimpleQueueService.OverLimit` and `com.amazonaws…#OverLimitException`: OverLimit."""
    name = code.rpartition("#")[2].partition(":")[0].rpartition(".")[2]
    for ending in ("Exception", "Error"):
        name = name.removesuffix(ending)
    return name
