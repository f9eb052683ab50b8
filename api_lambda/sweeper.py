"""The sweep of a service that is scaled to zero (PROTOCOL R15): a Lambda on a schedule.

Daemons sweep by themselves. Where none may be running, somebody still has to send what was
scheduled, and what the queue lost: without a message in it nothing would start a daemon.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol, TypeVar

from api_lambda.backlog import backlog
from api_lambda.log import audit_as, configure, log
from api_lambda.metrics import Teller
from api_lambda.settings import ApiSettings
from ftq.aws import ApiClient, connect
from ftq.errors import CallError
from ftq.lifecycle import State
from ftq.limits import SHARDS, SQS_BATCH_ENTRIES, STATEMENTS_PER_BATCH
from ftq.ports import SyncPort
from ftq.settings import queues_of, read
from ftq.sweep import Leave, Overdue, Postpone, Send, deserves_a_look, sweep
from ftq.task import Task, bucket_in
from ftq.wire import queue, table
from ftq.wire.item import Item
from ftq.wire.statements import Statement, Statements
from ftq.wire.table import KEYS_PER_READ, Written

T = TypeVar("T")

# Overdue tasks looked at in one shard and sweep at most: the rate is bounded, as a daemon's is.
MOST_PER_SHARD: Final = 1_000
# A long poll of any length asks all of SQS's servers.
POLL_SECONDS: Final = 1
# What one page may still take, and the answer after it.
SPARE_SECONDS: Final = 20.0


class Invocation(Protocol):
    """What the runtime tells of an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """How long it may still take."""
        ...


@dataclass(slots=True)
class Sweeper:
    """Sweeps one queue's tasks, once.

    Attributes:
        port: The way to AWS.
        table: The table of records.
        queue_url: The queue whose tasks are swept.
        grace: Milliseconds that an open task may be overdue.
        interval: Milliseconds between two sweeps.
        now: Milliseconds since the epoch.
        seconds_left: How long this sweep may still take.
        promoted: Told of each scheduled task that is queued now.
        sent: Messages sent.
        looked: Overdue tasks looked at.
    """

    port: SyncPort
    table: str
    queue_url: str
    grace: int
    interval: int
    now: Callable[[], int]
    seconds_left: Callable[[], float]
    promoted: Callable[[Task], object] = lambda task: None
    sent: int = 0
    looked: int = 0
    _mark: int | None = None

    def sweep(self, first: int = 0) -> None:
        """Look at all shards, from the given one on, while there is time.

        Raises:
            CallError: AWS did not answer; the next sweep begins anew.
        """
        for n in range(SHARDS):
            self._sweep_shard(bucket_in((first + n) % SHARDS, State.QUEUED))

    def _sweep_shard(self, bucket: str) -> None:
        looked = 0
        start: Item | None = None
        while looked < MOST_PER_SHARD and self.seconds_left() > SPARE_SECONDS:
            call = table.overdue(self.table, bucket, self.now(), KEYS_PER_READ, start)
            items, start = table.read_page(self.port.call(call))
            found = [each for each in map(table.read_overdue, items) if each is not None]
            mine = [each for each in found if each.queue == self.queue_url]
            wanted = [each for each in mine if self._deserves(each)]
            looked += len(wanted)
            if wanted:
                self._sweep_page(wanted, bucket)
            if start is None or (mine and not wanted):
                break  # the oldest come first: from here on it is all backlog
        self.looked += looked

    def _deserves(self, found: Overdue) -> bool:
        # What is scheduled needs no look into the queue.
        return deserves_a_look(found, 0, self.grace) or deserves_a_look(
            found, self._known_mark(), self.grace
        )

    def _known_mark(self) -> int:
        """Everything sent before this moment, in milliseconds, was handed out (R2).

        Found once for each sweep, and without taking a message from anybody. While there are
        messages to be seen daemons will come for them, and sweep.
        """
        if self._mark is None:
            depth = queue.read_attributes(self.port.call(queue.depth(self.queue_url)))
            if int(depth.get("ApproximateNumberOfMessages", 1)):
                self._mark = 0
            else:
                began = self.now()
                seen = queue.receive(self.queue_url, 1, POLL_SECONDS, visibility_seconds=0)
                self._mark = 0 if queue.read_receive(self.port.call(seen)) else began
        return self._mark

    def _sweep_page(self, wanted: Sequence[Overdue], bucket: str) -> None:
        reply = self.port.call(table.get_many(self.table, [each.id for each in wanted]))
        now = self.now()
        statements = Statements(self.table)
        writes: list[tuple[Task, Statement, bool]] = []
        for task in table.read_get_many(reply, self.table):
            # What is scheduled is due whatever the mark.
            mark = 0 if task.state is State.SCHEDULED else self._known_mark()
            match sweep(task, mark=mark, grace=self.grace, interval=self.interval, now=now):
                case Leave():
                    continue
                case Postpone(due_at):
                    statement = statements.sweep(task, bucket, now, due_at, sends=False)
                    writes.append((task, statement, False))
                case Send(due_at):
                    statement = statements.sweep(task, bucket, now, due_at, sends=True)
                    writes.append((task, statement, True))
        for batch in _parts(writes, STATEMENTS_PER_BATCH):
            self._write_then_send(batch)

    def _write_then_send(self, writes: Sequence[tuple[Task, Statement, bool]]) -> None:
        call = table.execute([statement for _, statement, _ in writes])
        results = table.read_execute(self.port.call(call), len(writes))
        sent = [
            task
            for (task, _, sends), result in zip(writes, results, strict=True)
            if sends and isinstance(result, Written)
        ]
        for task in sent:
            if task.state is State.SCHEDULED:
                self.promoted(task)
        messages = [queue.of_task(task, task.payload) for task in sent]
        for part in _parts(messages, SQS_BATCH_ENTRIES):
            for fitting in queue.within_bytes(part):
                reply = self.port.call(queue.send_batch(self.queue_url, fitting))
                faults = queue.read_batch(reply, len(fitting))
                self.sent += faults.count(None)


def _parts(whole: Sequence[T], size: int) -> list[Sequence[T]]:
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def handler(event: Mapping[str, object], context: Invocation) -> dict[str, int]:
    """Sweep once: what a schedule invokes, as often as `FTQ_SWEEP_SECONDS` says.

    Args:
        event: The schedule's; not used.
        context: The runtime's.

    Returns:
        How many messages were sent, and how many overdue tasks were looked at.

    Raises:
        SettingsError: A setting is missing or out of bounds.
        CallError: AWS did not answer: the invocation fails, and its alarm can see that.
    """
    settings = read(ApiSettings, os.environ)
    configure(settings.log_level, settings.redact)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    now = time.time_ns() // 1_000_000
    teller = Teller(settings.service, {}, lambda: now)
    if settings.emf == "on":
        urls = [each.url for each in queues_of(settings.queue_url, settings.queues)]
        _tell_backlog(teller, _port(region, settings.api_client), settings.table, urls)
    sent = looked = 0
    for named in queues_of(settings.queue_url, settings.queues):
        sweeper = Sweeper(
            port=_port(region, settings.api_client),
            table=settings.table,
            queue_url=named.url,
            grace=settings.sweep_grace_seconds * 1000,
            interval=settings.sweep_seconds * 1000,
            now=lambda: time.time_ns() // 1_000_000,
            seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
            promoted=_tell_promoted if settings.audit == "all" else lambda task: None,
        )
        try:
            sweeper.sweep(random.randrange(SHARDS))
        except CallError as error:
            log(logging.ERROR, "sweeper.failed", error=str(error), queue=named.name)
            raise
        sent, looked = sent + sweeper.sent, looked + sweeper.looked
    if sent and settings.emf == "on":
        teller.tell({"MessagesSwept": sent})
    if looked:
        log(logging.INFO, "sweeper.swept", sent=sent, looked=looked)
    return {"sent": sent, "looked": looked}


def _tell_promoted(task: Task) -> None:
    audit_as("sweeper", "task.queued", task, State.SCHEDULED, State.QUEUED)


def _tell_backlog(teller: Teller, port: SyncPort, table_name: str, urls: Sequence[str]) -> None:
    try:
        teller.tell(backlog(port, table_name, urls, teller.now()))
    except CallError as error:
        # Scaling waits; what is due is sent all the same.
        log(logging.ERROR, "backlog.failed", error=str(error))


@lru_cache(maxsize=1)
def _port(region: str | None, client: ApiClient) -> SyncPort:
    return connect(region, client)
