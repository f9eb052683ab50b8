"""One SQS queue: messages that are shown, hidden and deleted, in memory."""

from __future__ import annotations

import hashlib
import heapq
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# As long as AWS's own receipt handles: a worker sends each of them back.
_HANDLE: Final = "AQEB" + "x" * 360


@dataclass(slots=True, eq=False)
class Message:
    """A message.

    Attributes:
        shown: What a receive returns of it, but for the receipt.
        number: Tells it from all others.
        sent: When it was sent, in ms since the epoch.
        receipt: Rises with each receive: only the latest handle counts.
        hidings: Rises with each hide: only the latest timer counts.
        first: When it was first received, in ms since the epoch.
        deleted: Whether it is gone.
        ready: Whether it waits to be received.
    """

    shown: Mapping[str, object]
    number: int
    sent: int
    receipt: int = 0
    hidings: int = 0
    first: int = 0
    deleted: bool = False
    ready: bool = False

    @property
    def handle(self) -> str:
        """The latest receipt handle."""
        return f"{_HANDLE}{self.number:016x}{self.receipt:08x}"


@dataclass(slots=True)
class Queue:
    """A queue.

    Attributes:
        url: Its address.
        attributes: As it was created.
        sent: When each message was sent, by its id, on the monotonic clock in ns.
        deleted: How many messages were deleted.
        last_deleted: When the last one was, on the monotonic clock in ns.
        waiting: Messages that may be received now.
        hidden: Messages that may not.
    """

    url: str
    attributes: dict[str, str]
    sent: dict[str, int] = field(default_factory=dict)
    deleted: int = 0
    last_deleted: int = 0
    waiting: int = 0
    hidden: int = 0
    _ready: deque[Message] = field(default_factory=deque)
    _timers: list[tuple[float, int, int, Message]] = field(default_factory=list)
    _by_handle: dict[str, Message] = field(default_factory=dict)
    _numbers: int = 0

    def send(
        self, body: str, attributes: Mapping[str, object] | None, delay: int
    ) -> Mapping[str, str]:
        """Take a message; returns what SQS answers."""
        identity, digest = str(uuid.uuid4()), hashlib.md5(body.encode(), usedforsecurity=False)
        shown: dict[str, object] = {
            "MessageId": identity,
            "Body": body,
            "MD5OfBody": digest.hexdigest(),
        }
        if attributes:
            shown["MessageAttributes"] = attributes
        self._numbers += 1
        message = Message(shown, self._numbers, time.time_ns() // 1_000_000)
        self.sent[identity] = time.monotonic_ns()
        if delay:
            self.hidden += 1
            self._hide(message, delay)
        else:
            self._show(message)
        return {"MessageId": identity, "MD5OfMessageBody": digest.hexdigest()}

    def receive(self, limit: int, visibility: int) -> list[dict[str, object]]:
        """Hand out up to `limit` messages, each hidden for so many seconds."""
        self.wake()
        found: list[dict[str, object]] = []
        now = time.time_ns() // 1_000_000
        while self._ready and len(found) < limit:
            message = self._ready.popleft()
            if message.deleted:
                continue
            message.ready = False
            self.waiting -= 1
            self.hidden += 1
            found.append(self._handed_out(message, now))
            self._hide(message, visibility)
        return found

    def delete(self, handle: str) -> bool:
        """Delete by handle; whether there was something to delete. An older handle does nothing."""
        message = self._by_handle.pop(handle, None)
        if message is None or message.deleted:
            return False
        message.deleted = True
        if message.ready:
            self.waiting -= 1
        else:
            self.hidden -= 1
        self.deleted += 1
        self.last_deleted = time.monotonic_ns()
        return True

    def change(self, handle: str, seconds: int) -> bool:
        """Hide a received message from now on; whether the handle is one that may."""
        message = self._by_handle.get(handle)
        if message is None or message.deleted or message.ready:
            return False
        if seconds:
            self._hide(message, seconds)
        else:
            message.hidings += 1
            self.hidden -= 1
            self._show(message)
        return True

    def wake(self) -> float | None:
        """Show what has been hidden for long enough; when the next one is due, if any."""
        now, timers = time.monotonic(), self._timers
        while timers:
            due, _, hidings, message = timers[0]
            stale = message.deleted or message.hidings != hidings
            if due > now and not stale:
                return due
            heapq.heappop(timers)
            if not stale:
                self.hidden -= 1
                self._show(message)
        return None

    def _handed_out(self, message: Message, now: int) -> dict[str, object]:
        self._by_handle.pop(message.handle, None)
        message.receipt += 1
        message.first = message.first or now
        handle = message.handle
        self._by_handle[handle] = message
        system = {
            "SenderId": "AIDAEXAMPLEEXAMPLEEXA",
            "SentTimestamp": str(message.sent),
            "ApproximateReceiveCount": str(message.receipt),
            "ApproximateFirstReceiveTimestamp": str(message.first),
        }
        return {**message.shown, "ReceiptHandle": handle, "Attributes": system}

    def _hide(self, message: Message, seconds: int) -> None:
        message.hidings += 1
        self._numbers += 1
        due = time.monotonic() + seconds
        heapq.heappush(self._timers, (due, self._numbers, message.hidings, message))

    def _show(self, message: Message) -> None:
        message.ready = True
        self.waiting += 1
        self._ready.append(message)
