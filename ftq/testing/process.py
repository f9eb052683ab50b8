"""Processes on the virtual loop: each can be stalled, and killed at any await.

Whatever the code of a process schedules (tasks, timers, callbacks) carries the process in its
context, and passes its gate before it runs. While the gate is shut nothing of the process runs,
as after SIGSTOP; one that stays shut is SIGKILL. The world outside goes on meanwhile: requests
that were sent arrive, timers run out.

    async def story() -> None:
        process = Process("daemon-1")
        task = process.spawn(lambda: serve(RemotePort(process, aws)))
        process.stall()
        ...

    run(story, loop_factory=ProcessLoop)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Final, TypeVar, TypeVarTuple

from ftq.errors import CallError
from ftq.ports import Call, Port, Reply
from ftq.testing.clock import VirtualLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_PROCESS: Final[ContextVar[Process | None]] = ContextVar("process", default=None)
_SENDER: Final[ContextVar[str]] = ContextVar("sender", default="")


def current_process() -> Process | None:
    """The process whose code is running, if any."""
    return _PROCESS.get()


def sender() -> str:
    """The name of the process whose request is being applied, for whoever watches the account."""
    return _SENDER.get()


class _Step:
    """One callback of a process, and the handle by which it may be cancelled."""

    __slots__ = ("context", "handle", "work")

    def __init__(self, work: Callable[[], object], context: Context) -> None:
        self.work = work
        self.context = context
        self.handle: asyncio.Handle | None = None


class Process:
    """One process.

    Args:
        name: Who it is, for people.
        parent: Who started it, and takes it along when it dies.

    Attributes:
        steps: How many callbacks of it have run: it can be killed between any two.
        killed: Whether it was.
        at_death: Called once it is killed, outside of it: how its parent learns of that.
    """

    def __init__(self, name: str, parent: Process | None = None) -> None:
        """Nothing runs before `spawn`."""
        self.name = name
        self.parent = parent
        self.steps = 0
        self.killed = False
        self.at_death: list[Callable[[], object]] = []
        self._children: list[Process] = []
        if parent is not None:
            parent._children.append(self)
        self._shut = False
        self._buried = False
        self._held: list[_Step] = []
        self._fuse = -1

    @property
    def stalled(self) -> bool:
        """Whether nothing of it runs for now."""
        return self._shut

    @property
    def buried(self) -> bool:
        """Whether it was killed and is being cleaned up: nothing it does counts."""
        return self._buried

    def spawn(self, main: Callable[[], Coroutine[object, None, T]]) -> asyncio.Task[T]:
        """Run a coroutine function as a task of this process."""
        context = copy_context()
        context.run(_PROCESS.set, self)

        async def body() -> T:
            return await main()

        return asyncio.get_running_loop().create_task(body(), name=self.name, context=context)

    def stall(self) -> None:
        """Let nothing of it run until `resume`."""
        self._shut = True

    def resume(self) -> None:
        """Let it go on, with whatever has come in for it meanwhile; a killed one does not."""
        if not self.killed:
            self._open()

    def kill(self) -> None:
        """Let nothing of it run any more. The step under way ends at its next await."""
        if self._buried:
            return  # it must get through its gate to its end
        self._shut = True
        if self.killed:
            return
        self.killed = True
        for child in self._children:
            child.kill()
        for tell in self.at_death:
            tell()

    def kill_after(self, steps: int) -> None:
        """Kill it once so many further steps of it have run; a negative number takes that back."""
        self._fuse = self.steps + steps if steps >= 0 else -1

    def bury(self) -> None:
        """Let a killed process's tasks be cancelled, so that they leave nothing behind.

        Its requests go nowhere any more. For the end of a test.
        """
        self.killed = self._buried = True
        self._fuse = -1
        for child in self._children:
            child.bury()
        self._open()

    def _open(self) -> None:
        self._shut = False
        held, self._held = self._held, []
        loop = asyncio.get_running_loop()
        for step in held:
            # Past the process's own gate: it goes through it as it runs.
            super(ProcessLoop, _process_loop(loop)).call_soon(
                self._enter, step, context=step.context
            )

    def _enter(self, step: _Step) -> None:
        if step.handle is not None and step.handle.cancelled():
            return  # while it was held
        if self._shut:
            self._held.append(step)
            return
        if self.steps == self._fuse:
            self.kill()
            self._held.append(step)
            return
        self.steps += 1
        step.work()


class ProcessLoop(VirtualLoop):
    """A virtual loop that knows processes."""

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """As in asyncio, through the gate of the process whose context it is."""
        process = _PROCESS.get() if context is None else context.get(_PROCESS)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        step = _Step(partial(callback, *args), context or copy_context())
        step.handle = super().call_soon(process._enter, step, context=step.context)
        return step.handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As in asyncio, through the gate of the process whose context it is."""
        process = _PROCESS.get() if context is None else context.get(_PROCESS)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        step = _Step(partial(callback, *args), context or copy_context())
        handle = super().call_at(when, process._enter, step, context=step.context)
        step.handle = handle
        return handle


def _process_loop(loop: asyncio.AbstractEventLoop) -> ProcessLoop:
    if not isinstance(loop, ProcessLoop):
        raise TypeError("a Process needs a ProcessLoop: run(…, loop_factory=ProcessLoop)")
    return loop


class RemotePort:
    """A process's port to what outlives it: a request that was sent arrives.

    Args:
        process: Whose requests they are.
        port: Makes the calls, outside the process.
    """

    def __init__(self, process: Process, port: Port) -> None:
        """Stand between the process and the port."""
        self._process = process
        self._port = port
        self._outside = copy_context()
        self._outside.run(_PROCESS.set, None)
        self._outside.run(_SENDER.set, process.name)

    async def call(self, call: Call) -> Reply:
        """Make one call; raises as `ftq.ports.Port.call` says.

        Whoever stops waiting for it does not call it back.
        """
        loop = _process_loop(asyncio.get_running_loop())
        if self._process.buried:
            await loop.create_future()  # nobody is there any more
        request = loop.create_task(self._carried(call), context=self._outside)
        answer = await asyncio.shield(request)
        if isinstance(answer, CallError):
            raise answer
        return answer

    async def _carried(self, call: Call) -> Reply | CallError:
        try:
            return await self._port.call(call)
        except CallError as error:
            return error  # a value: nobody may be left to take an exception
