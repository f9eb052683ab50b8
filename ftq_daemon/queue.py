"""The queue, as the daemon uses it: receive; delete, hide and re-send in group commits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from ftq import lease
from ftq.errors import CallError, Throttled, Unavailable
from ftq.limits import SQS_BATCH_ENTRIES, SQS_DELAY_SECONDS
from ftq.ports import Call, Port
from ftq.wire import queue as wire
from ftq.wire.queue import Attribute, EntryFault, Message, Outgoing
from ftq_daemon.batcher import Batcher
from ftq_daemon.clock import Backoff, World
from ftq_daemon.events import Events, Failed

E = TypeVar("E")

# How long a delete or a hide is tried: whatever fails for longer comes back by itself.
PATIENCE_SECONDS: Final = 10.0
# A copy this near to SQS's own dead-lettering is sent afresh, and the old one deleted.
CEILING_MARGIN: Final = 10


@dataclass(slots=True)
class Received:
    """A message in our hands.

    Attributes:
        message: As it was received.
        at: When, in milliseconds since the epoch.
        seen: When its visibility was last set, by the loop's clock, in seconds.
        queue: Where it came from, and where it goes back to.
    """

    message: Message
    at: int
    seen: float
    queue: Queue


class Queue:
    """One queue and its dead-letter queue.

    Args:
        receiver: The port for receives: its calls take as long as the long poll.
        port: The port for everything else.
        url: The queue.
        dlq_url: Its dead-letter queue.
        visibility: The visibility timeout in seconds.
        max_receives: SQS's own dead-lettering; 0 if the queue has none.
        world: Clock and dice.
        events: Where faults are told.

    Attributes:
        url: The queue.
        visibility: The visibility timeout in seconds.
    """

    def __init__(
        self,
        receiver: Port,
        port: Port,
        url: str,
        dlq_url: str,
        visibility: int,
        max_receives: int,
        world: World,
        events: Events,
    ) -> None:
        """Set up the batchers; nothing is called yet."""
        self.visibility = visibility
        self._receiver = receiver
        self.url = url
        self._handed_out = self._empty_at = 0
        self._port = port
        self._max_receives = max_receives
        self._world = world
        self._events = events
        self._deletes: Batcher[str, EntryFault | None] = Batcher(
            _flush(port, lambda handles: wire.delete_batch(url, handles)), size=SQS_BATCH_ENTRIES
        )
        self._hides: Batcher[tuple[str, int], EntryFault | None] = Batcher(
            _flush(port, lambda hides: wire.hide_batch(url, hides)), size=SQS_BATCH_ENTRIES
        )
        self._sends = _sender(port, url)
        self._dead_letters = _sender(port, dlq_url)

    async def mark(self) -> int:
        """Everything sent before this moment, in milliseconds, was handed out (R2).

        Never later than now: a clock that was ahead for a while is forgiven.
        """
        mark = self._handed_out
        # At the limit of messages in flight a long poll finds nothing either, whatever waits.
        if self._empty_at > mark and await self._seems_empty():
            mark = self._empty_at
        return min(mark, self._world.now())

    async def _seems_empty(self) -> bool:
        try:
            reply = await self._port.call(wire.depth(self.url))
        except CallError:
            return False
        return wire.read_attributes(reply).get("ApproximateNumberOfMessages") == "0"

    async def receive(self, limit: int, wait_seconds: int) -> list[Received]:
        """Receive up to `limit` messages. Never cancel it: SQS would hand them out to nobody.

        Raises:
            CallError: Nothing was received, as far as we know.
        """
        began = self._world.now()
        reply = await self._receiver.call(
            wire.receive(self.url, limit, wait_seconds, self.visibility)
        )
        at, seen = self._world.now(), asyncio.get_running_loop().time()
        messages = wire.read_receive(reply)
        fresh = (message.sent_at for message in messages if message.receive_count == 1)
        self._handed_out = max(self._handed_out, *fresh, 0)
        if wait_seconds > 0 and not messages:
            # A long poll asks all of SQS's servers: there was nothing to be had as it began.
            self._empty_at = max(self._empty_at, began)
        return [Received(message, at, seen, self) for message in messages]

    async def send(self, message: Outgoing) -> bool:
        """Send a message to the queue; whether it is known to be there."""
        return await self._insist("send", self._sends, message) is None

    async def delete(self, received: Received) -> None:
        """Delete a message; one that stays comes back, is refused and deleted then."""
        await self._insist("delete", self._deletes, received.message.handle)

    async def hide(self, received: Received, until: int, *, stored: bool = True) -> None:
        """Show a message again at `until` (milliseconds), not before.

        Args:
            received: The message.
            until: When; a moment that is past shows it at once.
            stored: Whether it belongs to a record, should it have to be sent afresh.
        """
        now = self._world.now()
        seconds = lease.hide_seconds(until, now, received.at) if until > now else 0
        if 0 < self._max_receives <= received.message.receive_count + CEILING_MARGIN:
            await self._send_afresh(received, seconds, stored=stored)
            return
        fault = await self._hide(received, seconds)
        if fault is not None and fault.over_limit:
            await self._send_afresh(received, seconds, stored=stored)

    async def extend(self, received: Received) -> bool:
        """Keep a message for another visibility timeout; whether that is known to hold."""
        seconds = lease.hide_seconds(
            self._world.now() + self.visibility * 1000, self._world.now(), received.at
        )
        seen = asyncio.get_running_loop().time()
        if await self._hide(received, seconds) is not None:
            return False
        received.seen = seen
        return True

    async def dead_letter(
        self, received: Received, cause: str, claim_no: int | None = None
    ) -> bool:
        """Copy a message to the DLQ with its cause, then delete it; copy first (R18).

        Returns:
            Whether the copy is there; if not, the message stays and comes back.
        """
        marks = wire.mark(wire.CAUSE, cause)
        if claim_no is not None:
            marks |= wire.mark(wire.CLAIM_NO, str(claim_no))
        return await self._copy_then_delete(self._dead_letters, received, marks, 0)

    async def close(self) -> None:
        """Finish what is pending."""
        for batcher in (self._deletes, self._hides, self._sends, self._dead_letters):
            await batcher.close()

    async def _hide(self, received: Received, seconds: int) -> EntryFault | None:
        entry = (received.message.handle, seconds)
        return await self._insist("hide", self._hides, entry)

    async def _send_afresh(self, received: Received, seconds: int, *, stored: bool) -> None:
        marks = wire.mark(wire.STORED, "1") if stored else {}
        marks |= wire.mark(wire.REFUSED_SINCE, str(received.message.refused_since))
        delay = min(seconds, SQS_DELAY_SECONDS)
        await self._copy_then_delete(self._sends, received, marks, delay)

    async def _copy_then_delete(
        self,
        batcher: Batcher[Outgoing, EntryFault | None],
        received: Received,
        marks: Mapping[str, Attribute],
        delay: int,
    ) -> bool:
        copy = wire.copy_of(received.message, marks, delay)
        if await self._insist("send", batcher, copy) is not None:
            return False
        await self.delete(received)
        return True

    async def _insist(
        self, what: str, batcher: Batcher[E, EntryFault | None], entry: E
    ) -> EntryFault | None:
        """Try while the fault is not ours, for a while; tell what remains."""
        backoff = Backoff(self._world, asyncio.get_running_loop().time() + PATIENCE_SECONDS)
        while True:
            fault = await batcher.submit(entry)
            if fault is None or fault.over_limit:
                return fault
            if not (fault.transient and await backoff.pause()):
                self._events.emit(Failed(what, f"{fault.code}: {fault.message}"))
                return fault


Flush: TypeAlias = Callable[[Sequence[E]], Awaitable[list[EntryFault | None]]]


def _flush(port: Port, build: Callable[[Sequence[E]], Call]) -> Flush[E]:
    async def flush(entries: Sequence[E]) -> list[EntryFault | None]:
        try:
            reply = await port.call(build(entries))
        except CallError as error:
            transient = isinstance(error, Throttled | Unavailable)
            return [EntryFault(error.code, str(error), transient)] * len(entries)
        return wire.read_batch(reply, len(entries))

    return flush


def _sender(port: Port, url: str) -> Batcher[Outgoing, EntryFault | None]:
    send: Flush[Outgoing] = _flush(port, lambda group: wire.send_batch(url, group))

    async def flush(messages: Sequence[Outgoing]) -> list[EntryFault | None]:
        # A batch of sends is bounded in bytes too: large bodies go in calls of their own.
        groups = await asyncio.gather(*map(send, wire.within_bytes(messages)))
        return [fault for group in groups for fault in group]

    return Batcher(flush, size=SQS_BATCH_ENTRIES)
