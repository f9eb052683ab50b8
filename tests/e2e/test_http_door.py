"""The Lambda's handler on real clients and a real wire: every row of the HTTP contract."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from api_lambda import aws, bootstrap
from api_lambda.handler import handler
from ftq import Registry
from ftq.errors import Unavailable
from ftq.limits import PAYLOAD_BYTES
from ftq.ports import SyncPort
from ftq.task import payload_key
from ftq.text import Json
from ftq.wire import create, queue, table
from ftq.wire.queue import Message
from ftq.wire.statements import Claimant, Statements
from tests.unit.api.door import Got, event, read

pytestmark = pytest.mark.e2e

REGION = "us-east-1"
registry = Registry()


@registry.handler("shop.order")
async def order(lines: dict[str, int]) -> None:
    raise AssertionError("only declared")


@dataclass
class Stack:
    """A queue and a table of a test's own, and the handler set up for them."""

    endpoint: str
    aws: SyncPort
    queue_url: str
    table: str
    monkeypatch: pytest.MonkeyPatch

    def set(self, **environ: str) -> None:
        """Set up the handler anew."""
        for key, value in environ.items():
            self.monkeypatch.setenv(key, value)
        bootstrap.api.cache_clear()

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Got:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return read(handler(event(method, path, body, named), None))

    def post(self, document: Json, **headers: str) -> Got:
        return self.ask("POST", "/tasks", json.dumps(document, ensure_ascii=False), **headers)

    def messages(self) -> list[Message]:
        found: list[Message] = []
        while got := queue.read_receive(self.aws.call(queue.receive(self.queue_url, 10, 0, 600))):
            found += got
        return found


@pytest.fixture
def stack(ministack_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    for key in ("FTQ_HANDLERS", "FTQ_RETENTION_DAYS", "FTQ_SWEEP_GRACE_SECONDS", "FTQ_LOG_LEVEL"):
        monkeypatch.delenv(key, raising=False)
    name = f"door-{uuid.uuid4().hex[:12]}"
    port = aws.connect(REGION, ministack_url)
    queue_url = str(port.call(create.queue(name))["QueueUrl"])
    port.call(create.table(name))
    made = Stack(ministack_url, port, queue_url, name, monkeypatch)
    made.set(
        AWS_ENDPOINT_URL=ministack_url,
        AWS_REGION=REGION,
        FTQ_QUEUE_URL=queue_url,
        FTQ_TABLE=name,
    )
    yield made
    bootstrap.api.cache_clear()


def test_a_task_is_accepted_stored_sent_and_shown(stack: Stack) -> None:
    payload: Json = {"to": "ü😀", "n": [1, 2.5, None, True]}
    got = stack.post({"type": "a", "payload": payload, "tenant": "acme"}, x_correlation_id="c")
    assert got.status == 202
    (message,) = stack.messages()
    assert (message.stored, message.group, message.claim_no) == (True, "acme", None)
    shown = stack.ask("GET", got.headers["location"])
    assert shown.status == 200
    assert {key: shown.doc[key] for key in got.doc} == got.doc
    assert shown.doc["payload"] == payload


def test_the_trace_of_the_invocation_reaches_the_message(stack: Stack) -> None:
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    stack.monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    stack.post({"type": "a", "payload": 1})
    (message,) = stack.messages()
    assert message.trace == trace


def test_a_repeat_is_one_task_until_it_runs(stack: Stack) -> None:
    first = stack.post({"type": "a", "payload": 1}, idempotency_key="k")
    assert stack.post({"type": "a", "payload": 1}, idempotency_key="k").doc == first.doc
    assert len(stack.messages()) == 2

    now = bootstrap.api().service.now()
    claim = Statements(stack.table).claim(first.id, Claimant("d", "t", now, now + 60_000))
    stack.aws.call(table.execute([claim]))
    assert stack.post({"type": "a", "payload": 1}, idempotency_key="k").doc == first.doc
    assert stack.messages() == []


def test_a_large_payload_is_accepted_to_the_byte(stack: Stack) -> None:
    full = "é" * ((PAYLOAD_BYTES - 2) // 2)
    got = stack.post({"type": "a", "payload": full}, idempotency_key="k")
    assert got.status == 202
    assert stack.ask("GET", f"/tasks/{got.id}").doc["payload"] == full
    assert stack.post({"type": "a", "payload": full}, idempotency_key="k").doc == got.doc
    refused = stack.post({"type": "a", "payload": full + "x"})
    assert refused.status == 413


def test_a_repeat_under_longer_retention_renews_a_large_payload(stack: Stack) -> None:
    stack.post({"type": "a", "payload": "x" * 2000}, idempotency_key="k")
    stack.set(FTQ_RETENTION_DAYS="60")
    got = stack.post({"type": "a", "payload": "x" * 2000}, idempotency_key="k")
    task = table.read_get(stack.aws.call(table.get(stack.table, got.id)))
    assert task is not None
    key = payload_key(task.id, task.fingerprint)
    beside = table.read_beside(stack.aws.call(table.get(stack.table, key)))
    assert beside is not None
    assert beside.expires_at >= (task.created_at + 120 * 86_400_000) // 1000


def test_400_not_json(stack: Stack) -> None:
    for body in (None, "", "{", '{"a": NaN}', '{"type": "a", "type": "b"}'):
        assert stack.ask("POST", "/tasks", body).status == 400


def test_a_body_in_base64_is_a_body(stack: Stack) -> None:
    body = base64.b64encode(b'{"type": "a", "payload": 1}').decode()
    assert read(handler(event("POST", "/tasks", body, base64=True), None)).status == 202


def test_404_no_such_task(stack: Stack) -> None:
    got = stack.post({"type": "a", "payload": "x" * 2000})
    task = table.read_get(stack.aws.call(table.get(stack.table, got.id)))
    assert task is not None
    beside = payload_key(task.id, task.fingerprint).replace("#", "%23")
    for task_id in ("nobody", "a%20b", beside):
        assert stack.ask("GET", f"/tasks/{task_id}").status == 404


def test_409_same_key_other_payload(stack: Stack) -> None:
    stack.post({"type": "a", "payload": 1}, idempotency_key="k")
    got = stack.post({"type": "a", "payload": 2}, idempotency_key="k")
    assert (got.status, got.doc["type"]) == (409, "urn:ftq:problem:key-conflict")


def test_422_fields_and_headers(stack: Stack) -> None:
    got = stack.post({"type": "#", "payload": 1, "delay_seconds": "x", "other": 1})
    assert (got.status, got.fields) == (422, ["delay_seconds", "other"])
    got = stack.post({"type": "a", "payload": 1}, idempotency_key="a b")
    assert (got.status, got.fields) == (422, ["Idempotency-Key"])
    got = stack.post({"type": "a", "payload": 1}, x_correlation_id="a\r\nb: c")
    assert (got.status, got.fields) == (422, ["X-Correlation-Id"])


def test_422_what_the_registry_refuses(stack: Stack) -> None:
    stack.set(FTQ_HANDLERS=f"{__name__}:registry")
    assert stack.post({"type": "shop.order", "payload": {"x": 1}}).status == 202
    assert stack.post({"type": "shop.other", "payload": {"x": 1}}).fields == ["type"]
    assert stack.post({"type": "shop.order", "payload": {"x": "y"}}).fields == ["payload.x"]


def test_503_a_table_that_is_not_there(stack: Stack) -> None:
    stack.set(FTQ_TABLE="another")
    got = stack.post({"type": "a", "payload": 1}, idempotency_key="k")
    assert (got.status, got.doc["idempotency_key"]) == (503, "k")
    assert stack.ask("GET", "/tasks/x").status == 503
    assert stack.ask("GET", "/health").status == 503


def test_202_though_the_queue_is_not_there(stack: Stack) -> None:
    stack.set(FTQ_QUEUE_URL=f"{stack.queue_url}-gone")
    got = stack.post({"type": "a", "payload": 1})
    assert got.status == 202
    task = table.read_get(stack.aws.call(table.get(stack.table, got.id)))
    assert task is not None
    assert 0 <= task.due_at - task.created_at < 20_000


def test_health_answers(stack: Stack) -> None:
    assert stack.ask("GET", "/health").status == 200


# --- replies lost on the wire -----------------------------------------------------------------


class Losing(ThreadingHTTPServer):
    """A proxy that passes every call on and loses the first replies to an operation."""

    upstream = ""
    operation = ""
    left = 0


class _Pass(BaseHTTPRequestHandler):
    server: Losing

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        there = HTTPConnection(str(urlsplit(self.server.upstream).netloc), timeout=10)
        there.request("POST", self.path, body, dict(self.headers.items()))
        reply = there.getresponse()
        content = reply.read()
        there.close()
        target = str(self.headers["x-amz-target"])
        if self.server.left and target.endswith(f".{self.server.operation}"):
            self.server.left -= 1
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name in ("content-type", "x-amzn-requestid"):
            if value := reply.headers.get(name):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def _losing(stack: Stack, operation: str, replies: int) -> Iterator[None]:
    with Losing(("127.0.0.1", 0), _Pass) as proxy:
        proxy.upstream, proxy.operation, proxy.left = stack.endpoint, operation, replies
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        stack.set(AWS_ENDPOINT_URL=f"http://127.0.0.1:{proxy.server_port}")
        try:
            yield
        finally:
            proxy.shutdown()
            thread.join()


def test_a_store_whose_first_reply_is_lost_is_accepted(stack: Stack) -> None:
    with _losing(stack, "PutItem", 1):
        got = stack.post({"type": "a", "payload": 1})
    assert got.status == 202
    assert len(stack.messages()) == 1


def test_503_a_store_whose_replies_are_all_lost_until_the_repeat(stack: Stack) -> None:
    with _losing(stack, "PutItem", aws.TRIES):
        first = stack.post({"type": "a", "payload": 1})
        assert first.status == 503
        assert stack.messages() == []
        key = str(first.doc["idempotency_key"])
        again = stack.post({"type": "a", "payload": 1}, idempotency_key=key)
    assert again.status == 202
    (message,) = stack.messages()
    assert again.id in message.body


def test_202_a_send_whose_replies_are_all_lost(stack: Stack) -> None:
    with _losing(stack, "SendMessage", aws.TRIES):
        got = stack.post({"type": "a", "payload": 1})
    assert got.status == 202
    assert len(stack.messages()) == aws.TRIES


def test_a_lost_reply_is_unavailable_at_the_port(stack: Stack) -> None:
    with _losing(stack, "GetItem", aws.TRIES), pytest.raises(Unavailable):
        bootstrap.api().service.port.call(table.get(stack.table, "x"))
