"""The API on a real wire: every row of the HTTP contract, at the handler and over HTTP."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from ftq.limits import PAYLOAD_BYTES
from ftq.task import payload_key
from ftq.text import Json
from ftq.wire import table
from ftq.wire.claimant import Claimant
from ftq.wire.statements import Statements
from tests.e2e.doors import (
    REGISTRY,
    Account,
    InProcess,
    OverSocket,
    Stack,
    in_process,
    over_socket,
    served,
)

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(ministack_url: str) -> Iterator[tuple[Account, int]]:
    """An account, and the port of an API server for it."""
    account = Account.at(ministack_url)
    with served(account.settings) as port:
        yield account, port


@pytest.fixture(params=["in process", "over a socket"])
def stack(
    request: pytest.FixtureRequest, ministack_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stack]:
    if request.param == "in process":
        with in_process(Account.at(ministack_url), monkeypatch) as made:
            yield made
        return
    account, port = request.getfixturevalue("server")
    with over_socket(account, port) as made:
        made.messages()  # of tests before
        yield made


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


def test_a_repeat_is_one_task_until_it_runs(stack: Stack) -> None:
    first = stack.post({"type": "a", "payload": 1}, idempotency_key=stack.key)
    assert stack.post({"type": "a", "payload": 1}, idempotency_key=stack.key).doc == first.doc
    assert len(stack.messages()) == 2

    now = time.time_ns() // 1_000_000
    claim = Statements(stack.table).claim(first.id, Claimant("d", "t", now, now + 60_000))
    stack.aws.call(table.execute([claim]))
    assert stack.post({"type": "a", "payload": 1}, idempotency_key=stack.key).doc == first.doc
    assert stack.messages() == []


def test_a_large_payload_is_accepted_to_the_byte(stack: Stack) -> None:
    full = "é" * ((PAYLOAD_BYTES - 2) // 2)
    got = stack.post({"type": "a", "payload": full}, idempotency_key=stack.key)
    assert got.status == 202
    assert stack.ask("GET", f"/tasks/{got.id}").doc["payload"] == full
    assert stack.post({"type": "a", "payload": full}, idempotency_key=stack.key).doc == got.doc
    refused = stack.post({"type": "a", "payload": full + "x"})
    assert refused.status == 413


def test_a_repeat_under_longer_retention_renews_a_large_payload(stack: Stack) -> None:
    stack.post({"type": "a", "payload": "x" * 2000}, idempotency_key=stack.key)
    stack.set(FTQ_RETENTION_DAYS="60")
    got = stack.post({"type": "a", "payload": "x" * 2000}, idempotency_key=stack.key)
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
    body = '{"type": "a", "payload": "ü"}'
    if isinstance(stack.door, InProcess):
        body = base64.b64encode(body.encode()).decode()
    assert stack.ask("POST", "/tasks", body, base64=True).status == 202


def test_404_no_such_task(stack: Stack) -> None:
    got = stack.post({"type": "a", "payload": "x" * 2000})
    task = table.read_get(stack.aws.call(table.get(stack.table, got.id)))
    assert task is not None
    beside = payload_key(task.id, task.fingerprint).replace("#", "%23")
    for task_id in ("nobody", "a%20b", beside):
        assert stack.ask("GET", f"/tasks/{task_id}").status == 404


def test_409_same_key_other_payload(stack: Stack) -> None:
    stack.post({"type": "a", "payload": 1}, idempotency_key=stack.key)
    got = stack.post({"type": "a", "payload": 2}, idempotency_key=stack.key)
    assert (got.status, got.doc["type"]) == (409, "urn:ftq:problem:key-conflict")


def test_422_fields_and_headers(stack: Stack) -> None:
    got = stack.post({"type": "#", "payload": 1, "delay_seconds": "x", "other": 1})
    assert (got.status, got.fields) == (422, ["delay_seconds", "other"])
    got = stack.post({"type": "a", "payload": 1}, idempotency_key="a b")
    assert (got.status, got.fields) == (422, ["Idempotency-Key"])
    got = stack.post({"type": "a", "payload": 1}, x_correlation_id="a b")
    assert (got.status, got.fields) == (422, ["X-Correlation-Id"])


def test_422_what_the_registry_refuses(stack: Stack) -> None:
    stack.set(FTQ_HANDLERS=REGISTRY)
    assert stack.post({"type": "shop.order", "payload": {"x": 1}}).status == 202
    assert stack.post({"type": "shop.other", "payload": {"x": 1}}).fields == ["type"]
    assert stack.post({"type": "shop.order", "payload": {"x": "y"}}).fields == ["payload.x"]


def test_503_a_table_that_is_not_there(stack: Stack) -> None:
    stack.set(FTQ_TABLE="another")
    got = stack.post({"type": "a", "payload": 1}, idempotency_key=stack.key)
    assert (got.status, got.doc["idempotency_key"]) == (503, stack.key)
    assert stack.ask("GET", "/tasks/x").status == 503
    assert stack.ask("GET", "/health").status == 503


@contextmanager
def closed() -> Iterator[str]:
    """An endpoint that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def silent() -> Iterator[str]:
    """An endpoint that takes connections, and never answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("made", [closed, pytest.param(silent, marks=pytest.mark.slow)])
def test_503_an_aws_that_does_not_answer(
    made: Callable[[], AbstractContextManager[str]], stack: Stack
) -> None:
    with made() as endpoint:
        stack.set(AWS_ENDPOINT_URL=endpoint)
        got = stack.post({"type": "a", "payload": 1}, idempotency_key=stack.key)
        assert (got.status, got.doc["idempotency_key"]) == (503, stack.key)
        assert got.headers["content-type"] == "application/problem+json"
        if made is closed:
            assert stack.ask("GET", "/tasks/x").status == 503
            assert stack.ask("GET", "/health").status == 503


def test_202_though_the_queue_is_not_there(stack: Stack) -> None:
    stack.set(FTQ_QUEUE_URL=f"{stack.account.queue_url}-gone")
    got = stack.post({"type": "a", "payload": 1})
    assert got.status == 202
    task = table.read_get(stack.aws.call(table.get(stack.table, got.id)))
    assert task is not None
    assert 0 <= task.due_at - task.created_at < 20_000


def test_health_answers(stack: Stack) -> None:
    assert stack.ask("GET", "/health").status == 200


def test_403_a_request_of_a_foreign_page(server: tuple[Account, int]) -> None:
    account, port = server
    with ExitStack() as others:
        stack = Stack(account, OverSocket(port, account.settings, others))
        own = f"http://127.0.0.1:{port}"
        assert stack.post({"type": "a", "payload": 1}, origin=own).status == 202
        stack.messages()
        refused = [
            stack.post({"type": "a", "payload": 1}, origin="https://evil.example"),
            stack.post({"type": "a", "payload": 1}, host="evil.example"),
            stack.ask("GET", "/health", sec_fetch_site="cross-site"),
        ]
        assert [got.status for got in refused] == [403] * 3
        assert {got.headers["content-type"] for got in refused} == {"application/problem+json"}
        assert stack.messages() == []
