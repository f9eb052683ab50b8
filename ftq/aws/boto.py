"""AWS behind `ftq.ports.SyncPort`, by botocore: makes the call, translates the errors.

| what botocore raises | what it means here |
|---|---|
| ClientError, code and status → `ftq.wire.faults` | Throttled, Unavailable or CallRefused |
| the same, throttled, but only after retries | Unavailable: an earlier try may have been applied |
| no connection, timeout, connection lost | Unavailable |
| a reply that cannot be read | Unavailable |
| no credentials, no region, a bad endpoint | CallRefused: the call was never made |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as ConnectError
from botocore.parsers import ResponseParserError

from ftq.aws.limits import CONNECT_SECONDS, READ_SECONDS, TRIES
from ftq.errors import CallError, CallRefused, Throttled, Unavailable
from ftq.ports import Call, Reply, Service
from ftq.wire.faults import classify

_SERVICES: Final[tuple[Service, ...]] = ("sqs", "dynamodb")


class BotoPort:
    """Makes calls through one botocore client per service."""

    def __init__(self, clients: Mapping[Service, object]) -> None:
        """Keep the clients: botocore's, as `connect` makes them."""
        self._clients = clients

    def call(self, call: Call) -> Reply:
        """Make one call; raises as `ftq.ports.Port.call` does."""
        method = getattr(self._clients[call.service], xform_name(call.operation))
        try:
            reply: Reply = method(**call.request)
        except ClientError as error:
            raise _told(call.operation, error.response) from error
        except (HTTPClientError, ConnectError, ResponseParserError) as error:
            name = type(error).__name__
            raise Unavailable(call.operation, name, "no usable answer") from error
        except BotoCoreError as error:
            raise CallRefused(call.operation, type(error).__name__, str(error)) from error
        return reply


def connect(region: str | None = None, endpoint_url: str | None = None) -> BotoPort:
    """Make the clients, once for each process: that is what a cold start pays for.

    Args:
        region: The region; None leaves it to the SDK's own settings.
        endpoint_url: Where AWS answers; None leaves it to the SDK's own settings.
    """
    session = botocore.session.get_session()
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        # A frozen Lambda wakes with connections that the other side has dropped.
        tcp_keepalive=True,
        # `ftq.wire` builds only legal calls, and its tests hold them against the models.
        parameter_validation=False,
    )
    return BotoPort(
        {
            service: session.create_client(
                service, region_name=region, endpoint_url=endpoint_url, config=config
            )
            for service in _SERVICES
        }
    )


def _told(operation: str, response: Mapping[str, object]) -> CallError:
    error, meta = _mapping(response.get("Error")), _mapping(response.get("ResponseMetadata"))
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    status = meta.get("HTTPStatusCode")
    match classify(code, status if isinstance(status, int) else 0):
        case "throttled":
            # Only the last try is known to have been refused; one before may have got through.
            if meta.get("RetryAttempts"):
                return Unavailable(operation, code, message)
            return Throttled(operation, code, message)
        case "unavailable":
            return Unavailable(operation, code, message)
        case "refused":
            return CallRefused(operation, code, message, _mapping(response.get("Item")) or None)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
