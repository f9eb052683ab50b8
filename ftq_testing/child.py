"""Children for the virtual world: each a process of its own, that can be killed at any await."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Collection
from contextvars import copy_context
from dataclasses import replace
from functools import partial

from ftq import Context, Registry
from ftq.context import OnItsWay, Signals
from ftq.handler import Handler
from ftq.outcome import Crashed, Outcome, Raised
from ftq.task import failure
from ftq.testing import Process, current_process
from ftq.text import Json
from ftq_daemon.children.child import Child, NoChild, Start
from ftq_daemon.endings import Endings

_ENDINGS = Endings()
# About what a real one takes.
START_SECONDS = 0.3


def starting(
    registry: Registry,
    began: Callable[[Process], object],
    fails: Callable[[], bool] = lambda: False,
) -> Start:
    """How children are started that have these handlers.

    Args:
        registry: The handlers.
        began: Told of each process.
        fails: Drawn at each start: whether there is none to be had.
    """

    async def start() -> Child:
        await asyncio.sleep(START_SECONDS)
        if fails():
            raise NoChild("a process for handlers did not start: so it was wanted")
        parent = current_process()
        process = Process(parent.name if parent else "child", parent)
        began(process)
        return VirtualChild(process, registry)

    return start


class VirtualChild:
    """A `Child` on the virtual loop."""

    def __init__(self, process: Process, registry: Registry) -> None:
        self._process = process
        self._registry = registry
        self._signals = Signals()
        self._call: asyncio.Task[None] | None = None
        self.types: Collection[Json] = [handler.type for handler in registry]
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        process.at_death.append(lambda: self.exited.set_result(-signal.SIGKILL))

    @property
    def usable(self) -> bool:
        """Whether it has not been killed."""
        return not self._process.killed

    def tell(self, signals: Signals) -> None:
        """Let its handler see what changed."""
        self._signals.tell(stopping=signals.stopping, lost=signals.lost)

    def end(self) -> None:
        """Have its handler end."""
        if self._call is not None:
            self._call.cancel()

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()

    async def run(
        self, payload: str, context: Context, signals: Signals, timeout: float
    ) -> Outcome:
        """Run a handler to its end, which may be the end of the process."""
        handler = self._registry.get(context.type)
        if handler is None:  # the daemon has compared its types with ours
            raise LookupError(context.type)
        daemon = copy_context()
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._signals = Signals(signals.stopping, signals.lost)

        def report(text: str) -> Awaitable[None]:
            _ = daemon.run(context._report, text)
            return OnItsWay()

        here = replace(context, _signals=self._signals, _report=report)

        async def body() -> None:
            said = await _outcome(handler, payload, here)
            if not outcome.done():
                outcome.set_result(said)

        self._call = self._process.spawn(body)
        ends: set[asyncio.Future[Outcome] | asyncio.Future[int]] = {outcome, self.exited}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if outcome.done():
            return outcome.result()
        return Crashed(failure("exception", "ProcessDied", "its process was killed by SIGKILL"))


async def _outcome(handler: Handler, payload: str, context: Context) -> Outcome:
    try:
        work = _ENDINGS.work(handler, payload, context)
        if not isinstance(work, partial):
            return work
        value = work()
        return _ENDINGS.returned(await value if isinstance(value, Awaitable) else value)
    except asyncio.CancelledError:
        return Raised(failure("exception", "CancelledError", "the handler cancelled itself"))
    except Exception as error:
        return _ENDINGS.raised(error, handler)
