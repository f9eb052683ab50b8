"""The calls made without an SDK: signed as botocore signs, and failing as its errors do."""

from __future__ import annotations

import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from ftq.aws import connect
from ftq.aws.limits import TRIES
from ftq.aws.plain import DirectPort, direct
from ftq.errors import CallRefused, Throttled, Unavailable
from ftq.ports import Call

KEYS: Final = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
REGION: Final = "eu-central-1"
PUT: Final = Call("dynamodb", "PutItem", {"TableName": "tasks", "Item": {"id": {"S": "ä"}}})
SEND: Final = Call("sqs", "SendMessage", {"QueueUrl": "http://x/0/q", "MessageBody": "m"})


@dataclass(frozen=True, slots=True)
class Told:
    """One answer: what the service says, or None to hang up without a word."""

    status: int
    body: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def error(cls, status: int, kind: str, **more: object) -> Told:
        return cls(status, json.dumps({"__type": kind, "message": "m", **more}).encode())


@dataclass(slots=True)
class Service:
    """A service on loopback that answers as it is told, and keeps what it was asked."""

    answers: list[Told]
    url: str = ""
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    callers: set[int] = field(default_factory=set)

    def port(self, waits: list[float] | None = None, **environ: str) -> DirectPort:
        sleep: Callable[[float], None] = (waits if waits is not None else []).append
        urls = {"sqs": self.url, "dynamodb": self.url}
        return DirectPort({**KEYS, **environ}, REGION, urls, sleep, lambda: 0.5)  # type: ignore[arg-type]  # the two names are the two services


@pytest.fixture
def service() -> Iterator[Service]:
    told = Service([])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.asked.append((self.path, dict(self.headers), body))
            told.callers.add(self.client_address[1])
            answer = told.answers.pop(0)
            if answer.body is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


OK: Final = Told(200, b'{"Attributes":{"id":{"S":"x"}}}')


def test_a_reply_comes_as_the_service_said_it(service: Service) -> None:
    service.answers = [OK]

    assert service.port().call(PUT) == {"Attributes": {"id": {"S": "x"}}}
    [(path, headers, body)] = service.asked
    assert (path, json.loads(body)) == ("/", PUT.request)
    assert headers["X-Amz-Target"] == "DynamoDB_20120810.PutItem"


@pytest.mark.parametrize("token", ["", "session"])
@pytest.mark.parametrize("call", [PUT, SEND], ids=lambda call: call.operation)
def test_a_request_is_signed_as_botocore_signs_it(
    service: Service, call: Call, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answers = [OK]

    service.port(AWS_SESSION_TOKEN=token).call(call)

    [(_, headers, body)] = service.asked
    moment = datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")  # noqa: DTZ007 - as botocore takes it
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: moment)
    signed = {"Content-Type", "X-Amz-Target", "X-Amzn-Query-Mode"} & headers.keys()
    request = AWSRequest("POST", service.url, {name: headers[name] for name in signed}, body)
    SigV4Auth(ReadOnlyCredentials("key", "secret", token or None), call.service, REGION).add_auth(
        request
    )
    assert headers["Authorization"] == request.headers["Authorization"]
    assert headers.get("X-Amz-Security-Token", "") == token


def test_one_connection_carries_many_calls(service: Service) -> None:
    service.answers = [OK] * 5
    port = service.port()

    for _ in range(5):
        port.call(PUT)

    assert len(service.callers) == 1


def test_a_connection_dropped_while_frozen_costs_no_try(service: Service) -> None:
    gone = Told(200, b"{}", {"Connection": "close"})
    service.answers = [gone, OK]
    waits: list[float] = []
    port = service.port(waits)

    port.call(PUT)
    port.call(PUT)

    assert (len(service.asked), waits) == (2, [])


def test_a_refused_condition_brings_the_item_in_the_way_and_is_not_repeated(
    service: Service,
) -> None:
    kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
    service.answers = [Told.error(400, kind, Item={"id": {"S": "x"}})]

    with pytest.raises(CallRefused) as caught:
        service.port().call(PUT)

    assert (caught.value.code, caught.value.item) == (
        "ConditionalCheckFailedException",
        {"id": {"S": "x"}},
    )


def test_sqs_tells_the_codes_that_it_has_always_had(service: Service) -> None:
    header = {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}
    service.answers = [Told(400, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}', header)]

    with pytest.raises(CallRefused) as caught:
        service.port().call(SEND)

    assert caught.value.code == "AWS.SimpleQueueService.NonExistentQueue"
    assert service.asked[0][1]["X-Amzn-Query-Mode"] == "true"


@pytest.mark.parametrize(
    "failed",
    [
        Told.error(400, "ThrottlingException"),
        Told.error(500, "InternalServerError"),
        Told(503, b"<html>"),
        Told(200, b"no JSON"),
        Told(200, b"{}", {"x-amz-crc32": str(zlib.crc32(b"{}") ^ 1)}),
        Told(200, None),
    ],
    ids=["throttled", "500", "503", "no JSON", "wrong checksum", "hung up"],
)
def test_what_may_pass_later_is_tried_again_after_a_growing_pause(
    service: Service, failed: Told
) -> None:
    service.answers = [failed, failed, OK]
    waits: list[float] = []

    assert service.port(waits).call(PUT) == {"Attributes": {"id": {"S": "x"}}}
    assert waits == [0.5, 1.0]


@pytest.mark.parametrize(
    "failed", [Told.error(500, "InternalServerError"), Told(200, None)], ids=["500", "hung up"]
)
def test_no_usable_answer_at_the_last_try_is_unavailable(service: Service, failed: Told) -> None:
    service.answers = [failed] * TRIES

    with pytest.raises(Unavailable):
        service.port().call(PUT)

    assert len(service.asked) == TRIES


def test_a_call_throttled_after_retries_may_have_been_applied_before(service: Service) -> None:
    service.answers = [Told.error(400, "ThrottlingException")] * TRIES

    with pytest.raises(Unavailable) as caught:
        service.port().call(PUT)

    assert isinstance(caught.value.__cause__, Throttled)


def test_credentials_are_those_of_the_moment(service: Service) -> None:
    service.answers = [OK, OK]
    environ = dict(KEYS)
    port = DirectPort(environ, REGION, {"dynamodb": service.url})

    port.call(PUT)
    environ["AWS_ACCESS_KEY_ID"] = "renewed"
    port.call(PUT)

    used = [headers["Authorization"].split("Credential=")[1] for _, headers, _ in service.asked]
    assert [each.partition("/")[0] for each in used] == ["key", "renewed"]


def test_nobody_there_is_unavailable() -> None:
    # Port 1 is never listened on.
    port = DirectPort(KEYS, REGION, {"dynamodb": "http://127.0.0.1:1"}, lambda _: None)

    with pytest.raises(Unavailable):
        port.call(PUT)


# --- where it may be used ---------------------------------------------------------------------


def test_lambdas_own_environment_leads_to_awss_own_endpoints(tmp_path: Path) -> None:
    port = direct({**KEYS, "AWS_SESSION_TOKEN": "t", "HOME": str(tmp_path)}, REGION)

    assert port is not None
    assert port._urls["sqs"] == "https://sqs.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "eusc-de-east-1", "x"])
def test_another_partition_is_the_sdks_unless_the_endpoint_is_named(
    region: str, tmp_path: Path
) -> None:
    environ = {**KEYS, "HOME": str(tmp_path)}

    assert direct(environ, region) is None
    assert direct({**environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, region) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_PROFILE", "dev"),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ("AWS_CONFIG_FILE", "/etc/aws"),
        ("HTTPS_PROXY", "http://proxy"),
        ("https_proxy", "http://proxy"),
    ],
)
def test_what_steers_an_sdk_is_left_to_one(name: str, value: str, tmp_path: Path) -> None:
    assert direct({**KEYS, "HOME": str(tmp_path), name: value}, REGION) is None


def test_credentials_from_elsewhere_a_configured_home_and_no_region_are_left_to_the_sdk(
    tmp_path: Path,
) -> None:
    plain = {**KEYS, "HOME": str(tmp_path)}

    assert direct({"HOME": str(tmp_path)}, REGION) is None
    assert direct(plain, None) is None
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").touch()
    assert direct(plain, REGION) is None


def test_botocore_makes_the_calls_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)

    assert type(connect(REGION, "botocore")).__name__ == "BotoPort"
