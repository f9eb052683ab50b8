"""One standard SQS queue in memory: visibility, receipts, dead-lettering."""

from __future__ import annotations

import heapq
from asyncio import Future
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from ftq.limits import SQS_VISIBILITY_SECONDS
from ftq.testing.message import Copy

IN_FLIGHT_LIMIT: Final = 120_000
"""In-flight messages of a standard queue ("Amazon SQS queue quotas")."""
PURGE_SECONDS: Final = 60
"""A queue can be purged once in this time (PurgeQueue reference)."""


Happening: TypeAlias = Literal["sent", "received", "hidden", "deleted", "missed", "purged", "moved"]
QueueWatcher: TypeAlias = Callable[[Happening, Copy], None]
"""Told of each thing that happened to a message, with the message after it.

``missed``: it was to be deleted by a receipt handle that a later receive had superseded.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a message's visibility was not changed, with SQS's code."""

    code: str
    message: str


class MemoryQueue:
    """One queue.

    Args:
        name: Its name.
        arn: Its ARN.
        attributes: Its attributes, as in SetQueueAttributes.
        now: The wall clock, in milliseconds since the epoch.
        in_flight_limit: How many messages may be in flight.

    Attributes:
        dead_letters: Where messages go that were received `max_receive_count` times.
        purged_at: When it was last purged, in milliseconds since the epoch.
        watchers: Who is told what happens to its messages.
    """

    def __init__(
        self,
        name: str,
        arn: str,
        attributes: dict[str, str],
        now: Callable[[], int],
        in_flight_limit: int = IN_FLIGHT_LIMIT,
    ) -> None:
        """Begin empty."""
        self.name = name
        self.arn = arn
        self.attributes = attributes
        self.in_flight_limit = in_flight_limit
        self.dead_letters: MemoryQueue | None = None
        self.max_receive_count = 0
        self.purged_at: int | None = None
        self.watchers: list[QueueWatcher] = []
        self._now = now
        self._copies: dict[str, Copy] = {}
        self._ready: deque[str] = deque()
        self._hidden: list[tuple[int, int, str]] = []
        self._flying: set[str] = set()
        self._serial = 0
        self._waiters: list[Future[None]] = []

    # --- for tests to look at -----------------------------------------------------------------

    def messages(self) -> list[Copy]:
        """Every message in it, visible or not, oldest first."""
        return [replace(copy) for copy in self._copies.values()]

    def counts(self) -> tuple[int, int, int]:
        """How many messages are visible, in flight, delayed."""
        self._surface()
        flying = len(self._flying)
        now = self._now()
        hidden = sum(copy.visible_at > now for copy in self._copies.values())
        return len(self._copies) - hidden, flying, hidden - flying

    @property
    def full(self) -> bool:
        """Whether no further message may be in flight."""
        self._surface()
        return len(self._flying) >= self.in_flight_limit

    # --- messages in --------------------------------------------------------------------------

    def add(self, copy: Copy, delay_seconds: int | None = None) -> None:
        """Send a message to it."""
        delay = self.setting("DelaySeconds") if delay_seconds is None else delay_seconds
        now = self._now()
        sent = replace(copy, sent_at=now, visible_at=now + delay * 1000)
        self._place(sent)
        self._tell("sent", sent)

    def _place(self, copy: Copy) -> None:
        self._copies[copy.message_id] = copy
        if copy.visible_at > self._now():
            self._push(copy)
        else:
            self._ready.append(copy.message_id)
        self.wake()

    # --- messages out -------------------------------------------------------------------------

    def take(self, limit: int, visibility_seconds: int) -> list[Copy]:
        """Receive what is visible, up to `limit` and to the in-flight limit."""
        self._surface()
        now = self._now()
        taken: list[Copy] = []
        # Once around at most: one received with a visibility of 0 is ready again at once.
        for _ in range(len(self._ready)):
            if len(taken) == limit or self.full:
                break
            copy = self._copies.get(self._ready.popleft())
            if copy is None or copy.visible_at > now or self._is_over(copy, now):
                continue
            if self.dead_letters is not None and copy.receive_count >= self.max_receive_count:
                self._dead_letter(copy, self.dead_letters)
                continue
            taken.append(self._receive(copy, now, visibility_seconds))
        return taken

    def _receive(self, copy: Copy, now: int, visibility_seconds: int) -> Copy:
        copy.receive_count += 1
        copy.received_at = now
        copy.first_received_at = copy.first_received_at or now
        self._serial += 1
        copy.handle = f"{copy.message_id}.{self._serial}"
        self._hide(copy, now + visibility_seconds * 1000)
        self._tell("received", copy)
        # As it was at this receive, whatever happens to it later.
        return replace(copy)

    def _is_over(self, copy: Copy, now: int) -> bool:
        if copy.sent_at + self.setting("MessageRetentionPeriod") * 1000 > now:
            return False
        del self._copies[copy.message_id]
        return True

    def _dead_letter(self, copy: Copy, target: MemoryQueue) -> None:
        # It keeps its id and the moment it was sent ("Using dead-letter queues").
        del self._copies[copy.message_id]
        target._place(replace(copy, source_arn=self.arn, handle=""))
        self._tell("moved", copy)

    # --- messages in flight -------------------------------------------------------------------

    def delete(self, handle: str) -> bool:
        """Delete by receipt handle; a superseded one deletes nothing and says nothing.

        Returns:
            Whether the handle is one that this queue may have given.
        """
        message_id, dot, serial = handle.rpartition(".")
        copy = self._copies.get(message_id)
        if copy is not None and copy.handle == handle:
            del self._copies[message_id]
            self._flying.discard(message_id)
            self._tell("deleted", copy)
        elif copy is not None:
            self._tell("missed", copy)
        return bool(dot) and serial.isdecimal() and int(serial) <= self._serial

    def change_visibility(self, handle: str, seconds: int) -> Fault | None:
        """Hide a message in flight for `seconds` from now; 0 shows it."""
        self._surface()
        message_id, _, _ = handle.rpartition(".")
        copy = self._copies.get(message_id)
        if copy is None:
            text = "Message does not exist or is not available for visibility timeout change."
            return Fault("InvalidParameterValue", text)
        if copy.handle != handle or message_id not in self._flying:
            return Fault("MessageNotInflight", "The specified message isn't in flight.")
        now = self._now()
        if now + seconds * 1000 > copy.received_at + SQS_VISIBILITY_SECONDS * 1000:
            limit = f"[{SQS_VISIBILITY_SECONDS} seconds]"
            text = f"Total VisibilityTimeout for the message is beyond the limit {limit}"
            return Fault("InvalidParameterValue", text)
        if seconds and self.full:
            return Fault("OverLimit", "The maximum number of in flight messages is reached.")
        self._hide(copy, now + seconds * 1000)
        self._tell("hidden", copy)
        return None

    def redeliver(self, message_id: str) -> None:
        """Show a message in flight before its time: delivery is at least once.

        Whoever receives it then supersedes the receipt handle of whoever has it now.
        """
        copy = self._copies.get(message_id)
        if copy is not None and message_id in self._flying:
            self._hide(copy, self._now())

    def purge(self) -> None:
        """Delete everything, what is in flight included."""
        self.purged_at = self._now()
        for copy in self._copies.values():
            self._tell("purged", copy)
        self._copies.clear()
        self._ready.clear()
        self._hidden.clear()
        self._flying.clear()

    def move_all(self, target_of: Callable[[Copy], MemoryQueue | None]) -> tuple[int, bool]:
        """Move visible messages elsewhere, as new ones, until one has nowhere to go.

        Returns:
            How many were moved, and whether that was all.
        """
        self._surface()
        moved = 0
        while self._ready:
            copy = self._copies.get(self._ready[0])
            target = None if copy is None else target_of(copy)
            if copy is not None and target is None:
                return moved, False
            self._ready.popleft()
            if copy is not None and target is not None:
                del self._copies[copy.message_id]
                self._serial += 1
                new_id = f"{copy.message_id}-m{self._serial}"
                target.add(Copy(new_id, copy.body, copy.attributes, copy.trace, copy.group), 0)
                self._tell("moved", copy)
                moved += 1
        return moved, True

    # --- time ---------------------------------------------------------------------------------

    def setting(self, name: str) -> int:
        """An attribute of the queue that is a number."""
        return int(self.attributes[name])

    def next_visible(self) -> int | None:
        """When the next hidden message comes back, in milliseconds since the epoch."""
        while self._hidden:
            at, ticket, message_id = self._hidden[0]
            copy = self._copies.get(message_id)
            if copy is not None and copy.ticket == ticket:
                return at
            heapq.heappop(self._hidden)
        return None

    def wait(self, waiter: Future[None]) -> None:
        """Have a future resolved by the next thing that may make a message visible."""
        self._waiters = [each for each in self._waiters if not each.done()]
        self._waiters.append(waiter)

    def wake(self) -> None:
        """Resolve what waits."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _tell(self, happening: Happening, copy: Copy) -> None:
        for tell in self.watchers:
            tell(happening, copy)

    def _hide(self, copy: Copy, until: int) -> None:
        copy.visible_at = until
        self._push(copy)
        self._flying.add(copy.message_id)
        if until <= self._now():
            self._surface()
        self.wake()

    def _push(self, copy: Copy) -> None:
        # A copy is hidden again and again; only its last entry counts.
        self._serial += 1
        copy.ticket = self._serial
        heapq.heappush(self._hidden, (copy.visible_at, copy.ticket, copy.message_id))

    def _surface(self) -> None:
        """Make visible whatever has been hidden long enough."""
        now = self._now()
        while (at := self.next_visible()) is not None and at <= now:
            _, _, message_id = heapq.heappop(self._hidden)
            self._flying.discard(message_id)
            self._ready.append(message_id)
