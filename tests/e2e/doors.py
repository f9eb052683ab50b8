"""The API as its callers meet it, in two ways: the Lambda's handler, and an HTTP port."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Protocol

import pytest

from api_lambda import bootstrap
from api_lambda.handler import handler
from ftq import Registry
from ftq.aws import boto
from ftq.ports import SyncPort
from ftq.text import Json
from ftq.wire import create, queue
from ftq.wire.queue import Message
from ftq_cli.api_server import STARTED
from tests.e2e.stage import environ
from tests.unit.api.door import Got, event, read

REGION = "us-east-1"
ROOT = Path(__file__).parents[2]
REGISTRY = f"{__name__}:registry"
registry = Registry()


@registry.handler("shop.order")
async def order(lines: dict[str, int]) -> None:
    raise AssertionError("only declared")


@dataclass(frozen=True, slots=True)
class Account:
    """A queue and a table."""

    endpoint: str
    aws: SyncPort
    queue_url: str
    table: str

    @classmethod
    def at(cls, endpoint: str) -> Account:
        """New ones."""
        port, name = boto.connect(REGION, endpoint), f"door-{uuid.uuid4().hex[:12]}"
        queue_url = str(port.call(create.queue(name))["QueueUrl"])
        port.call(create.table(name))
        return cls(endpoint, port, queue_url, name)

    @property
    def settings(self) -> dict[str, str]:
        """What leads an API to them."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "FTQ_QUEUE_URL": self.queue_url,
            "FTQ_TABLE": self.table,
        }


class Door(Protocol):
    """Takes requests."""

    def ask(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str], base64: bool
    ) -> Got:
        """Make one request."""

    def set(self, **settings: str) -> None:
        """Go on with more settings."""


@dataclass(slots=True)
class InProcess:
    """The handler, called as Lambda calls it."""

    monkeypatch: pytest.MonkeyPatch

    def ask(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str], base64: bool
    ) -> Got:
        return read(handler(event(method, path, body, headers, base64=base64), None))

    def set(self, **settings: str) -> None:
        for key, value in settings.items():
            self.monkeypatch.setenv(key, value)
        bootstrap.api.cache_clear()


@dataclass(slots=True)
class OverSocket:
    """The API server of `ftq up`, over HTTP. More settings are those of another one."""

    port: int
    settings: Mapping[str, str]
    others: ExitStack

    def ask(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str], base64: bool
    ) -> Got:
        # What is no text travels to the handler as base64.
        media_type = "application/octet-stream" if base64 else "application/json"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            content = None if body is None else body.encode()
            connection.request(method, path, content, {"content-type": media_type, **headers})
            reply = connection.getresponse()
            named = {name.lower(): value for name, value in reply.getheaders()}
            return Got(reply.status, named, reply.read().decode())
        finally:
            connection.close()

    def set(self, **settings: str) -> None:
        more = {**self.settings, **settings}
        self.port, self.settings = self.others.enter_context(served(more)), more


@contextmanager
def served(settings: Mapping[str, str]) -> Iterator[int]:
    """An API server for as long as the context lasts: its port."""
    with served_by(settings) as (port, _):
        yield port


@contextmanager
def served_by(settings: Mapping[str, str]) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """An API server for as long as the context lasts, unless it is killed: port and process."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FTQ_")}
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "ftq_cli.api_server", str(listening.fileno())],
            cwd=ROOT,
            env={**kept, **settings},
            stdout=subprocess.PIPE,
            pass_fds=[listening.fileno()],
        )
        try:
            assert process.stdout is not None
            assert any(STARTED.encode() in line for line in process.stdout)
            # Its log is read on, as whoever runs it does: a full pipe would stop it.
            threading.Thread(target=deque, args=(process.stdout, 0), daemon=True).start()
            yield listening.getsockname()[1], process
        finally:
            process.terminate()
            process.communicate(timeout=30)


@contextmanager
def daemon(
    account: Account, dlq_url: str, handlers: str, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """A daemon whose log nobody reads but the test; killed at the end, if it has not ended."""
    settings = {
        "FTQ_DLQ_URL": dlq_url,
        "FTQ_HANDLERS": handlers,
        "FTQ_HEALTH_PORT": "0",
        "FTQ_WAIT_SECONDS": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "ftq_daemon"],
        cwd=ROOT,
        env=environ(**{**account.settings, **settings, **more}),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@dataclass(slots=True)
class Stack:
    """A queue, a table, and an API in front of them.

    Attributes:
        account: Both.
        door: The API.
        key: An idempotency key that no other test has.
    """

    account: Account
    door: Door
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def aws(self) -> SyncPort:
        return self.account.aws

    @property
    def table(self) -> str:
        return self.account.table

    def set(self, **settings: str) -> None:
        """Go on with more settings."""
        self.door.set(**settings)

    def ask(
        self,
        method: str,
        path: str,
        body: str | None = None,
        *,
        base64: bool = False,
        **headers: str,
    ) -> Got:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.door.ask(method, path, body, named, base64)

    def post(self, document: Json, **headers: str) -> Got:
        body = json.dumps(document, ensure_ascii=False)
        return self.ask("POST", "/tasks", body, base64=False, **headers)

    def messages(self) -> list[Message]:
        """Take all messages out of the queue."""
        found: list[Message] = []
        url = self.account.queue_url
        while got := queue.read_receive(self.aws.call(queue.receive(url, 10, 0, 600))):
            found += got
        return found


@contextmanager
def over_socket(account: Account, port: int) -> Iterator[Stack]:
    """An API server in front of an account."""
    with ExitStack() as others:
        yield Stack(account, OverSocket(port, account.settings, others))


@contextmanager
def in_process(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """The handler in front of an account."""
    for key in ("FTQ_HANDLERS", "FTQ_RETENTION_DAYS", "FTQ_SWEEP_GRACE_SECONDS", "FTQ_LOG_LEVEL"):
        monkeypatch.delenv(key, raising=False)
    made = Stack(account, InProcess(monkeypatch))
    made.set(**account.settings)
    try:
        yield made
    finally:
        bootstrap.api.cache_clear()
