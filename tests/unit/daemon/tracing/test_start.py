"""Which backend there is: bad addresses and missing packages are told before anything starts."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from ftq.context import Context, Signals
from ftq.errors import SettingsError
from ftq.outcome import Returned
from ftq.redaction import USUAL, read_names
from ftq_daemon.children.process import ChildProcess
from ftq_daemon.tracing.port import Tracing
from ftq_daemon.tracing.start import check, start, xray_address
from tests.unit.daemon import in_children
from tests.unit.daemon.tracing.listener import listening, notes

NAMES = read_names("iban")


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("", ("127.0.0.1", 2000)),
        ("xray-daemon:2001", ("xray-daemon", 2001)),
        ("tcp:10.0.0.1:1 udp:10.0.0.2:2", ("10.0.0.2", 2)),
        ("udp:10.0.0.2:2 tcp:10.0.0.1:1", ("10.0.0.2", 2)),
        ("[::1]:2000", ("::1", 2000)),
    ],
)
def test_the_x_ray_daemons_address_is_read_as_the_sdk_does(
    given: str, place: tuple[str, int]
) -> None:
    assert xray_address({"AWS_XRAY_DAEMON_ADDRESS": given}) == place


@pytest.mark.parametrize(
    ("tracing", "name", "value"),
    [
        *(
            ("xray", "AWS_XRAY_DAEMON_ADDRESS", value)
            for value in ("here", "h:", "h:0", "h:70000", "http://h:1", "tcp:h:1", "a:1 b:2")
        ),
        ("otlp", "OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("otlp", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://:4318"),
        ("otlp", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:99999"),
        ("otlp", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ],
)
def test_an_address_that_is_none_is_refused_by_name_and_value(
    tracing: Tracing, name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=name) as told:
        check(tracing, {name: value})
    assert repr(value) in str(told.value)
    check("off", {name: value})


def test_without_its_packages_otlp_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check("otlp", {})
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(SettingsError, match=r"pip install 'ftq\[daemon,otlp\]'"):
        check("otlp", {})


async def test_a_name_that_cannot_be_resolved_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.invalid"):
        await start("xray", {"AWS_XRAY_DAEMON_ADDRESS": "nowhere.invalid:2000"}, "tasks", USUAL)


async def test_off_starts_nothing() -> None:
    assert await start("off", {}, "tasks", USUAL) is None


def test_the_daemon_and_its_children_load_no_tracing_sdk_unless_they_trace() -> None:
    code = (
        "import sys, ftq_daemon.__main__, ftq_daemon.children.program; "
        "print([m for m in sys.modules if m.startswith(('aws_xray_sdk', 'opentelemetry'))])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout == "[]\n"


async def test_what_a_handler_in_a_process_opens_hangs_under_its_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with listening() as listener:
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", listener.address)
        child = await ChildProcess.start(f"{in_children.__name__}:registry", "INFO", NAMES, "xray")
        try:
            for sampled in (0, 1):
                header = (
                    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;"
                    f"Sampled={sampled}"
                )
                signals = Signals()
                context = Context(
                    "t", "child.traced", 1, 1, 0.0, "c", "", signals, lambda _: asyncio.sleep(0),
                    header,
                )  # fmt: skip
                outcome = await child.run("null", context, signals, 10)
                assert outcome == Returned(f'"{header}"')
            (document,) = listener.wait(1)
        finally:
            child.kill()
            await child.exited
    assert document["type"] == "subsegment"
    assert document["trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    assert (document["name"], document["parent_id"]) == ("in the child", "53995c3f42cd8ad8")
    assert (list(notes(document)), "canary" in str(document)) == (["iban"], False)
