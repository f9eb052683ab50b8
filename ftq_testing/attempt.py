"""One attempt at a handler, with a context of your own and no queue around it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias, TypedDict, TypeVar, Unpack, overload

from pydantic_core import to_json

from ftq.context import Context, OnItsWay, Signals
from ftq.errors import RegistryError
from ftq.handler import DEFAULT_TIMEOUT, Function, Handler, declare
from ftq.lifecycle import State, follow
from ftq.outcome import AskedRetry, Outcome, Returned
from ftq.registry import Registry
from ftq.settlement import Settlement
from ftq.task import Failure
from ftq.testing.clock import now_ms
from ftq.testing.clock import run as run_virtually
from ftq.text import Json, parse
from ftq.verdict import Abandon, Lapse, judge
from ftq_daemon.children.child import Child, NoChild
from ftq_daemon.children.pool import Children
from ftq_daemon.endings import Endings
from ftq_daemon.runner import Attempt, Runner
from ftq_daemon.settings import GRACE_SECONDS
from ftq_testing.loops import where_no_loop_runs

P = TypeVar("P")
What: TypeAlias = "str | Function | Handler"
"""A task type, the function that handles it, or all that was said of it."""
_ENDINGS: Final = Endings()
_IDS: Final = itertools.count(1)
_DICE: Final = 0.5
_TYPE_OF_BARE: Final = "test"


class Told(TypedDict, total=False):
    """What the handler's `ftq.Context` says instead of the usual: each as there.

    Attributes:
        task_id: A fresh one if not given.
        attempt: 1 if not given; the last one that the policy allows ends the task.
        claim_no: As `attempt` if not given.
        correlation_id: The task's id if not given.
        tenant: '' if not given.
        trace: '' if not given.
        stopping: Whether the daemon is about to stop.
        lost: Whether the claim is gone.
    """

    task_id: str
    attempt: int
    claim_no: int
    correlation_id: str
    tenant: str
    trace: str
    stopping: bool
    lost: bool


@dataclass(frozen=True, slots=True)
class Run:
    """How an attempt ended, and what ftq makes of it.

    Attributes:
        type: The task's type.
        outcome: How it ended, as the daemon reads it: `ftq.outcome`.
        state: The state in which ftq leaves the task: succeeded, retrying or dead, as a rule.
        progress: The values that the handler reported, in order.
    """

    type: str
    outcome: Outcome
    state: State
    progress: tuple[Json, ...]

    @property
    def word(self) -> str:
        """How it ended, as the task's history says it, such as ``succeeded`` or ``timed_out``."""
        return self.outcome.word

    @property
    def failure(self) -> Failure | None:
        """What is kept of the error; None if it succeeded."""
        found: Failure | None = getattr(self.outcome, "failure", None)
        return found

    @property
    def retry_after(self) -> float | None:
        """The seconds that ``Retry(after=…)`` asked for; None if it did not."""
        return self.outcome.after if isinstance(self.outcome, AskedRetry) else None

    @property
    def result(self) -> Json:
        """What the handler returned, as whoever asks for the task is shown it.

        Raises:
            AssertionError: It did not return.
        """
        if isinstance(self.outcome, Returned):
            return parse(self.outcome.result)
        why = f": {self.failure.class_name}: {self.failure.message}" if self.failure else ""
        raise AssertionError(f"{self.type} {self.word}{why}")


@overload
def run(
    what: Callable[[P], object],
    payload: P,
    *,
    registry: Registry | None = None,
    **told: Unpack[Told],
) -> Run: ...


@overload
def run(
    what: Callable[[P, Context], object],
    payload: P,
    *,
    registry: Registry | None = None,
    **told: Unpack[Told],
) -> Run: ...


@overload
def run(
    what: str | Handler,
    payload: object = None,
    *,
    registry: Registry | None = None,
    **told: Unpack[Told],
) -> Run: ...


def run(
    what: What,
    payload: object = None,
    *,
    registry: Registry | None = None,
    **told: Unpack[Told],
) -> Run:
    """Run one attempt at a handler, as the daemon does, and say how it ended. Never raises for it.

    The payload goes through JSON and the handler's model, the result through its limits. An async
    handler runs on a virtual clock: its sleeps take no time, and its timeout ends it. A sync one
    is called right here, without a timeout, wherever a daemon would run it.

    Args:
        what: The function, which needs no registry; or its type.
        payload: The payload: whatever pydantic can write as JSON.
        registry: Where its options (timeout, retry policy, permanent errors) are declared. Without
            it a function has the default ones.
        **told: What the context says.

    Raises:
        RegistryError: There is no such handler, or it cannot be one.
        TypeError: The context has no such field.
    """
    if unknown := told.keys() - Told.__annotations__.keys():
        raise TypeError(f"a context has no {', '.join(sorted(unknown))}")
    handler = find(what, registry)
    text = to_json(payload).decode()
    progress: list[Json] = []
    context, signals = _context(handler, progress, told)
    if handler.run_in == "loop":
        outcome = where_no_loop_runs(
            lambda: run_virtually(lambda: _on_loop(handler, text, context, signals))
        )
    else:
        outcome = _call(handler, text, context)
    verdict = judge(
        outcome,
        attempts=context.attempt - 1,
        policy=handler.retry,
        cancel_asked=False,
        now=0,
        dice=_DICE,
    )
    if isinstance(verdict, Abandon | Lapse):
        raise AssertionError(f"an attempt that nobody else can touch has ended as {outcome}")
    settlement: Settlement = verdict
    return Run(handler.type, outcome, follow(State.RUNNING, settlement.move), tuple(progress))


def find(what: What, registry: Registry | None) -> Handler:
    """The handler that is meant.

    Raises:
        RegistryError: There is none, there are several, or the function cannot be one.
    """
    if isinstance(what, Handler):
        return what
    if registry is None:
        if isinstance(what, str):
            raise RegistryError(f"give the registry that has a handler for {what!r}")
        return declare(_TYPE_OF_BARE, what, None, DEFAULT_TIMEOUT, None, (), None, "")
    found = [each for each in registry if what in (each.type, each.function)]
    if len(found) != 1:
        name = what if isinstance(what, str) else getattr(what, "__qualname__", repr(what))
        types = ", ".join(each.type for each in found) or "none"
        raise RegistryError(f"one handler is needed for {name}; the registry has {types}")
    return found[0]


def _context(handler: Handler, progress: list[Json], told: Told) -> tuple[Context, Signals]:
    task_id = told.get("task_id") or f"test-{next(_IDS)}"
    attempt = told.get("attempt", 1)
    signals = Signals(told.get("stopping", False), told.get("lost", False))

    def report(text: str) -> Awaitable[None]:
        progress.append(parse(text))
        return OnItsWay()

    context = Context(
        task_id=task_id,
        type=handler.type,
        attempt=attempt,
        claim_no=told.get("claim_no", attempt),
        deadline=now_ms() / 1000 + handler.timeout,
        correlation_id=told.get("correlation_id") or task_id,
        tenant=told.get("tenant", ""),
        _signals=signals,
        _report=report,
        trace=told.get("trace", ""),
    )
    return context, signals


async def _on_loop(handler: Handler, text: str, context: Context, signals: Signals) -> Outcome:
    children = Children(_no_child, 1, keep=False)
    runner = Runner(GRACE_SECONDS, children, children, _ENDINGS)
    outcome, _ = await runner.run(handler, text, context, Attempt(signals))
    for left in runner.left_behind:
        left.cancel()
    await asyncio.sleep(0)
    return outcome


async def _no_child() -> Child:
    raise NoChild("an attempt by itself has no processes")


def _call(handler: Handler, text: str, context: Context) -> Outcome:
    work = _ENDINGS.work(handler, text, context)
    if not isinstance(work, partial):
        return work
    try:
        return _ENDINGS.returned(work())
    except (Exception, SystemExit) as error:
        return _ENDINGS.raised(error, handler)
