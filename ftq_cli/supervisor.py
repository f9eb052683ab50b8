"""Keeps programs running, as ECS would: what dies is started again, after growing pauses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from ftq_cli.children import Child, ChildFailedError, Program, running
from ftq_cli.processes import ending
from ftq_cli.relay import Line

# Nothing that dies at once spins, and what has lived for a while is back at once.
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
LIVED_SECONDS: Final = 60.0


def _unheard(_: Child | None) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Slot:
    """A program that is to be running.

    Attributes:
        program: The program.
        changed: Told of each child that is ready, and with None of each that died.
        ready: Set as soon as the first one is.
    """

    program: Program
    changed: Callable[[Child | None], None] = _unheard
    ready: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def kept(
    slots: Sequence[Slot], relay: Line, say: Line
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Keep programs running for as long as the context lasts.

    At the end all are stopped at once, and awaited.

    Args:
        slots: The programs.
        relay: Takes their log lines.
        say: Takes what happens, for people.

    Yields:
        Waits until all are ready; raises ChildFailedError if one did not get ready at all.
    """
    keepers = [asyncio.create_task(_keep(slot, relay, say)) for slot in slots]
    try:
        yield lambda: _all_ready(slots, keepers)
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)


async def _all_ready(slots: Sequence[Slot], keepers: Sequence[asyncio.Task[None]]) -> None:
    for slot, keeper in zip(slots, keepers, strict=True):
        ready = asyncio.create_task(slot.ready.wait())
        try:
            await asyncio.wait({ready, keeper}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if keeper.done():
            keeper.result()  # a keeper that ends has failed: its error is ours


async def _keep(slot: Slot, relay: Line, say: Line) -> None:
    loop = asyncio.get_running_loop()
    name, pause = slot.program.name, FIRST_PAUSE
    while True:
        began = loop.time()
        try:
            async with running(slot.program, relay) as child:
                slot.changed(child)
                slot.ready.set()
                code = await child.process.wait()
            what = f"{name} (pid {child.pid}) ended with {ending(code)}"
            slot.changed(None)
        except ChildFailedError as error:
            if not slot.ready.is_set():
                raise
            what = str(error)
        if loop.time() - began > LIVED_SECONDS:
            pause = FIRST_PAUSE
        say(f"{what}; starting another in {pause:g} s")
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)
