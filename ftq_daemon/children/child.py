"""What the daemon asks of a child, whatever it is made of: the tests have virtual ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, TypeAlias

from ftq.context import Context, Signals
from ftq.outcome import Outcome
from ftq.text import Json


class NoChild(Exception):
    """No process could be had to run a handler in."""


class Child(Protocol):
    """A process that runs one handler at a time."""

    @property
    def exited(self) -> asyncio.Future[int]:
        """Done once it is no more."""

    @property
    def types(self) -> Collection[Json]:
        """The handlers that it has."""

    @property
    def usable(self) -> bool:
        """Whether it can run another handler."""

    async def run(
        self, payload: str, context: Context, signals: Signals, timeout: float
    ) -> Outcome:
        """Run a handler to its end, which may be the end of the process: `Crashed` then."""

    def tell(self, signals: Signals) -> None:
        """Let its handler see what changed."""

    def end(self) -> None:
        """Have its handler end."""

    def kill(self) -> None:
        """Kill it, with all that its handler started. `exited` is done soon after."""


Start: TypeAlias = Callable[[], Awaitable[Child]]
"""Starts a child, and returns once it can run handlers; raises NoChild if it cannot."""
