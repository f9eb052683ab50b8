"""The hot lane's own connections: when they are used again, how many there are, and over TLS."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.endpoint import AioEndpoint
from aiobotocore.httpsession import AIOHTTPSession
from botocore.exceptions import ConnectTimeoutError, HTTPClientError, SSLError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ftq.ports import Call
from ftq_daemon.aws import direct
from ftq_daemon.aws.direct import Direct
from ftq_daemon.aws.sdk import Sent
from ftq_daemon.aws.talk import Spoken
from tests.unit.daemon.hot_door import Said, Told, door, outcome_of, port_at

DELETE = Call(
    "sqs",
    "DeleteMessageBatch",
    {"QueueUrl": "http://q/1/tasks", "Entries": [{"Id": "0", "ReceiptHandle": "h"}]},
)
# The first call of a kind is aiobotocore's, on a connection of its own.
LEARNED = 1


async def test_a_connection_is_used_again() -> None:
    async with door() as at, port_at(at.url, "sqs") as port:
        for _ in range(4):
            await port.call(DELETE)
        assert at.connections == LEARNED + 1


async def test_a_connection_that_the_server_gives_up_is_not_used_again() -> None:
    async with door() as at, port_at(at.url, "sqs") as port:
        await port.call(DELETE)
        at.script = [Said(headers=("Connection: close",)), Said()]
        await port.call(DELETE)
        await port.call(DELETE)
        assert at.connections == LEARNED + 2


async def test_a_connection_that_waited_for_too_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(direct, "IDLE_SECONDS", 0.0)
    async with door() as at, port_at(at.url, "sqs") as port:
        for _ in range(3):
            await port.call(DELETE)
        assert at.connections == LEARNED + 2


async def test_there_are_no_more_connections_than_the_client_may_have() -> None:
    config = AioConfig(max_pool_connections=2)
    async with door() as at, port_at(at.url, "sqs", config=config) as port:
        await port.call(DELETE)
        await asyncio.gather(*(port.call(DELETE) for _ in range(10)))
        assert at.connections == LEARNED + 2


async def gone(*, hot: bool) -> tuple[str, int]:
    """What a call comes to once nobody listens any more, and how often the hot lane waited."""
    told = Told()
    async with AsyncExitStack() as there:
        at = await there.enter_async_context(door())
        async with port_at(at.url, "sqs", told=told, hot=hot) as port:
            at.script = [Said(headers=("Connection: close",))]
            await port.call(DELETE)
            await there.aclose()
            outcome = await outcome_of(port, DELETE)
    return str(outcome).replace(at.url, "URL"), len(told.waits)


async def test_who_cannot_be_reached_is_tried_as_by_aiobotocore(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def at_once(_endpoint: AioEndpoint, _seconds: float) -> None:
        pass

    monkeypatch.setattr(AioEndpoint, "_sleep", at_once)
    (outcome, waits), (theirs, _) = await gone(hot=True), await gone(hot=False)
    assert outcome == theirs
    assert "Could not connect" in outcome
    assert waits == 2


async def test_who_does_not_take_the_connection_is_a_timeout() -> None:
    # Its backlog is full: connecting waits.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            async with AIOHTTPSession(timeout=cast("float", (0.05, 5))) as session:
                with pytest.raises(ConnectTimeoutError):
                    await Direct(session).send(Sent(f"http://127.0.0.1:{port}/", {}, b"{}"))


def certified(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS for localhost, and the bundle that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    bundle, chain = directory / "bundle.pem", directory / "chain.pem"
    bundle.write_bytes(certificate.public_bytes(pem))
    chain.write_bytes(private + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context, bundle


async def test_tls_trusts_whom_the_sdk_was_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, bundle = certified(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    async with door(context) as at, port_at(at.url, "sqs") as port:
        for _ in range(3):
            await port.call(DELETE)
    assert [request.hot for request in at.heard] == [False, True, True]
    assert at.connections == LEARNED + 1


async def test_tls_trusts_nobody_else(tmp_path: Path) -> None:
    context, _ = certified(tmp_path)
    async with door(context) as at, AIOHTTPSession(timeout=5) as session:
        with pytest.raises(SSLError):
            await Direct(session).send(Sent(at.url, {}, b"{}"))
    assert at.heard == []


@pytest.mark.parametrize("url", ["/?a=b", "/#a"])
async def test_a_url_of_another_kind_is_for_the_clients_session(url: str) -> None:
    async with door() as at, AIOHTTPSession(timeout=5) as session:
        answer = await Direct(session).send(Sent(at.url + url, {}, b"{}"))
        assert not isinstance(answer, Spoken)
        assert await answer.content == b"{}"


@pytest.mark.parametrize(
    "missing", ["_timeout", "_max_pool_connections", "_proxy_config", "_build_ssl_contexts"]
)
async def test_a_session_that_is_not_as_we_know_it_sends_itself(
    missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Other(AIOHTTPSession):
        def __getattribute__(self, name: str) -> object:
            if name == missing and at_start:
                raise AttributeError(name)
            return super().__getattribute__(name)

    at_start = False
    async with door() as at, Other(timeout=5) as session:
        at_start = True
        http = Direct(session)
        at_start = False
        answer = await http.send(Sent(at.url, {}, b"{}"))
        assert not isinstance(answer, Spoken)
        assert await answer.content == b"{}"
    assert missing in caplog.text


async def test_a_header_that_would_be_two_is_never_sent() -> None:
    async with door() as at, AIOHTTPSession(timeout=5) as session:
        with pytest.raises(HTTPClientError):
            await Direct(session).send(Sent(at.url, {"a": "b\r\nc: d"}, b"{}"))
    assert at.heard == []
