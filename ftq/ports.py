"""The one narrow port to AWS: make a call, get its reply.

`ftq.wire` builds every legal call and reads every reply; what stands behind the port only
makes the call and translates errors into `ftq.errors`. The daemon's aiobotocore, the Lambda's
botocore and the fakes of `ftq.testing` all stand behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

from ftq.value import value

Service: TypeAlias = Literal["sqs", "dynamodb"]
Request: TypeAlias = dict[str, object]
Reply: TypeAlias = Mapping[str, object]


@value(frozen=True, slots=True)
class Call:
    """One call to AWS: the operation's name and its parameters, as in AWS's reference."""

    service: Service
    operation: str
    request: Request


class Port(Protocol):
    """Makes calls from an event loop."""

    async def call(self, call: Call) -> Reply:
        """Make one call.

        Raises:
            Throttled: Refused for now; nothing was applied.
            Unavailable: No usable answer; it may have been applied.
            CallRefused: An error code; nothing was applied.
        """
        ...


class SyncPort(Protocol):
    """Makes calls and waits for them: the Lambda's side."""

    def call(self, call: Call) -> Reply:
        """Make one call; raises as `Port.call` does."""
        ...
