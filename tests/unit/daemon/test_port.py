"""The adapter says what an error means for whoever made the call."""

from __future__ import annotations

import aiohttp
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from ftq.errors import CallError, CallRefused, Throttled, Unavailable
from ftq.ports import Call, Reply
from ftq_daemon.aws.port import AioPort


class Client:
    """An operation that fails as told."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def send_message(self, **parameters: object) -> Reply:
        if self._error is not None:
            raise self._error
        return parameters


def said(code: str, status: int, **more: object) -> ClientError:
    response = {
        "Error": {"Code": code, "Message": "m"},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return ClientError(response, "SendMessage")  # type: ignore[arg-type]  # the stub wants a TypedDict


CALL = Call("sqs", "SendMessage", {"QueueUrl": "q"})


async def test_a_reply_comes_back_as_it_is_and_is_told() -> None:
    told: list[tuple[str, str]] = []
    port = AioPort(Client(None), lambda call, what, _, __: told.append((call.operation, what)))
    assert await port.call(CALL) == {"QueueUrl": "q"}
    assert told == [("SendMessage", "ok")]


@pytest.mark.parametrize(
    ("error", "kind", "outcome"),
    [
        (said("ThrottlingException", 400), Throttled, "throttled"),
        (said("ProvisionedThroughputExceededException", 400), Throttled, "throttled"),
        (said("InternalServerError", 500), Unavailable, "unavailable"),
        (said("Whatever", 503), Unavailable, "unavailable"),
        (said("AccessDeniedException", 400), CallRefused, "refused"),
        (ReadTimeoutError(endpoint_url="e"), Unavailable, "unavailable"),
        (ConnectTimeoutError(endpoint_url="e"), Unavailable, "unavailable"),
        (NoCredentialsError(), Unavailable, "unavailable"),
        (ConnectionResetError("reset"), Unavailable, "unavailable"),
        (TimeoutError(), Unavailable, "unavailable"),
        (ResponseParserError("no JSON"), Unavailable, "unavailable"),
        (aiohttp.ServerDisconnectedError(), Unavailable, "unavailable"),
        (ParamValidationError(report="r"), CallRefused, "refused"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogate"), CallRefused, "refused"),
    ],
)
async def test_each_error_is_translated_and_told(
    error: Exception, kind: type[CallError], outcome: str
) -> None:
    told: list[str] = []
    port = AioPort(Client(error), lambda _, what, __, ___: told.append(what))
    with pytest.raises(CallError) as raised:
        await port.call(CALL)
    assert type(raised.value) is kind
    assert raised.value.operation == "SendMessage"
    assert told == [outcome]


async def test_a_refused_condition_brings_the_item_that_stood_in_the_way() -> None:
    item = {"id": {"S": "t"}}
    port = AioPort(Client(said("ConditionalCheckFailedException", 400, Item=item)))
    with pytest.raises(CallRefused) as raised:
        await port.call(CALL)
    assert raised.value.item == item
