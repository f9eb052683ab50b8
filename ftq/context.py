"""What a handler is told about the attempt that it is, and how it speaks back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass

from ftq.limits import PROGRESS_BYTES
from ftq.text import Json, dump, size


@dataclass(slots=True)
class Signals:
    """What may change under a running attempt: set by the daemon, read by the handler.

    Attributes:
        stopping: Whether the daemon is about to stop.
        lost: Whether the claim is gone.
        listener: Called after a change: a handler in another process has to be told.
    """

    stopping: bool = False
    lost: bool = False
    listener: Callable[[], object] | None = None

    def tell(self, *, stopping: bool = False, lost: bool = False) -> None:
        """Let the handler know; what was said once stays said."""
        self.stopping |= stopping
        self.lost |= lost
        if self.listener is not None:
            self.listener()


class OnItsWay:
    """Progress that was handed over: awaiting it is possible, not needed."""

    def __await__(self) -> Generator[None, None, None]:
        """Nothing is waited for."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Context:
    """The attempt, as its handler sees it.

    Attributes:
        task_id: The task.
        type: Its type.
        attempt: Which counted attempt this is, from 1.
        claim_no: The fencing number of this claim: it only grows, so a store that remembers
            the highest it has seen for `task_id` can refuse a writer that was overtaken.
        deadline: When the attempt is cancelled, in seconds since the epoch.
        correlation_id: As submitted.
        tenant: As submitted, or ''.
        trace: The X-Ray trace header (``X-Amzn-Trace-Id``) for whatever the handler calls, so that
            it hangs under this attempt; '' if the task came without one and nothing is traced.
    """

    task_id: str
    type: str
    attempt: int
    claim_no: int
    deadline: float
    correlation_id: str
    tenant: str
    _signals: Signals
    _report: Callable[[str], Awaitable[None]]
    trace: str = ""

    @property
    def stopping(self) -> bool:
        """Whether the daemon is about to stop: a long handler may hand back early."""
        return self._signals.stopping

    @property
    def lost(self) -> bool:
        """Whether the claim is gone: nothing that this attempt does counts any more."""
        return self._signals.lost

    def progress(self, value: Json) -> Awaitable[None]:
        """Store a small value that whoever asks for the task is shown.

        Await it in an async handler. In a sync one the call alone is enough: the value is on
        its way, and the awaitable may be dropped.

        Args:
            value: Anything that JSON can carry, up to ``PROGRESS_BYTES`` as text.

        Raises:
            ValueError: The value is too large, or holds NaN or an infinity.
            TypeError: The value is nothing that JSON can carry.
        """
        text = dump(value)
        if size(text) > PROGRESS_BYTES:
            raise ValueError(f"progress has {size(text)} bytes, the limit is {PROGRESS_BYTES}")
        return self._report(text)
