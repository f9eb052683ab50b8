"""Whether a handler may run twice: it is killed at each of its lines, and run again.

Each attempt has a thread, so that it can be stopped in the middle as SIGKILL stops it: nothing of
it runs any more, no ``finally`` and no ``except``. Whether it awaited there does not matter.
"""

from __future__ import annotations

import copy
import inspect
import linecache
import sys
import threading
from collections.abc import Callable, Container
from types import CodeType, FrameType
from typing import Final, TypeAlias, TypeVar, overload

from ftq.context import Context
from ftq.handler import Handler
from ftq.lifecycle import State
from ftq.registry import Registry
from ftq_testing.attempt import Run, What, find, run

P = TypeVar("P")
Trace: TypeAlias = "Callable[[FrameType, str, object], Trace | None]"
MOST_POINTS: Final = 500
# What a killed attempt's clean-up may take, after it no longer counts.
_UNWIND_SECONDS: Final = 5.0


@overload
def assert_idempotent(
    what: Callable[[P], object],
    payload: P,
    *,
    effects: Callable[[], object],
    reset: Callable[[], object],
    registry: Registry | None = None,
    overtaken: bool = False,
) -> None: ...


@overload
def assert_idempotent(
    what: Callable[[P, Context], object],
    payload: P,
    *,
    effects: Callable[[], object],
    reset: Callable[[], object],
    registry: Registry | None = None,
    overtaken: bool = False,
) -> None: ...


@overload
def assert_idempotent(
    what: str | Handler,
    payload: object = None,
    *,
    effects: Callable[[], object],
    reset: Callable[[], object],
    registry: Registry | None = None,
    overtaken: bool = False,
) -> None: ...


def assert_idempotent(
    what: What,
    payload: object = None,
    *,
    effects: Callable[[], object],
    reset: Callable[[], object],
    registry: Registry | None = None,
    overtaken: bool = False,
) -> None:
    """See that a handler has the same effects however often its task is delivered.

    First it runs once, in a fresh world: what `effects` says then is right. Then its task is
    delivered again. Then, for each line that it or its middleware executes and each await that
    suspends it, in a fresh world: it is killed there, and its task delivered again. Each
    redelivery must succeed, and leave the same effects.

    Args:
        what: The handler, as for `run`.
        payload: The payload.
        effects: What the world outside looks like now: anything that can be copied and compared.
        reset: Makes that world as it was at first.
        registry: As for `run`.
        overtaken: Try as well, at each point, a claim that was lost but whose handler goes on
            after the next claim's has ended: the handler needs a fence (`Context.claim_no`).

    Raises:
        AssertionError: It is not; the message says where it was killed, and what differs.
        TypeError: The handler is no plain function, so its lines cannot be told.
        ValueError: It executes more than ``MOST_POINTS`` lines: take a smaller payload.
    """
    stage = _Stage(find(what, registry), payload, effects, reset)
    points = stage.rehearse()
    stage.redeliver("delivered a second time")
    for point in range(1, points + 1):
        stage.reset()
        with stage.attempt(stop_at=point) as first:
            stage.redeliver(f"killed {first.where}, and delivered again")
    for point in range(1, points + 1 if overtaken else 1):
        stage.reset()
        with stage.attempt(stop_at=point) as first:
            stage.play(2)
            first.resume()
            stage.compare(f"overtaken by another claim {first.where}")


class _Stage:
    """A handler, and the world that it changes."""

    def __init__(
        self,
        handler: Handler,
        payload: object,
        effects: Callable[[], object],
        reset: Callable[[], object],
    ) -> None:
        self.reset = reset
        self._handler = handler
        self._payload = payload
        self._effects = effects
        self._expected: object = None
        codes = [_code(each) for each in (handler.function, *handler.middleware)]
        if codes[0] is None:
            raise TypeError(f"{handler.type}: {handler.function!r} is no plain function")
        self._codes = frozenset(codes)

    def rehearse(self) -> int:
        """Run it once, and keep its effects; at how many points it can be killed."""
        self.reset()
        with self.attempt(stop_at=0) as first:
            self._succeeded(first.ran, "run once")
        if first.points > MOST_POINTS:
            raise ValueError(f"{self._name} executes {first.points} lines, over {MOST_POINTS}")
        self._expected = copy.deepcopy(self._effects())
        return first.points

    def attempt(self, stop_at: int) -> _Attempt:
        """An attempt by the first claim."""
        return _Attempt(self._codes, stop_at, lambda: self.play(1))

    def play(self, claim_no: int) -> Run:
        """Run it under a claim; a crash spends no attempt."""
        return run(
            self._handler, self._payload, task_id="redelivered", attempt=1, claim_no=claim_no
        )

    def redeliver(self, story: str) -> None:
        """Run it under the second claim, and compare."""
        self._succeeded(self.play(2), story)
        self.compare(story)

    def compare(self, story: str) -> None:
        """See that the effects are those of the one run."""
        found = self._effects()
        if found != self._expected:
            raise AssertionError(
                f"{self._name} is not idempotent: {story}, it leaves\n"
                f"  {found!r}\nbut run once\n  {self._expected!r}"
            )

    def _succeeded(self, ran: Run | None, story: str) -> None:
        if ran is None or ran.state is not State.SUCCEEDED:
            failed = ran.failure if ran is not None else None
            why = f"{failed.class_name}: {failed.message}" if failed else "without a word"
            raise AssertionError(f"{self._name} does not succeed: {story}, it ends with {why}")

    @property
    def _name(self) -> str:
        return getattr(self._handler.function, "__qualname__", self._handler.type)


def _code(function: object) -> CodeType | None:
    """What a function executes, or an object that is called as one; None if that is not Python."""
    if not callable(function):
        return None
    plain = inspect.unwrap(function)
    code = getattr(plain if inspect.isroutine(plain) else type(plain).__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None


class _Killed(BaseException):
    """Unwinds an attempt that counts no more."""


class _Attempt:
    """An attempt in a thread, which can be stopped at a line.

    Attributes:
        points: How many lines and suspensions it has come by.
        where: At which it was stopped, in words.
        ran: How it ended, once it has.
    """

    def __init__(
        self, codes: Container[CodeType | None], stop_at: int, play: Callable[[], Run]
    ) -> None:
        self.points = 0
        self.where = "as it ended"
        self.ran: Run | None = None
        self._codes = codes
        self._stop_at = stop_at
        self._play = play
        self._halted = threading.Event()
        self._go = threading.Event()
        self._killed = False
        self._thread = threading.Thread(target=self._body, name="ftq attempt", daemon=True)

    def __enter__(self) -> _Attempt:
        self._thread.start()
        self._halted.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._killed = True
        self._go.set()
        self._thread.join(_UNWIND_SECONDS)

    def resume(self) -> None:
        """Let it go on to its end."""
        self._go.set()
        self._thread.join()

    def _body(self) -> None:
        sys.settrace(self._enter)
        try:
            self.ran = self._play()
        except _Killed:
            pass
        finally:
            sys.settrace(None)
            self._halted.set()

    def _enter(self, frame: FrameType, _: str, __: object) -> Trace | None:
        return self._step if frame.f_code in self._codes else None

    def _step(self, frame: FrameType, event: str, _: object) -> Trace | None:
        if event not in ("line", "return"):
            return self._step
        self.points += 1
        if self.points == self._stop_at:
            text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            side = "before" if event == "line" else "in, or right after,"
            self.where = f"{side} line {frame.f_lineno}, `{text}`"
            self._halted.set()
            self._go.wait()
            if self._killed:
                raise _Killed
        return self._step
