"""The Lambda's adapter: what botocore raises becomes an error of ftq."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from api_lambda.service import LAST_CALL_SECONDS
from ftq.aws.boto import BotoPort, connect
from ftq.aws.limits import CALL_SECONDS
from ftq.errors import CallRefused, Throttled, Unavailable
from ftq.ports import Call
from ftq.wire.faults import Meaning, classify

PUT = Call("dynamodb", "PutItem", {"TableName": "tasks"})


class Client:
    """A client whose only call answers or raises what it is given."""

    def __init__(self, outcome: dict[str, object] | Exception) -> None:
        self.outcome = outcome
        self.asked: dict[str, object] = {}

    def put_item(self, **request: object) -> dict[str, object]:
        self.asked = request
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def _client_error(code: str, status: int, retries: int = 0, **more: object) -> ClientError:
    response = {
        "Error": {"Code": code, "Message": "m"},
        "ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": retries},
        **more,
    }
    return ClientError(response, "PutItem")  # type: ignore[arg-type]  # a part of a response


def test_a_call_is_made_as_it_is() -> None:
    client = Client({"Attributes": {}})
    assert BotoPort({"dynamodb": client}).call(PUT) == {"Attributes": {}}
    assert client.asked == {"TableName": "tasks"}


def test_a_refused_condition_brings_the_item_in_the_way() -> None:
    item = {"id": {"S": "x"}}
    error = _client_error("ConditionalCheckFailedException", 400, Item=item)
    with pytest.raises(CallRefused) as caught:
        BotoPort({"dynamodb": Client(error)}).call(PUT)
    assert (caught.value.code, caught.value.item) == ("ConditionalCheckFailedException", item)
    assert caught.value.operation == "PutItem"


def test_a_refusal_without_an_item_has_none() -> None:
    with pytest.raises(CallRefused) as caught:
        BotoPort({"dynamodb": Client(_client_error("ValidationException", 400))}).call(PUT)
    assert caught.value.item is None


def test_a_throttled_call_was_not_applied() -> None:
    error = _client_error("ProvisionedThroughputExceededException", 400)
    with pytest.raises(Throttled):
        BotoPort({"dynamodb": Client(error)}).call(PUT)


def test_a_call_throttled_after_retries_may_have_been_applied_before() -> None:
    error = _client_error("ProvisionedThroughputExceededException", 400, retries=2)
    with pytest.raises(Unavailable):
        BotoPort({"dynamodb": Client(error)}).call(PUT)


@pytest.mark.parametrize(
    "error",
    [
        _client_error("InternalServerError", 500),
        _client_error("", 503),
        ConnectTimeoutError(endpoint_url="https://x"),
        ReadTimeoutError(endpoint_url="https://x"),
        EndpointConnectionError(endpoint_url="https://x"),
        ConnectionClosedError(endpoint_url="https://x"),
        SSLError(endpoint_url="https://x", error=OSError("e")),
        ResponseParserError("no JSON"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_usable_answer_is_unavailable(error: Exception) -> None:
    with pytest.raises(Unavailable):
        BotoPort({"dynamodb": Client(error)}).call(PUT)


@pytest.mark.parametrize("error", [NoCredentialsError(), NoRegionError()], ids=str)
def test_a_call_that_cannot_be_made_is_refused(error: BotoCoreError) -> None:
    with pytest.raises(CallRefused) as caught:
        BotoPort({"dynamodb": Client(error)}).call(PUT)
    assert caught.value.code == type(error).__name__


def test_the_slowest_request_is_answered_before_the_gateway_gives_up() -> None:
    assert LAST_CALL_SECONDS + CALL_SECONDS < 29


def test_nobody_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    # Port 1 is never listened on; botocore pauses between its tries.
    port = connect("us-east-1", "http://127.0.0.1:1")
    with pytest.raises(Unavailable) as caught:
        port.call(PUT)
    assert caught.value.code == "EndpointConnectionError"


CODES: list[tuple[str, int, Meaning]] = [
    # DynamoDB
    ("ConditionalCheckFailedException", 400, "refused"),
    ("ProvisionedThroughputExceededException", 400, "throttled"),
    ("ProvisionedThroughputExceeded", 0, "throttled"),
    ("RequestLimitExceeded", 400, "throttled"),
    ("ThrottlingException", 400, "throttled"),
    ("ThrottlingError", 0, "throttled"),
    ("TransactionConflictException", 400, "throttled"),
    ("LimitExceededException", 400, "throttled"),
    ("InternalServerError", 500, "unavailable"),
    ("InternalServerError", 0, "unavailable"),
    ("ServiceUnavailable", 503, "unavailable"),
    ("ValidationException", 400, "refused"),
    ("ResourceNotFoundException", 400, "refused"),
    ("AccessDeniedException", 400, "refused"),
    ("ExpiredTokenException", 400, "refused"),
    ("com.amazonaws.dynamodb.v20120810#ThrottlingException", 400, "throttled"),
    ("ThrottlingException:http://internal.amazon.com/x/", 400, "throttled"),
    # SQS
    ("AWS.SimpleQueueService.OverLimit", 403, "throttled"),
    ("OverLimit", 403, "throttled"),
    ("RequestThrottled", 403, "throttled"),
    ("KmsThrottled", 400, "throttled"),
    ("KMS.ThrottlingException", 400, "throttled"),
    ("AWS.SimpleQueueService.NonExistentQueue", 400, "refused"),
    ("InvalidParameterValue", 400, "refused"),
    ("RequestTimeout", 408, "unavailable"),
    ("SlowDown", 503, "throttled"),
    # Neither says more than its status
    ("429", 429, "throttled"),
    ("502", 502, "unavailable"),
    ("", 0, "unavailable"),
    ("SomethingNew", 400, "refused"),
]


@pytest.mark.parametrize(("code", "status", "meaning"), CODES)
def test_a_code_means_one_thing(code: str, status: int, meaning: Meaning) -> None:
    assert classify(code, status) == meaning
