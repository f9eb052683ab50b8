"""Attempts as OpenTelemetry's spans, as a collector gets them."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.util._once import Once

from ftq.lifecycle import State
from ftq.redaction import read_names
from ftq.task import Task, failure
from ftq_daemon import events as facts
from ftq_daemon.clock import World
from ftq_daemon.runner import in_thread
from ftq_daemon.tracing.otlp import OtlpBackend
from ftq_daemon.tracing.port import TRACES_SECONDS
from ftq_daemon.tracing.sink import Traces
from ftq_daemon.tracing.start import start

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"
HEADER = f"Root={ROOT};Parent={PARENT};Sampled=1"
WORLD = World(lambda: 1_700_000_000_000, random.Random(1).random, lambda: "token")


class Collector(HTTPServer):
    """Takes spans over OTLP/HTTP."""

    spans: list[Span]


class _Take(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += scope.spans
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    # Who sets a provider up first would keep it, in whichever test that was.
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    with Collector(("127.0.0.1", 0), _Take) as server:
        server.spans = []
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def task(n: int, header: str = HEADER) -> Task:
    made = 1_699_999_999_000
    return Task(
        f"t{n}", f"type.{n}", "http://q/tasks", State.RUNNING, claim_no=1, created_at=made,
        trace=header,
    )  # fmt: skip


def attributes(span: Span) -> dict[str, object]:
    found: dict[str, object] = {}
    for each in span.attributes:
        kind = each.value.WhichOneof("value")
        found[each.key] = getattr(each.value, kind) if kind else None
    return found


async def test_attempts_at_once_on_the_loop_and_in_threads_have_each_their_own_spans(
    collector: Collector,
) -> None:
    backend = OtlpBackend("tasks", "1.0")
    traces = Traces(backend, 1, WORLD)

    def work(n: int) -> None:
        with trace.get_tracer("mine").start_as_current_span(f"thread {n}"):
            pass

    async def attempt(n: int) -> None:
        traces(facts.Claimed(task(n), 0.0, WORLD.now() - 20))
        await asyncio.sleep(0)
        with trace.get_tracer("mine").start_as_current_span(f"loop {n}"):
            await asyncio.sleep(0)
        await in_thread(lambda: work(n), "x")
        traces(facts.Succeeded(task(n), 0.5, 1.0))

    await asyncio.gather(*(attempt(n) for n in range(40)))
    await asyncio.to_thread(backend.close)
    assert len(collector.spans) == 40 * 6
    trace_id = bytes.fromhex(ROOT[2:].replace("-", ""))
    assert {span.trace_id for span in collector.spans} == {trace_id}
    attempts = {span.span_id: span for span in collector.spans if span.name.startswith("process")}
    handlers = {span.span_id: span for span in collector.spans if span.name == "handler"}
    assert {span.parent_span_id for span in attempts.values()} == {bytes.fromhex(PARENT)}
    for span in attempts.values():
        said = attributes(span)
        assert span.name == f"process {said['ftq.type']}"
        assert (said["ftq.outcome"], said["ftq.attempt"]) == ("succeeded", 1)
        assert said["messaging.destination.name"] == "tasks"
        below = [each for each in collector.spans if each.parent_span_id == span.span_id]
        assert sorted(each.name for each in below) == ["claim", "handler", "settle"]
    for n in range(40):
        for name in (f"loop {n}", f"thread {n}"):
            (mine,) = (each for each in collector.spans if each.name == name)
            above = attempts[handlers[mine.parent_span_id].parent_span_id]
            assert attributes(above)["ftq.task_id"] == f"t{n}"


async def test_a_failure_is_told_without_secrets_and_a_task_without_a_header_has_a_trace_of_its_own(
    collector: Collector,
) -> None:
    backend = await start("otlp", os.environ, "tasks", read_names("iban"))
    assert backend is not None
    traces = Traces(backend, 1, WORLD)
    failed = failure("exception", "ValueError", "password=canary is wrong, iban=canary too")

    async def attempt() -> None:
        traces(facts.Claimed(task(1, ""), 0.0, WORLD.now()))
        with trace.get_tracer("mine").start_as_current_span("mine") as mine:
            mine.set_attribute("api_key", "canary")
            mine.set_attribute("iban", "canary")
            mine.add_event("called", {"authorization": "Bearer canary"})
        traces(facts.Retrying(task(1, ""), 0.5, failed, 0))

    for _ in range(2):
        await asyncio.create_task(attempt())
    await asyncio.to_thread(backend.close)
    first, second = (span for span in collector.spans if span.name.startswith("process"))
    assert first.trace_id == second.trace_id
    assert first.trace_id[:4].hex() == f"{1_699_999_999:08x}"
    assert not first.parent_span_id
    assert first.status.code == first.status.STATUS_CODE_ERROR
    assert (attributes(first)["ftq.fault"], len(first.events)) == ("fault", 1)
    assert [span.name for span in collector.spans].count("mine") == 2
    assert "canary" not in str(collector.spans)


async def test_what_is_not_sampled_is_not_exported_nor_what_its_handler_opens(
    collector: Collector,
) -> None:
    backend = OtlpBackend("tasks", "1.0")
    traces = Traces(backend, 1, WORLD)

    async def attempt() -> None:
        unsampled = task(1, HEADER[:-1] + "0")
        traces(facts.Claimed(unsampled, 0.0, WORLD.now()))
        with trace.get_tracer("mine").start_as_current_span("mine") as mine:
            assert not mine.is_recording()
        assert traces.header(unsampled) == HEADER[:-1] + "0"
        traces(facts.Succeeded(unsampled, 0.5, 1.0))

    await asyncio.create_task(attempt())
    await asyncio.to_thread(backend.close)
    assert collector.spans == []


async def test_a_collector_that_does_not_answer_holds_a_stop_up_only_for_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setattr("ftq_daemon.tracing.otlp.TRACES_SECONDS", 0.2)
        assert TRACES_SECONDS >= 0.2
        backend = OtlpBackend("tasks", "1.0")
        traces = Traces(backend, 1, WORLD)
        traces(facts.Claimed(task(1), 0.0, WORLD.now()))
        traces(facts.Succeeded(task(1), 0.5, 1.0))
        began = time.monotonic()
        await asyncio.to_thread(backend.close)
        assert time.monotonic() - began < 2
