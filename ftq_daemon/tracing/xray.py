"""Traces by the X-Ray SDK, to the X-Ray daemon over UDP.

The SDK's models, recorder and document format are used as they are: what a handler opens with
`xray_recorder` hangs under its attempt. Two parts of it are replaced. Its contexts know threads or
asyncio tasks, not both, and share one list among tasks that run at once: ours is a tuple in a
context variable, which tasks and threads inherit. Its emitter parses the address at each start in
a way of its own, and lets a document that is too large fail: ours takes it apart.
"""

from __future__ import annotations

import os
import socket
from contextvars import ContextVar
from typing import Final, cast

from aws_xray_sdk.core import xray_recorder
from aws_xray_sdk.core.context import Context
from aws_xray_sdk.core.emitters.udp_emitter import UDPEmitter
from aws_xray_sdk.core.models.dummy_entities import DummySegment
from aws_xray_sdk.core.models.entity import Entity
from aws_xray_sdk.core.models.facade_segment import FacadeSegment
from aws_xray_sdk.core.models.segment import Segment
from aws_xray_sdk.core.models.subsegment import Subsegment
from aws_xray_sdk.core.models.throwable import Throwable

from ftq.redaction import USUAL, Names
from ftq.task import Failure
from ftq.trace import Trace
from ftq_daemon.tracing.emitter import Emitter
from ftq_daemon.tracing.port import (
    AWS_OPERATION,
    AWS_SERVICE,
    CLAIM,
    HANDLER,
    SERVICE,
    SETTLE,
    Began,
    Ended,
    Fault,
)

_entities: Final[ContextVar[tuple[Entity, ...]]] = ContextVar("_entities", default=())


class InContext(Context):
    """What is open in this context; each asyncio task and each handler's thread has its own."""

    def put_segment(self, segment: Segment) -> None:
        """Make a segment the current one."""
        _entities.set((segment,))

    def put_subsegment(self, subsegment: Subsegment) -> None:
        """Open a subsegment under what is current."""
        if found := _entities.get():
            found[-1].add_subsegment(subsegment)
            _entities.set((*found, subsegment))

    def end_subsegment(self, end_time: object = None) -> bool:
        """Close the current subsegment; whether there was one that this context had opened."""
        found = _entities.get()
        if len(found) < 2:
            return False
        _entities.set(found[:-1])
        found[-1].close(cast("float | None", end_time))
        return True

    def get_trace_entity(self) -> Entity:
        """What is current; the SDK wants None where nothing is."""
        found = _entities.get()
        return found[-1] if found else cast("Entity", None)

    def set_trace_entity(self, trace_entity: Entity) -> None:
        """Make an entity the current one."""
        _entities.set((trace_entity,))

    def clear_trace_entities(self) -> None:
        """Have nothing current."""
        _entities.set(())


class _Cause:
    """An exception that is known by its record only; what the SDK asks of its own `Throwable`."""

    def __init__(self, failed: Failure) -> None:
        self.id = os.urandom(8).hex()
        self._failed = failed

    def to_dict(self) -> dict[str, object]:
        return {
            "id": self.id,
            "type": self._failed.class_name,
            "message": self._failed.message,
            "remote": False,
        }


class XrayBackend:
    """Traces through the SDK's global recorder, which handlers use as well.

    Args:
        host: The X-Ray daemon's IP address.
        port: Its UDP port.
        table: The table, which claims and settles are made on.
        version: Our version.
        names: Secret names, whose values are left out.
    """

    def __init__(
        self, host: str, port: int, table: str, version: str, names: Names = USUAL
    ) -> None:
        """Set the recorder up for this process."""
        self._table = table
        self._version = version
        self._emitter = Emitter(host, port, names)
        self._name = os.environ.get("AWS_XRAY_TRACING_NAME") or SERVICE
        xray_recorder.configure(
            # Who is recorded was decided before; the SDK's own sampler asks AWS for rules.
            sampling=False,
            service=self._name,
            context=InContext(),
            context_missing="IGNORE_ERROR",
        )
        # The SDK opens a socket as it is loaded, and has no word to close it.
        given = cast("object", xray_recorder.emitter)
        opened = vars(given).get("_socket") if isinstance(given, UDPEmitter) else None
        if isinstance(opened, socket.socket):
            opened.close()
        xray_recorder.emitter = cast("UDPEmitter", self._emitter)

    def begin(self, began: Began) -> XraySpan:
        """Record an attempt; what this context opens from now on hangs under its handler."""
        parent = began.trace.parent or None
        segment = Segment(self._name, traceid=began.trace.root, parent_id=parent)
        segment.start_time = began.received_at
        segment.service = {"version": self._version}
        segment.annotations.update(began.annotations)
        segment.metadata["ftq"] = {"queue": began.queue}
        span = XraySpan(segment, began.claimed_at, self._table, self._emitter)
        _entities.set((span.handler,))
        return span

    def ignore(self, trace: Trace) -> None:
        """Have what this context opens from now on left out, without a complaint."""
        segment = DummySegment(self._name)
        segment.trace_id = trace.root
        _entities.set((segment,))

    def join(self, trace: Trace) -> None:
        """In a handler's own process: hang what this context opens under a span elsewhere."""
        if not (trace.sampled and trace.parent):
            self.ignore(trace)
            return
        # Its segment is sent by the daemon: what ends here goes ahead, each for itself.
        xray_recorder.streaming_threshold = 0
        _entities.set((FacadeSegment(self._name, trace.parent, trace.root, sampled=True),))

    def close(self) -> None:
        """Stop sending."""
        self._emitter.close()


class XraySpan:
    """An attempt's segment.

    Args:
        segment: It.
        began: When its handler begins.
        table: The table.
        emitter: Sends it.

    Attributes:
        handler: The subsegment of its handler.
    """

    def __init__(self, segment: Segment, began: float, table: str, emitter: Emitter) -> None:
        """Add the claim, and open the handler's subsegment."""
        self._segment = segment
        self._table = table
        self._emitter = emitter
        self._call(CLAIM, segment.start_time, began)
        self.handler = self._below(segment, HANDLER, "local", began)

    @property
    def id(self) -> str:
        """The handler's part of it."""
        return self.handler.id

    def _call(self, step: str, since: float, until: float) -> None:
        """Add a step that waited for a call to AWS."""
        around = self._below(self._segment, step, "local", since)
        within = self._below(around, AWS_SERVICE, "aws", since)
        within.aws = {"operation": AWS_OPERATION, "table_name": self._table}
        within.close(until)
        around.close(until)

    def end(self, ended: Ended) -> None:
        """Record how it ended, and send it; what is still open under it is sent as such."""
        segment, handler = self._segment, self.handler
        segment.annotations["outcome"] = ended.outcome
        for entity in (segment, handler):
            _flag(entity, ended.fault)
        if ended.failure is not None:
            cause = {"working_directory": "", "exceptions": [_Cause(ended.failure)]}
            handler.cause = segment.cause = cast("dict[str, str | list[Throwable]]", cause)
        if ended.handled_at is None:
            segment.remove_subsegment(handler)
            segment.decrement_ref_counter()
        elif handler.in_progress:
            handler.close(ended.handled_at)
        self._call(SETTLE, ended.handled_at or self._segment.start_time, ended.settled_at)
        segment.close(ended.settled_at)
        self._emitter.send_entity(segment)
        _entities.set(())

    def _below(self, parent: Entity, name: str, namespace: str, since: float) -> Subsegment:
        subsegment = Subsegment(name, namespace, self._segment)
        subsegment.start_time = since
        parent.add_subsegment(subsegment)
        return subsegment


def _flag(entity: Entity, fault: Fault) -> None:
    match fault:
        case Fault.FAULT:
            entity.add_fault_flag()
        case Fault.ERROR:
            entity.add_error_flag()
        case Fault.THROTTLE:
            entity.add_error_flag()
            entity.add_throttle_flag()
        case Fault.NONE:
            pass
