"""Users' listeners: each hears of what it asked for, in order, beside the work and never in it.

What a task costs more is one look at the event and one place in a queue. A listener that is slow
loses events, one that raises loses that one; both are told of, and tasks go on as ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from ftq.events import Event as Heard
from ftq.listener import Listener
from ftq.middleware import is_async
from ftq_daemon.daemon import Daemon
from ftq_daemon.events import Event, Failed

# A few seconds of a busy daemon's events, and some megabytes at most: each holds its task's record.
MOST_WAITING: Final = 1_000
# After this an async listener is cancelled, so that one lost answer does not make it deaf.
CALL_SECONDS: Final = 30.0
# A listener that fails always must not fill the log.
QUIET_SECONDS: Final = 60.0
# What has happened last is told at the stop, but it does not hold the stop up: as long as the last
# lines of the log have.
LAST_SECONDS: Final = 1.0


class Ear:
    """A sink that hands one listener its events.

    Args:
        listener: Whose.
        thread: Calls a function in a thread of that name.
        say: Takes what went wrong, in words.
    """

    def __init__(
        self,
        listener: Listener,
        thread: Callable[[Callable[[], object], str], asyncio.Future[object]],
        say: Callable[[str], object],
    ) -> None:
        """Start to listen; needs a running loop."""
        self._listener = listener
        self._thread = thread
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Heard] = deque()
        self._heard, self._quiet = asyncio.Event(), asyncio.Event()
        self._quiet.set()
        self._closing = False
        self._dropped = self._failed = 0
        self._last_failure = ""
        self._silent_until = 0.0
        # No task's id is in it, so the watchdog does not take it for a handler's.
        self._run = self._loop.create_task(self._listen(), name=f"listener:{listener.name}")

    def __call__(self, event: Event) -> None:
        """Take an event, if it is one of those."""
        if not isinstance(event, self._listener.kinds):
            return
        if self._closing or len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            self._complain()
            return
        self._waiting.append(event)
        self._quiet.clear()
        self._heard.set()

    async def quiet(self) -> None:
        """Wait until it has heard all that there is."""
        await self._quiet.wait()

    async def close(self) -> None:
        """Let it hear the last ones, for a moment, and say what it did not hear."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await self.quiet()
        self._closing = True
        self._dropped += len(self._waiting)
        self._waiting.clear()  # so that its thread ends after the call that it is in
        self._run.cancel()
        await asyncio.wait({self._run})
        self._tell()

    async def _listen(self) -> None:
        hear = self._on_loop if is_async(self._listener.function) else self._in_thread
        while True:
            await self._heard.wait()
            self._heard.clear()
            await hear()
            if not self._waiting:
                self._quiet.set()

    async def _on_loop(self) -> None:
        while (event := self._next()) is not None:
            limit = asyncio.timeout(CALL_SECONDS)
            try:
                async with limit:
                    told = self._listener.function(event)
                    _ = await told if isinstance(told, Awaitable) else told
            except BaseException as error:  # not even SystemExit may end the loop
                if self._closing and isinstance(error, asyncio.CancelledError):
                    raise
                late = f"did not end in {CALL_SECONDS:g} s" if limit.expired() else ""
                self._failure(late or _raised(error))
            await asyncio.sleep(0)  # one that never waits must not have the loop to itself

    async def _in_thread(self) -> None:
        def drain() -> None:
            while (event := self._next()) is not None:
                try:
                    self._listener.function(event)
                except BaseException as error:
                    self._failure(_raised(error))

        await self._thread(drain, self._listener.name)

    def _next(self) -> Heard | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def _failure(self, why: str) -> None:
        self._failed += 1
        self._last_failure = why
        self._complain()

    def _complain(self) -> None:
        now = self._loop.time()
        if now >= self._silent_until:
            self._silent_until = now + QUIET_SECONDS
            with suppress(RuntimeError):  # from a thread that was left behind: the loop is closed
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        failed, dropped, name = self._failed, self._dropped, self._listener.name
        self._failed = self._dropped = 0
        if failed:
            often = f", and failed {failed - 1} times before" if failed > 1 else ""
            self._say(f"{name} {self._last_failure}{often}")
        if dropped:
            self._say(f"{name} is too slow: {dropped} events were dropped")


@asynccontextmanager
async def hearing(daemon: Daemon, listeners: Sequence[Listener]) -> AsyncIterator[Sequence[Ear]]:
    """Have listeners hear what a daemon does, the last of it included.

    Args:
        daemon: Whose events.
        listeners: Who hears of them.
    """
    events, thread = daemon.events, daemon.work.runner.thread

    def say(what: str) -> None:
        events.emit(Failed("listener", what))

    ears = [Ear(each, thread, say) for each in listeners]
    events.sinks = [*events.sinks, *ears]
    try:
        yield ears
    finally:
        await asyncio.gather(*(ear.close() for ear in ears))


def _raised(error: BaseException) -> str:
    try:
        return f"raised {type(error).__name__}: {error}"
    except Exception:
        return f"raised {type(error).__name__} (its message cannot be read)"
