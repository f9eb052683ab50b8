"""Those who touch queue and table by hand, and what SQS does to messages of its own accord."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from ftq.testing import MemoryAws, now_ms
from ftq.testing.message import Copy
from ftq.testing.queue import MemoryQueue
from ftq.wire import queue as wire
from tests.simulation import ops
from tests.simulation.book import Book
from tests.simulation.node import RETENTION_DAYS, TABLE
from tests.simulation.queue_watch import claim_of

Deed: TypeAlias = ops.Garbage | ops.MoveDlq | ops.Resend | ops.Purge | ops.Expire | ops.Redeliver
_EXPIRED_MS: Final = (RETENTION_DAYS + 1) * 86_400_000


@dataclass(slots=True)
class Hands:
    """What is done to the whole queue."""

    aws: MemoryAws
    book: Book
    dice: random.Random
    url: str
    queue: MemoryQueue
    dead_letters: MemoryQueue

    def do(self, op: Deed) -> None:
        """Do one such thing, at once."""
        self.book.note("operator", type(op).__name__)
        match op:
            case ops.Garbage(_, body):
                self.aws.apply(wire.send(self.url, wire.Outgoing(body)))
            case ops.MoveDlq():
                self.aws.apply(wire.move_dead_letters(self.dead_letters.arn, self.queue.arn))
            case ops.Resend(_, copies):
                self._resend(copies)
            case ops.Purge():
                self.book.seen["purged with messages in it"] += bool(self.queue.messages())
                self.book.purged_at = min(self.book.purged_at, self.book.now)
                self.queue.purge()
            case ops.Expire():
                self.aws.table(TABLE).expire(now_ms() + _EXPIRED_MS)
            case ops.Redeliver(_, count):
                self._redeliver(count)
            case _:
                assert_never(op)

    def _redeliver(self, count: int) -> None:
        flying = [copy for copy in self.queue.messages() if copy.visible_at > now_ms()]
        self.book.seen["redelivered"] += bool(flying[:count])
        for copy in flying[:count]:
            self.queue.redeliver(copy.message_id)

    def _resend(self, copies: int) -> None:
        for copy in self.dead_letters.messages():
            if claim_of(copy) is not None and self.dice.random() < 0.7:
                for _ in range(copies):
                    self.aws.apply(wire.send(self.url, _outgoing(copy)))


def _outgoing(copy: Copy) -> wire.Outgoing:
    return wire.Outgoing(copy.body, copy.attributes, 0, copy.trace, copy.group)
