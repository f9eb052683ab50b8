"""Traces by OpenTelemetry, to a collector over OTLP/HTTP: `pip install 'ftq[daemon,otlp]'`.

Trace ids are X-Ray's, so that a request that X-Ray traced up to the queue goes on in the same
trace. The SDK's own variables (OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME, OTEL_BSP_*) hold.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Final

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace import TraceFlags as Flags
from opentelemetry.util.types import Attributes, AttributeValue

from ftq.redaction import USUAL, Names, redact, redact_text
from ftq.trace import Trace
from ftq_daemon.tracing.port import (
    AWS_OPERATION,
    AWS_SERVICE,
    CLAIM,
    HANDLER,
    SERVICE,
    SETTLE,
    TRACES_SECONDS,
    Began,
    Ended,
    Fault,
)

# The root of a trace that begins with an attempt: its id follows from the task.
_root: Final[ContextVar[int]] = ContextVar("_root", default=0)


class _Ids(RandomIdGenerator):
    def generate_trace_id(self) -> int:
        return _root.get() or super().generate_trace_id()


class OtlpBackend:
    """Traces through a tracer provider, which handlers find as the global one.

    Args:
        table: The table, which claims and settles are made on.
        version: Our version.
        names: Secret names, whose values are left out.
        exporter: Where spans go; None for OTLP, as the environment says.
    """

    def __init__(
        self,
        table: str,
        version: str,
        names: Names = USUAL,
        exporter: SpanExporter | None = None,
    ) -> None:
        """Set the provider up for this process."""
        self._table = table
        name = os.environ.get("OTEL_SERVICE_NAME") or SERVICE
        self._provider = TracerProvider(
            sampler=ParentBased(ALWAYS_ON),
            resource=Resource.create({SERVICE_NAME: name, SERVICE_VERSION: version}),
            id_generator=_Ids(),
            # Ours is bounded.
            shutdown_on_exit=False,
        )
        exporter = Redacting(exporter or OTLPSpanExporter(), names)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("ftq", version)
        if not isinstance(trace.get_tracer_provider(), TracerProvider):
            # Who has set one up in the handlers' module keeps it: parents are found all the same.
            trace.set_tracer_provider(self._provider)

    def begin(self, began: Began) -> OtlpSpan:
        """Record an attempt; what this context opens from now on hangs under its handler."""
        at = began.trace
        parent = _context_of(at, sampled=True) if at.parent else context.Context()
        token = _root.set(_trace_id(at))
        try:
            span = self._tracer.start_span(
                f"process {began.type}",
                parent,
                SpanKind.CONSUMER,
                _attributes(began),
                start_time=_ns(began.received_at),
            )
        finally:
            _root.reset(token)
        return OtlpSpan(self._tracer, span, began, self._table)

    def ignore(self, at: Trace) -> None:
        """Have what this context opens from now on left out, without a complaint."""
        context.attach(_context_of(at, sampled=False))

    def join(self, at: Trace) -> None:
        """In a handler's own process: hang what this context opens under a span elsewhere."""
        context.attach(_context_of(at, sampled=bool(at.sampled)))

    def close(self) -> None:
        """Hand over what is left, within ``TRACES_SECONDS``: a collector may not answer."""
        closing = threading.Thread(target=self._provider.shutdown, name="ftq otlp", daemon=True)
        closing.start()
        closing.join(TRACES_SECONDS)


class OtlpSpan:
    """An attempt's span.

    Args:
        tracer: Makes those below it.
        span: It.
        began: What is known of the attempt.
        table: The table.
    """

    def __init__(self, tracer: trace.Tracer, span: trace.Span, began: Began, table: str) -> None:
        """Open the handler's span, and make it the current one."""
        self._tracer = tracer
        self._span = span
        self._table = table
        self._within = trace.set_span_in_context(span, context.Context())
        self._call(CLAIM, began.received_at, began.claimed_at)
        self._handler = tracer.start_span(
            HANDLER, self._within, start_time=_ns(began.claimed_at), record_exception=False
        )
        context.attach(trace.set_span_in_context(self._handler))

    @property
    def id(self) -> str:
        """The handler's part of it."""
        return trace.format_span_id(self._handler.get_span_context().span_id)

    def end(self, ended: Ended) -> None:
        """Record how it ended, and hand it over."""
        span, handler = self._span, self._handler
        span.set_attribute("ftq.outcome", ended.outcome)
        for each in (span, handler):
            if ended.failure is not None and ended.fault is not Fault.NONE:
                about = {
                    "exception.type": ended.failure.class_name,
                    "exception.message": ended.failure.message,
                }
                at = _ns(ended.handled_at or ended.settled_at)
                each.add_event("exception", about, at)
                each.set_attribute("ftq.fault", ended.fault)
                each.set_status(Status(StatusCode.ERROR, ended.failure.message))
        if ended.handled_at is not None:
            # One that never began is not ended, and so not shown.
            handler.end(_ns(ended.handled_at))
        self._call(SETTLE, ended.handled_at or ended.settled_at, ended.settled_at)
        span.end(_ns(ended.settled_at))
        context.attach(context.Context())

    def _call(self, step: str, since: float, until: float) -> None:
        about = {
            "rpc.system": "aws-api",
            "rpc.service": AWS_SERVICE,
            "rpc.method": AWS_OPERATION,
            "aws.dynamodb.table_names": (self._table,),
        }
        span = self._tracer.start_span(
            step, self._within, SpanKind.CLIENT, about, start_time=_ns(since)
        )
        span.end(_ns(until))


class Redacting(SpanExporter):
    """An exporter behind which nothing secret stands in what spans say.

    Args:
        exporter: Takes the spans.
        names: Secret names, whose values are left out.
    """

    def __init__(self, exporter: SpanExporter, names: Names) -> None:
        """Wrap an exporter."""
        self._exporter = exporter
        self._names = names

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans."""
        return self._exporter.export([self._clean(span) for span in spans])

    def shutdown(self) -> None:
        """Stop, after what is under way."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for what is under way."""
        return self._exporter.force_flush(timeout_millis)

    def _clean(self, span: ReadableSpan) -> ReadableSpan:
        status = span.status
        if status.description:
            text = redact_text(status.description, self._names)
            status = Status(status.status_code, text)
        return ReadableSpan(
            name=redact_text(span.name, self._names),
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes=self._attributes(span.attributes),
            events=[
                Event(
                    redact_text(each.name, self._names),
                    self._attributes(each.attributes),
                    each.timestamp,
                )
                for each in span.events
            ],
            links=[Link(each.context, self._attributes(each.attributes)) for each in span.links],
            kind=span.kind,
            status=status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _attributes(self, given: Attributes) -> dict[str, AttributeValue]:
        clean = redact(dict(given or {}), self._names)
        kept: dict[str, AttributeValue] = {}
        for name, value in clean.items() if isinstance(clean, dict) else ():
            if isinstance(value, str | bool | int | float):
                kept[name] = value
            elif isinstance(value, list):
                kept[name] = [str(each) for each in value]
        return kept


def _attributes(began: Began) -> Mapping[str, AttributeValue]:
    annotations = {f"ftq.{name}": value for name, value in began.annotations.items()}
    return {
        "messaging.system": "aws_sqs",
        "messaging.operation.type": "process",
        "messaging.destination.name": began.queue,
        # What ADOT's X-Ray exporter makes annotations of, by which traces are searched.
        "aws.xray.annotations": (*annotations, "ftq.outcome"),
        **annotations,
    }


def _trace_id(at: Trace) -> int:
    return int(at.root.removeprefix("1-").replace("-", ""), 16)


def _context_of(at: Trace, *, sampled: bool) -> context.Context:
    """What is current where a span elsewhere is; one that nobody named is made up."""
    flags = Flags(Flags.SAMPLED if sampled else Flags.DEFAULT)
    parent = int(at.parent or "1", 16)
    elsewhere = SpanContext(_trace_id(at), parent, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(elsewhere), context.Context())


def _ns(seconds: float) -> int:
    return round(seconds * 1000) * 1_000_000
