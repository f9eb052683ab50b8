"""`ftq.ports.Port` over an aiobotocore client: makes the call, translates the errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import aiohttp
from botocore import xform_name
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    ParamValidationError,
)
from botocore.parsers import ResponseParserError

from ftq.errors import CallError, CallRefused, Throttled, Unavailable
from ftq.ports import Call, Reply
from ftq.wire.faults import classify
from ftq_daemon.aws.sdk import Operation

Watch: TypeAlias = Callable[[Call, str, float, str], None]
"""Told of each call: the call, ok or what went wrong, seconds, the error's text."""


# No usable answer: the client's own errors, the transport's beneath it, and replies that are none.
_NO_ANSWER: Final = (
    BotoCoreError,
    HTTPClientError,
    ResponseParserError,
    aiohttp.ClientError,
    OSError,
    TimeoutError,
)


class AioPort:
    """Makes the calls of one service.

    Args:
        client: An aiobotocore client of the service, or one that stands in its place.
        watch: Told of each call.
    """

    def __init__(self, client: object, watch: Watch | None = None) -> None:
        """Keep the client; calls are made on it one by one or many at once."""
        self._client = client
        self._watch = watch
        self._methods: dict[str, Operation] = {}

    async def call(self, call: Call) -> Reply:
        """Make one call; raises as `ftq.ports.Port.call` says."""
        method = self._methods.get(call.operation)
        if method is None:
            method = getattr(self._client, xform_name(call.operation))
            self._methods[call.operation] = method
        started = time.perf_counter()
        try:
            reply = await method(**call.request)
        except ClientError as error:
            raise self._failed(call, started, _translate(call.operation, error)) from error
        except (ParamValidationError, UnicodeError) as error:
            # Never sent: the request itself is wrong, and so it will be next time.
            wrong = CallRefused(call.operation, type(error).__name__, str(error))
            raise self._failed(call, started, wrong) from error
        except _NO_ANSWER as error:
            # Nobody knows whether the call was applied.
            unknown = Unavailable(call.operation, type(error).__name__, str(error))
            raise self._failed(call, started, unknown) from error
        if self._watch is not None:
            self._watch(call, "ok", time.perf_counter() - started, "")
        return reply

    def _failed(self, call: Call, started: float, error: CallError) -> CallError:
        if self._watch is not None:
            outcome = type(error).__name__.removeprefix("Call").lower()
            self._watch(call, outcome, time.perf_counter() - started, str(error))
        return error


def _translate(operation: str, error: ClientError) -> CallError:
    response: Mapping[str, object] = error.response
    detail, metadata = response.get("Error"), response.get("ResponseMetadata")
    said = detail if isinstance(detail, Mapping) else {}
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, Mapping) else 0
    code, message = str(said.get("Code", "")), str(said.get("Message", ""))
    match classify(code, status if isinstance(status, int) else 0):
        case "throttled":
            return Throttled(operation, code, message)
        case "unavailable":
            return Unavailable(operation, code, message)
        case "refused":
            item = response.get("Item")
            return CallRefused(
                operation, code, message, item if isinstance(item, Mapping) else None
            )
