"""The hot lane does what aiobotocore does, faults included, on a real socket."""

from __future__ import annotations

import datetime
import itertools
import json
import zlib

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioRefreshableCredentials
from aiobotocore.endpoint import AioEndpoint
from aiobotocore.session import AioSession
from botocore import UNSIGNED

from ftq.errors import Unavailable
from ftq.ports import Call, Service
from tests.unit.daemon.hot_door import Said, Told, door, dumped, outcome_of, port_at, session_of

QUEUE = "http://q/1/tasks"
RECEIVE = Call("sqs", "ReceiveMessage", {"QueueUrl": QUEUE, "MaxNumberOfMessages": 10})
DELETE = Call(
    "sqs",
    "DeleteMessageBatch",
    {"QueueUrl": QUEUE, "Entries": [{"Id": "0", "ReceiptHandle": "h"}]},
)
EXECUTE = Call("dynamodb", "BatchExecuteStatement", {"Statements": [{"Statement": "S"}]})
CALLS: dict[str, Call] = {"sqs": DELETE, "dynamodb": EXECUTE}
CRC = ("x-amz-crc32: 1",)


def fault(code: str, message: str = "m", status: int = 400, **more: object) -> Said:
    return Said(status, dumped(__type=f"com.amazonaws#{code}", message=message, **more))


THROTTLED = fault("ThrottlingException")
BROKEN = fault("InternalServerError", status=500)
HTML = b"<html><body>Service Unavailable</body></html>"
SCRIPTS: dict[str, tuple[Service, list[Said]]] = {
    "a success": ("dynamodb", [Said(body=dumped(Responses=[{}]))]),
    "a throttle, then a success": ("dynamodb", [THROTTLED, Said()]),
    "throttles without end": ("dynamodb", [THROTTLED] * 9),
    "throughput exceeded": ("dynamodb", [fault("ProvisionedThroughputExceededException")] * 9),
    "a server error, then a success": ("sqs", [BROKEN, Said()]),
    "server errors without end": ("sqs", [BROKEN] * 9),
    "a page instead of an error": ("sqs", [Said(503, HTML)] * 9),
    "a page with another status": ("sqs", [Said(502, HTML), Said(504, b""), Said()]),
    "an error that is no JSON": ("sqs", [Said(400, b"what?")]),
    "an error without a body": ("sqs", [Said(403, b"")]),
    "a refusal": ("dynamodb", [fault("ValidationException", "no")]),
    "a condition that failed": (
        "dynamodb",
        [fault("ConditionalCheckFailedException", Item={"id": {"S": "a"}, "b": {"B": "AAE="}})],
    ),
    "an error named as the query protocol did": (
        "sqs",
        [
            Said(
                400,
                dumped(__type="com.amazonaws.sqs#QueueDoesNotExist", message="none"),
                ("x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender",),
            )
        ],
    ),
    "over the limit": ("sqs", [fault("OverLimit", status=403)]),
    "throttled by SQS": ("sqs", [fault("RequestThrottled")] * 9),
    "access denied": ("dynamodb", [fault("AccessDeniedException")]),
    "a token that expired": ("dynamodb", [fault("ExpiredTokenException")]),
    "a clock that is off": ("dynamodb", [fault("InvalidSignatureException", "Signature expired")]),
    "a request too skewed": ("sqs", [fault("RequestExpired")]),
    "a timeout by its code": ("dynamodb", [fault("RequestTimeout"), Said()]),
    "a reset, then a success": ("sqs", [Said(reset=True), Said()]),
    "resets without end": ("dynamodb", [Said(reset=True)] * 9),
    "half a reply, then a whole one": ("sqs", [Said(body=b'{"Succ', cut=True), Said()]),
    "half replies without end": ("dynamodb", [Said(body=b'{"Resp', cut=True)] * 9),
    "a wrong checksum, then a right one": (
        "dynamodb",
        [Said(headers=CRC), Said(headers=(f"x-amz-crc32: {zlib.crc32(b'{}')}",))],
    ),
    "bytes in a reply": (
        "dynamodb",
        [Said(body=dumped(Responses=[{"Item": {"b": {"B": "AAE="}, "bs": {"BS": ["AA=="]}}}]))],
    ),
    "numbers and texts in a reply": (
        "dynamodb",
        [Said(body=dumped(Responses=[{"Item": {"n": {"N": "1"}, "s": {"S": "B"}}}]))],
    ),
}


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiobotocore too waits for nothing between tries."""

    async def at_once(_endpoint: AioEndpoint, _seconds: float) -> None:
        pass

    monkeypatch.setattr(AioEndpoint, "_sleep", at_once)


async def played(service: Service, script: list[Said], *, on: bool) -> tuple[object, ...]:
    """What a call comes to under a script: its outcome, what was told, what was sent."""
    call, told = CALLS[service], Told()
    async with door() as at, port_at(at.url, service, told=told, hot=on) as port:
        await port.call(call)
        at.heard.clear()
        told.calls.clear()
        at.script = list(script)
        outcome = await outcome_of(port, call)
        assert all(request.hot is on for request in at.heard)
        bodies = [json.loads(request.body) for request in at.heard]
        words = json.dumps([str(outcome), told.calls]).replace(at.url, "URL")
    return words, bodies


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_reply_comes_to_the_same_as_by_aiobotocore(name: str) -> None:
    service, script = SCRIPTS[name]
    assert await played(service, script, on=True) == await played(service, script, on=False)


async def test_only_the_first_call_of_a_kind_goes_through_aiobotocore() -> None:
    async with door() as at, port_at(at.url, "sqs") as port:
        for call in (RECEIVE, RECEIVE, DELETE, DELETE, RECEIVE):
            await port.call(call)
    assert [request.hot for request in at.heard] == [False, True, False, True, True]
    slow, quick = (dict(request.headers) for request in at.heard[:2])
    changing = ("amz-sdk-invocation-id", "amz-sdk-request", "authorization", "x-amz-date")
    for headers in (slow, quick):
        for name in (*changing, "content-length"):
            headers.pop(name, None)
    assert quick == slow


async def test_other_operations_are_aiobotocores() -> None:
    call = Call("sqs", "DeleteMessage", {"QueueUrl": QUEUE, "ReceiptHandle": "h"})
    async with door() as at, port_at(at.url, "sqs") as port:
        await port.call(call)
        await port.call(call)
    assert [request.hot for request in at.heard] == [False, False]


async def test_tries_are_spread_by_backoff_that_grows() -> None:
    told = Told()
    async with door() as at, port_at(at.url, "sqs", told=told, tries=3) as port:
        await port.call(DELETE)
        for _ in range(30):
            at.script = [BROKEN, BROKEN, BROKEN]
            await outcome_of(port, DELETE)
    first, second = told.waits[::2], told.waits[1::2]
    assert len(first) == len(second) == 30
    assert min(first) >= 0
    assert max(first) < 1 < max(second) < 2
    assert len(set(told.waits)) == 60


async def test_a_receive_is_tried_once() -> None:
    async with door() as at, port_at(at.url, "sqs", tries=1) as port:
        await port.call(RECEIVE)
        at.script = [BROKEN]
        with pytest.raises(Unavailable):
            await port.call(RECEIVE)
        at.script = [Said(reset=True)]
        with pytest.raises(Unavailable):
            await port.call(RECEIVE)
    assert [request.hot for request in at.heard] == [False, True, True]


async def until_spent(*, on: bool) -> list[int]:
    """How often each of many calls is sent while the service is down, and after it came back."""
    async with door() as at, port_at(at.url, "sqs", hot=on) as port:
        await port.call(DELETE)
        sent: list[int] = []
        for outage in (60, 60):
            for _ in range(outage):
                at.heard.clear()
                at.script = [BROKEN] * 3
                await outcome_of(port, DELETE)
                sent.append(len(at.heard))
            at.script = []
            for _ in range(40):
                await port.call(DELETE)
    return sent


async def test_repeats_end_with_their_quota_and_come_back_with_successes() -> None:
    sent = await until_spent(on=True)
    assert sent == await until_spent(on=False)
    assert sent[0] == sent[60] == 3
    assert sent[59] == 1


async def test_credentials_that_change_sign_the_next_try() -> None:
    numbers = itertools.count()
    clock = [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)]
    end = clock[0] + datetime.timedelta(hours=1)

    async def renewed() -> dict[str, str]:
        # They end as the first do: once these are about to expire, each look brings new ones.
        name = f"key{next(numbers)}"
        told = {"access_key": name, "secret_key": "s", "token": f"{name}-token"}
        return {**told, "expiry_time": end.isoformat()}

    session = AioSession()
    credentials = AioRefreshableCredentials(
        "old", "s", "old-token", end, renewed, "test", lambda: clock[0]
    )
    # As a resolver of credentials leaves it; there is no other way to hand some in.
    session._credentials = credentials  # type: ignore[attr-defined]  # the stubs leave it out
    async with door() as at, port_at(at.url, "sqs", session=session) as port:
        await port.call(DELETE)
        clock[0] = end - datetime.timedelta(minutes=5)
        at.script = [Said(), BROKEN, THROTTLED, Said()]
        await port.call(DELETE)
        await port.call(DELETE)
    assert [request.hot for request in at.heard] == [False, True, True, True, True]
    names = [each.headers["authorization"].split("=")[1].split("/")[0] for each in at.heard]
    assert len(set(names)) == 5
    tokens = [each.headers["x-amz-security-token"] for each in at.heard]
    assert tokens == [f"{name}-token" for name in names]


async def test_credentials_of_another_account_go_through_aiobotocore_first() -> None:
    session = session_of(account="111111111111")
    async with door() as at, port_at(at.url, "dynamodb", session=session) as port:
        await port.call(EXECUTE)
        await port.call(EXECUTE)
        vars(await session.get_credentials())["account_id"] = "222222222222"
        await port.call(EXECUTE)
        await port.call(EXECUTE)
    assert [request.hot for request in at.heard] == [False, True, False, True]


async def test_a_request_that_a_listener_of_the_session_changes_is_aiobotocores() -> None:
    def one_only(params: dict[str, object], **_: object) -> dict[str, object]:
        return {**params, "MaxNumberOfMessages": 1}

    session = session_of()
    session.register("provide-client-params.sqs.ReceiveMessage", one_only)
    async with door() as at, port_at(at.url, "sqs", session=session) as port:
        await port.call(RECEIVE)
        await port.call(RECEIVE)
    assert [request.hot for request in at.heard] == [False, False]
    assert [json.loads(request.body)["MaxNumberOfMessages"] for request in at.heard] == [1, 1]


async def test_unsigned_calls_are_aiobotocores() -> None:
    config = AioConfig(signature_version=UNSIGNED)
    async with door() as at, port_at(at.url, "sqs", config=config) as port:
        await port.call(RECEIVE)
        await port.call(RECEIVE)
    assert [request.hot for request in at.heard] == [False, False]
    assert "authorization" not in at.heard[-1].headers


async def test_without_credentials_aiobotocore_says_so() -> None:
    session = AioSession()
    session.get_component("credential_provider").providers.clear()
    async with door() as at, port_at(at.url, "sqs", session=session) as port:
        with pytest.raises(Unavailable, match="Unable to locate credentials"):
            await port.call(RECEIVE)
    assert at.heard == []


@pytest.mark.parametrize(
    ("service", "config", "host"),
    [
        ("sqs", AioConfig(), "sqs.us-east-1.amazonaws.com"),
        ("sqs", AioConfig(use_fips_endpoint=True), "sqs-fips.us-east-1.amazonaws.com"),
        ("sqs", AioConfig(use_dualstack_endpoint=True), "sqs.us-east-1.api.aws"),
        ("dynamodb", AioConfig(), "111111111111.ddb.us-east-1.amazonaws.com"),
        (
            "dynamodb",
            AioConfig(account_id_endpoint_mode="disabled"),
            "dynamodb.us-east-1.amazonaws.com",
        ),
        ("dynamodb", AioConfig(use_fips_endpoint=True), "dynamodb-fips.us-east-1.amazonaws.com"),
    ],
)
async def test_endpoints_are_those_that_the_sdk_resolves(
    service: Service, config: AioConfig, host: str
) -> None:
    """Seen by a proxy, which TLS endpoints ask to connect to their host."""
    call = RECEIVE if service == "sqs" else EXECUTE
    async with door() as at:
        # A machine that is busy may take long to connect.
        proxied = config.merge(AioConfig(proxies={"https": at.url}, connect_timeout=60))
        session = session_of(account="111111111111")
        at.script = [Said(403)] * 9
        async with port_at(None, service, session=session, config=proxied, tries=1) as port:
            for _ in range(2):
                with pytest.raises(Unavailable, match="proxy"):
                    await port.call(call)
    assert [request.line for request in at.heard] == [f"CONNECT {host}:443 HTTP/1.1"] * 2


async def test_a_proxy_is_asked_as_aiobotocore_asks_it() -> None:
    async with door() as at:
        config = AioConfig(proxies={"http": at.url})
        async with port_at("http://sqs.example", "sqs", config=config) as port:
            await port.call(RECEIVE)
            await port.call(RECEIVE)
    assert [request.line for request in at.heard] == ["POST http://sqs.example/ HTTP/1.1"] * 2
    assert [request.hot for request in at.heard] == [False, True]


async def test_bytes_are_sent_as_base64() -> None:
    entry = {"DataType": "Binary", "BinaryValue": b"\x00\xff"}
    sent = {"Id": "0", "MessageBody": "ä€", "MessageAttributes": {"b": entry}}
    call = Call("sqs", "SendMessageBatch", {"QueueUrl": QUEUE, "Entries": [sent]})
    async with door() as at, port_at(at.url, "sqs") as port:
        await port.call(call)
        await port.call(call)
    slow, quick = (json.loads(request.body) for request in at.heard)
    assert at.heard[1].hot
    assert quick == slow
    assert quick["Entries"][0]["MessageAttributes"]["b"]["BinaryValue"] == "AP8="


async def test_a_text_that_orjson_does_not_hold_is_aiobotocores() -> None:
    half = Call("dynamodb", "BatchExecuteStatement", {"Statements": [{"Statement": "\ud800"}]})
    async with door() as at, port_at(at.url, "dynamodb") as port:
        await port.call(EXECUTE)
        await port.call(half)
    assert not at.heard[1].hot


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (Said(body=b"<html>Welcome to our network</html>"), "not JSON"),
        (Said(body=b"[]"), "no JSON object"),
        (Said(body=b""), "not JSON"),
        (Said(headers=CRC), "CRC-32"),
    ],
)
async def test_a_success_that_says_nothing_of_use_is_no_answer(said: Said, told: str) -> None:
    """Where aiobotocore takes it for an empty reply."""
    async with door() as at, port_at(at.url, "dynamodb") as port:
        await port.call(EXECUTE)
        at.script = [said] * 3
        with pytest.raises(Unavailable, match=told):
            await port.call(EXECUTE)


async def test_a_reply_that_does_not_come_is_a_timeout() -> None:
    async with door() as at:
        config = AioConfig(read_timeout=0.05)
        async with port_at(at.url, "sqs", config=config, tries=1) as port:
            await port.call(RECEIVE)
            at.mute = True
            with pytest.raises(Unavailable, match="Read timeout"):
                await port.call(RECEIVE)
    assert at.heard[1].hot
