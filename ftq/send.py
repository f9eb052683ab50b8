"""Sending the messages of stored tasks; what cannot be sent is left to the sweeper (R8).

As steps, for what is submitted and what is redriven, through the Lambda or past it
(`ftq.client.direct`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ftq.errors import CallError
from ftq.limits import SQS_BATCH_ENTRIES, STATEMENTS_PER_BATCH
from ftq.steps import Steps
from ftq.submission import delay_left
from ftq.task import Task
from ftq.wire import queue, table
from ftq.wire.queue import Outgoing
from ftq.wire.statements import Statements

Clock: TypeAlias = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Mishap:
    """A call for a task that failed; the task is accepted all the same.

    Not the service's words: on a refused item they may quote it.

    Attributes:
        what: Whether its message was not sent, or the sweeper not told of that.
        task: The task.
        operation: The AWS operation.
        code: The error code.
    """

    what: Literal["not_sent", "not_hurried"]
    task: Task
    operation: str
    code: str


def send(
    to: Statements, tasks: Sequence[tuple[Task, str | None]], now: Clock
) -> Steps[list[Mishap]]:
    """Send each task with its payload, ten in one call. Never raises a `CallError`.

    Args:
        to: The statements of the table.
        tasks: Tasks with their payloads as canonical JSON text; None for one that stays beside
            its record (R11).
        now: Milliseconds since the epoch.
    """
    by_queue: dict[str, list[tuple[Task, Outgoing]]] = {}
    for task, payload in tasks:
        message = queue.of_task(task, payload, delay_left(task, now()))
        by_queue.setdefault(task.queue, []).append((task, message))
    mishaps: list[Mishap] = []
    for url, pairs in by_queue.items():
        for first in range(0, len(pairs), SQS_BATCH_ENTRIES):
            mishaps += yield from _send_some(url, pairs[first : first + SQS_BATCH_ENTRIES])
    unsent = [each.task for each in mishaps]
    return mishaps + (yield from _hurry(to, unsent, now))


def _send_some(url: str, pairs: list[tuple[Task, Outgoing]]) -> Steps[list[Mishap]]:
    """Send up to ten."""
    left = [task for task, _ in pairs]
    mishaps: list[Mishap] = []
    for group in queue.within_bytes([message for _, message in pairs]):
        tasks, left = left[: len(group)], left[len(group) :]
        mishaps += yield from _send_group(url, tasks, group)
    return mishaps


def _send_group(url: str, tasks: list[Task], group: list[Outgoing]) -> Steps[list[Mishap]]:
    single = len(group) == 1
    try:
        reply = yield queue.send(url, group[0]) if single else queue.send_batch(url, group)
    except CallError as error:
        return [Mishap("not_sent", task, error.operation, error.code) for task in tasks]
    if single:
        return []
    faults = zip(tasks, queue.read_batch(reply, len(group)), strict=True)
    return [
        Mishap("not_sent", task, "SendMessageBatch", fault.code) for task, fault in faults if fault
    ]


def _hurry(to: Statements, tasks: Sequence[Task], now: Clock) -> Steps[list[Mishap]]:
    """Let the sweeper look as soon as they may run; once, for it looks later anyway."""
    mishaps: list[Mishap] = []
    for first in range(0, len(tasks), STATEMENTS_PER_BATCH):
        some = tasks[first : first + STATEMENTS_PER_BATCH]
        hurried = [to.hurry(task, max(now(), task.free_at)) for task in some]
        try:
            yield table.execute(hurried)
        except CallError as error:
            mishaps += [Mishap("not_hurried", task, error.operation, error.code) for task in some]
    return mishaps
