"""Events as traces: an attempt begins with its claim, and ends as its outcome is told.

Events of an attempt are emitted in the asyncio task that handles its message, and so in a context
of its own, which the handler's task or thread inherits.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from ftq.task import Failure, Task, failure
from ftq.trace import Trace, is_sampled, trace_of
from ftq_daemon import events as facts
from ftq_daemon.clock import World
from ftq_daemon.events import Event
from ftq_daemon.tracing.port import Backend, Began, Ended, Fault, Span

# Failures of handlers; the others come before or after one.
_HANDLERS: Final = frozenset({"exception", "timeout", "retry", "rejected", "invalid_payload"})
# Ends that are not the fault of the handler or of what it leans on.
_FAULTS: Final = {
    "rejected": Fault.ERROR,
    "invalid_payload": Fault.ERROR,
    "retry": Fault.THROTTLE,
}


@dataclass(frozen=True, slots=True)
class _Here:
    """The attempt of this context; `span` is None if it is not recorded."""

    task_id: str
    claim_no: int
    claimed_at: float
    header: str
    span: Span | None


_here: Final[ContextVar[_Here | None]] = ContextVar("_here", default=None)


class Traces:
    """A sink that traces attempts.

    Args:
        backend: Where they go.
        rate: The share of traces that are recorded where nobody before us has decided.
        world: The clock.
    """

    def __init__(self, backend: Backend, rate: float, world: World) -> None:
        """Nothing is traced before the first event."""
        self._backend = backend
        self._rate = rate
        self._world = world

    def __call__(self, event: Event) -> None:
        """Follow an attempt."""
        match event:
            case facts.Claimed():
                self._begin(event)
            case facts.Succeeded() | facts.Released() | facts.Cancelled():
                self._end(event.task, event.outcome, event.seconds, None)
            case facts.Retrying() | facts.Dead():
                self._end(event.task, event.outcome, event.seconds, event.failure)
            case facts.ClaimLost(task, why, seconds):
                self._end(task, "claim_lost", seconds, failure("claim_lost", "ClaimLost", why))
            case facts.Crashed(task, _, failed) if failed is not None:
                self._end(task, "crashed", None, failed)
            case facts.Failed("attempt", error):
                self._fail(error)
            case _:
                pass

    def header(self, task: Task) -> str:
        """The trace header for whatever this attempt's handler calls."""
        here = _here.get()
        return here.header if here is not None and here.task_id == task.id else task.trace

    def _begin(self, event: facts.Claimed) -> None:
        task, claimed_at = event.task, self._world.now() / 1000
        trace = trace_of(task.trace, task.id, task.created_at)
        if not is_sampled(trace, self._rate):
            self._backend.ignore(trace)
            header = str(Trace(trace.root, trace.parent, sampled=False))
            _here.set(_Here(task.id, task.claim_no, claimed_at, header, None))
            return
        began = Began(
            trace=trace,
            type=task.type,
            annotations={
                "type": task.type,
                "attempt": task.attempt,
                "claim_no": task.claim_no,
                "task_id": task.id,
                "correlation_id": task.correlation_id,
            },
            queue=task.queue.rsplit("/", 1)[-1],
            received_at=min(event.received_at / 1000 or claimed_at, claimed_at),
            claimed_at=claimed_at,
        )
        span = self._backend.begin(began)
        header = str(Trace(trace.root, span.id, sampled=True))
        _here.set(_Here(task.id, task.claim_no, claimed_at, header, span))

    def _end(self, task: Task, outcome: str, seconds: float | None, failed: Failure | None) -> None:
        here = _here.get()
        if here is None or (here.task_id, here.claim_no) != (task.id, task.claim_no):
            return  # told by somebody else, of an attempt whose own context tells its end
        _here.set(None)
        if here.span is None:
            return
        now = self._world.now() / 1000
        # A handler that never began took no time at all; so may one that succeeded or failed.
        ran = seconds != 0 or outcome == "succeeded" or (failed and failed.kind in _HANDLERS)
        took = now if seconds is None else seconds
        handled_at = min(now, here.claimed_at + took) if ran else None
        fault = _FAULTS.get(failed.kind, Fault.FAULT) if failed else Fault.NONE
        here.span.end(Ended(outcome, fault, failed, handled_at, now))

    def _fail(self, error: str) -> None:
        """The attempt was given up by ourselves: nothing was written, and its message comes."""
        here = _here.get()
        if here is None:
            return
        _here.set(None)
        if here.span is not None:
            now = self._world.now() / 1000
            failed = failure("unsettled", "Unsettled", error)
            here.span.end(Ended("unsettled", Fault.FAULT, failed, now, now))
