"""Whoever holds the event loop is named; who computes in a thread is not."""

from __future__ import annotations

import asyncio
import threading

from ftq import Registry
from ftq_daemon.events import Event, Events, LoopBlocked
from ftq_daemon.sinks.metrics import Metrics
from ftq_daemon.sinks.tally import Gauges, Tally
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
    assert (event.by, event.type) == ("mail.send t1", "mail.send")
    assert event.seconds >= 0.05
    assert "test_watchdog.py" in event.where
    assert "blocking" in event.where


async def test_whoever_holds_the_loop_and_is_no_handler_has_no_type() -> None:
    heard = Heard()
    watching = asyncio.create_task(Watchdog(Events([heard]), threshold=0.05).run())
    await asyncio.sleep(0)

    async def blocking() -> bool:
        return heard.any.wait(30)

    assert await asyncio.create_task(blocking(), name="sweeper")
    watching.cancel()
    (event,) = heard.told
    assert isinstance(event, LoopBlocked)
    assert (event.by, event.type) == ("sweeper", "")


def test_the_metric_names_the_handler_and_calls_all_that_is_unknown_other() -> None:
    registry = Registry()

    @registry.handler("mail.send")
    async def send(_: None) -> None: ...

    tally = Tally(registry)
    for kind in ("mail.send", "mail.send", "made.up", ""):
        tally(LoopBlocked(f"{kind} t1", 1.0, "", kind))
    text = Metrics(tally, Gauges()).render().decode()
    assert 'ftq_loop_blocked_total{type="mail.send"} 2.0' in text
    assert 'ftq_loop_blocked_total{type="other"} 2.0' in text
    assert "made.up" not in text
