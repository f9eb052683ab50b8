"""AWS behind `ftq.ports.SyncPort` without an SDK: JSON, a signature and a kept connection.

Importing botocore takes half of a cold start, and each of its calls several times as long as this.
So where all is plain, as it is on Lambda (credentials and region in the environment, AWS's own
partition or an endpoint that is named, no profile, proxy or FIPS), the
calls are made here; anywhere else `direct` has nothing, and botocore makes them
(`ftq.aws.boto`). Errors mean the same in both; so do timeouts, tries and the pauses between.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import select
import socket
import ssl
import time
import weakref
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ftq.aws.limits import CONNECT_SECONDS, READ_SECONDS, TRIES
from ftq.errors import CallRefused, Throttled, Unavailable
from ftq.ports import Call, Reply, Service
from ftq.wire.faults import classify
from ftq.wire.sign import MOMENT, Scope, Signer

_TARGETS: Final[Mapping[Service, str]] = {
    "dynamodb": "DynamoDB_20120810",
    "sqs": "AmazonSQS",
}
# The partition of AWS whose endpoints are https://SERVICE.REGION.amazonaws.com.
_REGION: Final = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+")
# Whatever else steers an SDK is the SDK's to understand.
_STEERS: Final = (
    "ALL_PROXY",
    "AWS_ACCOUNT_ID_ENDPOINT_MODE",
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
)
_OK: Final = 200
# "Retry behavior" of the AWS SDKs: the standard mode's longest pause, in seconds.
_LONGEST_PAUSE: Final = 20.0

Connection = http.client.HTTPConnection


@dataclass(frozen=True, slots=True)
class _Keys:
    access_key: str
    secret_key: str
    token: str | None


def direct(environ: Mapping[str, str], region: str | None) -> DirectPort | None:
    """A port, if this environment is as plain as Lambda's; else None."""
    if region is None or not (
        environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY")
    ):
        return None
    if any(environ.get(name) or environ.get(name.lower()) for name in _STEERS):
        return None
    if (Path(environ.get("HOME") or "~").expanduser() / ".aws" / "config").exists():
        return None
    everywhere = environ.get("AWS_ENDPOINT_URL")
    urls: dict[Service, str] = {}
    for service in _TARGETS:
        url = environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or everywhere
        if not url and not _REGION.fullmatch(region):
            return None
        urls[service] = url or f"https://{service}.{region}.amazonaws.com"
    return DirectPort(environ, region, urls)


class DirectPort:
    """Makes calls over connections that are kept open; safe to use from several threads.

    Args:
        environ: Where the credentials are; read for each try, since the runtime may renew them.
        region: The region.
        urls: The endpoint of each service.
        sleep: Waits between tries.
        dice: A random number from 0 to 1.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        region: str,
        urls: Mapping[Service, str],
        sleep: Callable[[float], None] = time.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        """Connect to nothing yet."""
        self._environ = environ
        self._region = region
        self._urls = urls
        self._sleep = sleep
        self._dice = dice
        self._idle: dict[Service, list[Connection]] = {service: [] for service in urls}
        self._signers: dict[tuple[Service, str], Signer] = {}
        weakref.finalize(self, _close, self._idle)

    def call(self, call: Call) -> Reply:
        """Make one call; raises as `ftq.ports.Port.call` does."""
        body = json.dumps(call.request, separators=(",", ":")).encode()
        tried = 0
        while True:
            try:
                return self._try(call, body)
            except CallRefused:
                raise
            except (Throttled, Unavailable) as error:
                tried += 1
                if tried < TRIES:
                    self._sleep(self._dice() * min(2.0 ** (tried - 1), _LONGEST_PAUSE))
                elif isinstance(error, Throttled):
                    # Only the last try is known to have been refused; one before may have got
                    # through.
                    raise Unavailable(call.operation, error.code, "still throttled") from error
                else:
                    raise

    def _try(self, call: Call, body: bytes) -> Reply:
        moment = time.strftime(MOMENT, time.gmtime())
        headers = self._signer(call).sign(body, self._keys(), moment)
        path = urlsplit(self._urls[call.service]).path or "/"
        try:
            status, told, content = self._sent(call.service, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            name = type(error).__name__
            raise Unavailable(call.operation, name, "no usable answer") from error
        return _read(call.operation, status, told, content)

    def _sent(
        self, service: Service, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = self._connected(service)
        try:
            connection.request("POST", path, body, dict(headers))
            response = connection.getresponse()
            content = response.read()
        except Exception:
            connection.close()
            raise
        if not response.will_close:
            self._idle[service].append(connection)
        return response.status, response.headers, content

    def _connected(self, service: Service) -> Connection:
        idle = self._idle[service]
        while idle:
            connection = idle.pop()
            # A frozen Lambda wakes with connections that the other side has dropped: those have
            # their end to be read.
            if not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()
        connection = _connection(self._urls[service])
        connection.connect()
        # The shorter time was for getting through, this one is for the answer.
        connection.sock.settimeout(READ_SECONDS)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection

    def _signer(self, call: Call) -> Signer:
        signer = self._signers.get((call.service, call.operation))
        if signer is None:
            headers = {
                "Content-Type": "application/x-amz-json-1.0",
                "User-Agent": "ftq",
                "X-Amz-Target": f"{_TARGETS[call.service]}.{call.operation}",
            }
            if call.service == "sqs":
                # Errors then carry the codes that SQS has always had.
                headers["X-Amzn-Query-Mode"] = "true"
            scope = Scope(self._region, call.service)
            signer = Signer(self._urls[call.service], headers, scope)
            self._signers[call.service, call.operation] = signer
        return signer

    def _keys(self) -> _Keys:
        environ = self._environ
        token = environ.get("AWS_SESSION_TOKEN") or None
        return _Keys(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], token)


def _close(idle: Mapping[Service, list[Connection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()


def _connection(url: str) -> Connection:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            host, parts.port, timeout=CONNECT_SECONDS, context=_trust()
        )
    return Connection(host, parts.port, timeout=CONNECT_SECONDS)


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    bundles = (os.environ.get("AWS_CA_BUNDLE"), os.environ.get("REQUESTS_CA_BUNDLE"))
    return ssl.create_default_context(cafile=next(filter(None, bundles), None))


def _read(operation: str, status: int, told: http.client.HTTPMessage, content: bytes) -> Reply:
    checked = told.get("x-amz-crc32")
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        found = None
    if status == _OK:
        if not isinstance(found, dict) or (checked and int(checked) != zlib.crc32(content)):
            raise Unavailable(operation, "UnreadableReply", "no usable answer")
        return found
    problem = found if isinstance(found, dict) else {}
    code = (told.get("x-amzn-query-error") or "").partition(";")[0]
    code = code or str(problem.get("__type", "")).rpartition("#")[2]
    message = str(problem.get("message") or problem.get("Message") or "")
    match classify(code, status):
        case "throttled":
            raise Throttled(operation, code, message)
        case "unavailable":
            raise Unavailable(operation, code, message)
        case "refused":
            item = problem.get("Item")
            raise CallRefused(operation, code, message, item if isinstance(item, dict) else None)
