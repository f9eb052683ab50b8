"""Whoever holds the event loop is named; who computes in a thread is not."""

from __future__ import annotations

import asyncio
import threading

from ftq_daemon.events import Event, Events, LoopBlocked
from ftq_daemon.watchdog import Watchdog


class Heard:
    """Remembers what it was told, from any thread."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.any = threading.Event()

    def __call__(self, event: Event) -> None:
        self.told.append(event)
        self.any.set()


async def test_a_handler_that_blocks_the_loop_is_named_while_it_does() -> None:
    heard = Heard()
    watching = asyncio.create_task(Watchdog(Events([heard]), threshold=0.05).run())
    await asyncio.sleep(0)

    async def blocking() -> bool:
        return heard.any.wait(30)  # the loop is held until the watchdog has spoken

    assert await asyncio.create_task(blocking(), name="mail.send t1")
    watching.cancel()
    (event,) = heard.told
    assert isinstance(event, LoopBlocked)
    assert event.by == "mail.send t1"
    assert event.seconds >= 0.05
    assert "test_watchdog.py" in event.where
    assert "blocking" in event.where
