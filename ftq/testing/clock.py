"""A virtual clock: an event loop on which waiting takes no time.

`VirtualLoop` is a selector loop whose time stands still while something can run and jumps to
the next timer when nothing can. Code that sleeps for hours, with real `asyncio.sleep` and
`asyncio.timeout`, is done in no time and always in the same order.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    # typeshed's own names for what a selector takes and answers.
    from _typeshed import FileDescriptorLike

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH_MS: Final = 1_800_000_000_000
"""The wall time at which every virtual loop begins, in milliseconds since the epoch."""

LIMIT_SECONDS: Final = 366 * 24 * 3600.0
"""Virtual seconds after which a run counts as endless."""


_BLIND_TURNS: Final = 32


class Deadlock(RuntimeError):
    """Nothing can run, nothing is scheduled, nothing is under way outside: it waits for ever."""


class Endless(RuntimeError):
    """The run went on past its limit of virtual time: what it waits for never comes."""


class _JumpingSelector(selectors.BaseSelector):
    """Where a loop waits. This one moves the clock instead.

    Attributes:
        now: Virtual seconds since the loop began.
        outside: How much work is under way that the loop cannot see.
    """

    def __init__(self, limit: float, describe: Callable[[], str]) -> None:
        self.now = 0.0
        self.outside = 0
        self._unseen = 0
        self._limit = limit
        self._describe = describe
        self._inner = selectors.DefaultSelector()

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0 and not self.outside:
            # Something can run. The outside, from where nothing is expected, is looked at now
            # and then, and before time moves: a look takes as long as a turn of the loop.
            self._unseen = (self._unseen + 1) % _BLIND_TURNS
            if self._unseen:
                return []
        ready = self._inner.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.outside:
            # A thread may call back at any moment: time runs as it does for the thread.
            began = time.monotonic()
            ready = self._inner.select(timeout)
            passed = time.monotonic() - began
            self.now += passed if timeout is None else min(passed, timeout)
            return ready
        if timeout is None:
            raise Deadlock(f"nothing runs and nothing is scheduled: {self._describe()}")
        if self.now + timeout > self._limit:
            raise Endless(f"still going after {self.now:.0f} virtual seconds: {self._describe()}")
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps from timer to timer.

    Work in executors is noticed by itself; any other that calls back from outside (a thread
    or process of your own) must be announced with `outside_work`, or the clock runs past it.

    Args:
        limit_seconds: Virtual seconds after which `Endless` is raised.
    """

    def __init__(self, limit_seconds: float = LIMIT_SECONDS) -> None:
        """Begin at virtual second 0."""
        self._clock = _JumpingSelector(limit_seconds, self._waiting)
        super().__init__(self._clock)

    def time(self) -> float:
        """Virtual seconds since the loop began."""
        return self._clock.now

    def now_ms(self) -> int:
        """Wall time in milliseconds since the epoch."""
        return EPOCH_MS + round(self._clock.now * 1000)

    @contextmanager
    def outside_work(self) -> Iterator[None]:
        """Tell the loop that something outside will call back: it then waits in real time."""
        self._clock.outside += 1
        try:
            yield
        finally:
            self._clock.outside -= 1

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """As `asyncio.loop.run_in_executor`; the clock does not jump while it runs."""
        future = super().run_in_executor(executor, func, *args)
        self._clock.outside += 1
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _: asyncio.Future[T]) -> None:
        self._clock.outside -= 1

    # The executor is joined in a thread of its own, unknown to `run_in_executor`.
    if sys.version_info >= (3, 12):

        async def shutdown_default_executor(self, timeout: float | None = None) -> None:
            """As in asyncio."""
            with self.outside_work():
                await super().shutdown_default_executor(timeout)

    else:

        async def shutdown_default_executor(self) -> None:
            """As in asyncio."""
            with self.outside_work():
                await super().shutdown_default_executor()

    def _waiting(self) -> str:
        names = sorted(f"{task.get_name()} ({task.get_coro()})" for task in asyncio.all_tasks(self))
        return f"{len(names)} task(s) wait: {'; '.join(names[:20])}"


def now_ms() -> int:
    """Milliseconds since the epoch: the virtual loop's if one is running, else the machine's."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if isinstance(loop, VirtualLoop):
        return loop.now_ms()
    return time.time_ns() // 1_000_000


@contextmanager
def outside_work() -> Iterator[None]:
    """`VirtualLoop.outside_work` of the running loop; on any other loop it does nothing."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        yield
        return
    with loop.outside_work():
        yield


def run(
    main: Callable[[], Coroutine[object, None, T]],
    *,
    debug: bool | None = None,
    limit_seconds: float = LIMIT_SECONDS,
    loop_factory: Callable[[float], VirtualLoop] = VirtualLoop,
) -> T:
    """Run a coroutine function on a fresh virtual loop, as `asyncio.run` does on a real one.

    Args:
        main: The coroutine function.
        debug: asyncio's debug mode.
        limit_seconds: Virtual seconds after which `Endless` is raised.
        loop_factory: Makes the loop, given its limit.

    Raises:
        Deadlock: Everything waits for something that cannot come.
        Endless: It went on past `limit_seconds`.
    """
    with asyncio.Runner(debug=debug, loop_factory=lambda: loop_factory(limit_seconds)) as runner:
        return runner.run(main())
