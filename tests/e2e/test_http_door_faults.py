"""The Lambda's handler where replies get lost on the wire, and what only an invocation has."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from api_lambda import bootstrap
from ftq.aws.limits import TRIES
from ftq.errors import Unavailable
from ftq.wire import table
from tests.e2e.doors import Account, Stack, in_process

pytestmark = pytest.mark.e2e


@pytest.fixture
def stack(ministack_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    with in_process(Account.at(ministack_url), monkeypatch) as made:
        yield made


def test_a_header_that_no_wire_carries_is_refused(stack: Stack) -> None:
    got = stack.post({"type": "a", "payload": 1}, x_correlation_id="a\r\nb: c")
    assert (got.status, got.fields) == (422, ["X-Correlation-Id"])


def test_the_trace_of_the_invocation_reaches_the_message(stack: Stack) -> None:
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    stack.set(_X_AMZN_TRACE_ID=trace)
    stack.post({"type": "a", "payload": 1})
    (message,) = stack.messages()
    assert message.trace == trace


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
        proxy.upstream, proxy.operation, proxy.left = stack.account.endpoint, operation, replies
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
    with _losing(stack, "PutItem", TRIES):
        first = stack.post({"type": "a", "payload": 1})
        assert first.status == 503
        assert stack.messages() == []
        key = str(first.doc["idempotency_key"])
        again = stack.post({"type": "a", "payload": 1}, idempotency_key=key)
    assert again.status == 202
    (message,) = stack.messages()
    assert again.id in message.body


def test_202_a_send_whose_replies_are_all_lost(stack: Stack) -> None:
    with _losing(stack, "SendMessage", TRIES):
        got = stack.post({"type": "a", "payload": 1})
    assert got.status == 202
    assert len(stack.messages()) == TRIES


def test_a_lost_reply_is_unavailable_at_the_port(stack: Stack) -> None:
    with _losing(stack, "GetItem", TRIES), pytest.raises(Unavailable):
        bootstrap.api().service.port.call(table.get(stack.table, "x"))
