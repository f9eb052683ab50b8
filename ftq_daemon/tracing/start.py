"""Which backend there is, by FTQ_TRACING; the SDKs are loaded here, and only the one that is used.

Their addresses are the SDKs' own variables, held against what they must be before anything starts.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import socket
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

from ftq.errors import SettingsError
from ftq.redaction import Names
from ftq_daemon.tracing.port import Backend, Tracing

XRAY_ADDRESS: Final = "AWS_XRAY_DAEMON_ADDRESS"
_DEFAULT_ADDRESS: Final = "127.0.0.1:2000"
_PLACE: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):(?P<port>[0-9]{1,5})")
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def check(tracing: Tracing, environ: Mapping[str, str]) -> None:
    """See that traces could be sent, before anything is loaded.

    Raises:
        SettingsError: An address is none, or the packages for OTLP are not installed.
    """
    if tracing == "xray":
        xray_address(environ)
    elif tracing == "otlp":
        _check_otlp(environ)


def xray_address(environ: Mapping[str, str]) -> tuple[str, int]:
    """Where the X-Ray daemon listens: ``HOST:PORT``, or ``tcp:HOST:PORT udp:HOST:PORT``.

    Raises:
        SettingsError: AWS_XRAY_DAEMON_ADDRESS is neither.
    """
    given = environ.get(XRAY_ADDRESS) or _DEFAULT_ADDRESS
    parts = given.split()
    named = dict(part.split(":", 1) for part in parts if part.startswith(("tcp:", "udp:")))
    place = named.get("udp", "") if len(parts) == len(named) == 2 else given
    found = _PLACE.fullmatch(place)
    if found is None or not 1 <= int(found["port"]) <= 65_535:
        raise SettingsError(
            [f"{XRAY_ADDRESS}={given!r}: must be HOST:PORT or tcp:HOST:PORT udp:HOST:PORT"]
        )
    return found["host"].strip("[]"), int(found["port"])


def _check_otlp(environ: Mapping[str, str]) -> None:
    faults: list[str] = []
    for name in _ENDPOINTS:
        given = environ.get(name)
        if given and not _is_url(given):
            faults.append(f"{name}={given!r}: must be a URL that begins with https:// or http://")
    for name in _PROTOCOLS:
        given = environ.get(name)
        if given and given != "http/protobuf":
            faults.append(f"{name}={given!r}: must be http/protobuf")
    try:
        there = importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http")
    except ImportError:
        there = None
    if there is None:
        faults.append("FTQ_TRACING='otlp': needs more packages: pip install 'ftq[daemon,otlp]'")
    if faults:
        raise SettingsError(faults)


def _is_url(given: str) -> bool:
    try:
        url = urlsplit(given)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


async def start(
    tracing: Tracing, environ: Mapping[str, str], table: str, names: Names
) -> Backend | None:
    """The backend of this process; None if nothing is traced.

    Args:
        tracing: Which one.
        environ: The environment: where its traces go.
        table: The table, which claims and settles are made on.
        names: Secret names, whose values are left out.

    Raises:
        SettingsError: As `check`; or the X-Ray daemon's name cannot be resolved.
    """
    check(tracing, environ)
    if tracing != "xray":
        return _backend(tracing, "", 0, table, names)
    host, port = xray_address(environ)
    try:
        # Once: looking a name up for each document would hold the loop.
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise SettingsError([f"{XRAY_ADDRESS}: {host!r} cannot be resolved: {error}"]) from error
    return _backend(tracing, str(found[0][4][0]), port, table, names)


def _backend(tracing: Tracing, host: str, port: int, table: str, names: Names) -> Backend | None:
    if tracing == "xray":
        from ftq_daemon.tracing.xray import XrayBackend

        return XrayBackend(host, port, table, version("ftq"), names)
    if tracing == "otlp":
        from ftq_daemon.tracing.otlp import OtlpBackend

        return OtlpBackend(table, version("ftq"), names)
    return None
