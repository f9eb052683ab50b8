"""Facts about what the daemon did, emitted after the write that makes them true.

Sinks listen: logs, metrics, traces. A sink that fails never stops the daemon. Those that users may
listen to are the library's; the others are the daemon's own, and here they all are.
"""

# ruff: noqa: I001  # sorted, it would be a statement for each name

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias, get_args

from ftq import events as heard
from ftq.events import (
    Abandoned as Abandoned,
    BreakerClosed as BreakerClosed,
    BreakerOpened as BreakerOpened,
    Cancelled as Cancelled,
    Claimed as Claimed,
    ClaimLost as ClaimLost,
    Crashed as Crashed,
    Dead as Dead,
    Released as Released,
    Retrying as Retrying,
    Succeeded as Succeeded,
)
from ftq.task import Task
from ftq.value import value


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message was not run. `what` says what became of it, `until` when it is shown again."""

    name: ClassVar[str] = "message.refused"
    task_id: str
    type: str
    what: str
    until: int = 0


@dataclass(frozen=True, slots=True)
class PutAside:
    """A message that cannot be a task went to the dead-letter queue."""

    name: ClassVar[str] = "message.put_aside"
    message_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Promoted:
    """The time of a scheduled task has come: from now on it is queued."""

    name: ClassVar[str] = "task.queued"
    task: Task


@dataclass(frozen=True, slots=True)
class Swept:
    """The sweeper looked at overdue tasks, and sent what was lost or scheduled of them."""

    name: ClassVar[str] = "sweeper.swept"
    sent: int
    looked: int


@dataclass(frozen=True, slots=True)
class Ticked:
    """A tick of a schedule was submitted, by us; `tick` is its moment in milliseconds."""

    name: ClassVar[str] = "schedule.ticked"
    task: Task
    tick: int


@dataclass(frozen=True, slots=True)
class ConcurrencyMoved:
    """The adaptive limit has moved far; `ratio` is how much longer attempts took than at half."""

    name: ClassVar[str] = "concurrency.moved"
    before: int
    limit: int
    ratio: float


@dataclass(frozen=True, slots=True)
class LoopBlocked:
    """The loop has not turned for a while; `by` names the task that holds it, `where` its stack.

    `type` is the handler's, or '' if it is none.
    """

    name: ClassVar[str] = "loop.blocked"
    by: str
    seconds: float
    where: str
    type: str = ""


@value(frozen=True, slots=True)
class Called:
    """An AWS call was made; `outcome` is ok, throttled, unavailable or refused."""

    name: ClassVar[str] = "aws.called"
    service: str
    operation: str
    outcome: str
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """Something did not work; the task itself is not harmed: its message comes back."""

    name: ClassVar[str] = "daemon.failed"
    what: str
    error: str
    task_id: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """The daemon takes work."""

    name: ClassVar[str] = "daemon.started"
    daemon: str
    health_url: str
    handlers: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """Process number `process`, from 1, ended by itself.

    Another takes its place, unless it was killed while it drained. `code` is its exit code, or the
    number of the signal that ended it, negative.
    """

    name: ClassVar[str] = "daemon.process_ended"
    process: int
    code: int


@dataclass(frozen=True, slots=True)
class Draining:
    """The daemon was told to stop: it takes nothing new."""

    name: ClassVar[str] = "daemon.draining"
    running: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The daemon has stopped; `left` attempts did not end in time."""

    name: ClassVar[str] = "daemon.stopped"
    left: int


Settled: TypeAlias = Succeeded | Retrying | Dead | Released | Cancelled
Event: TypeAlias = (
    heard.Event
    | Refusal
    | PutAside
    | Promoted
    | Swept
    | Ticked
    | ConcurrencyMoved
    | LoopBlocked
    | Called
    | Failed
    | Started
    | ProcessEnded
    | Draining
    | Stopped
)
EVENTS: Final[tuple[type[Event], ...]] = get_args(Event)
Sink: TypeAlias = Callable[[Event], None]


@dataclass(slots=True)
class Events:
    """Hands each event to every sink.

    Attributes:
        sinks: Who listens, in order.
        broken: How many times a sink failed: it is among the metrics' faults.
    """

    sinks: Sequence[Sink] = ()
    broken: int = 0

    def emit(self, event: Event) -> None:
        """Tell all sinks."""
        for sink in self.sinks:
            try:
                sink(event)
            except Exception:  # a listener must not stop the work it listens to
                self.broken += 1
