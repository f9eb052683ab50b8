"""Sending the messages of stored tasks; what cannot be sent is left to the sweeper (R8)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from api_lambda.log import log
from api_lambda.service import Service
from ftq.codec import encode
from ftq.errors import CallError
from ftq.limits import SQS_BATCH_ENTRIES, STATEMENTS_PER_BATCH
from ftq.submission import delay_left
from ftq.task import Task
from ftq.text import Json
from ftq.wire import queue, table
from ftq.wire.queue import Outgoing
from ftq.wire.statements import Statements


def send(service: Service, tasks: Sequence[tuple[Task, str]], trace: str) -> None:
    """Send each task with its payload, ten in one call. Never raises.

    Args:
        service: The service.
        tasks: Tasks with their payloads as canonical JSON text.
        trace: The X-Ray trace header, or ''.
    """
    by_queue: dict[str, list[tuple[Task, Outgoing]]] = {}
    for task, payload in tasks:
        message = Outgoing(
            body=encode(task, payload),
            attributes=queue.mark(queue.STORED, "1"),
            delay_seconds=delay_left(task, service.now()),
            trace=trace,
            # Fair queues share a standard queue among tenants by this.
            group=task.tenant,
        )
        by_queue.setdefault(task.queue, []).append((task, message))
    unsent: list[Task] = []
    for url, pairs in by_queue.items():
        for first in range(0, len(pairs), SQS_BATCH_ENTRIES):
            unsent += _send_some(service, url, pairs[first : first + SQS_BATCH_ENTRIES])
    _hurry(service, unsent)


def _send_some(service: Service, url: str, pairs: list[tuple[Task, Outgoing]]) -> list[Task]:
    """Send up to ten; those that were not sent."""
    left = [task for task, _ in pairs]
    unsent: list[Task] = []
    for group in queue.within_bytes([message for _, message in pairs]):
        tasks, left = left[: len(group)], left[len(group) :]
        unsent += _send_group(service, url, tasks, group)
    return unsent


def _send_group(service: Service, url: str, tasks: list[Task], group: list[Outgoing]) -> list[Task]:
    single = len(group) == 1
    try:
        reply = service.port.call(
            queue.send(url, group[0]) if single else queue.send_batch(url, group)
        )
    except CallError as error:
        for task in tasks:
            log(logging.WARNING, "api.not_sent", **told(task, error))
        return tasks
    if single:
        return []
    faults = queue.read_batch(reply, len(group))
    failed = [(task, fault) for task, fault in zip(tasks, faults, strict=True) if fault]
    for task, fault in failed:
        log(
            logging.WARNING,
            "api.not_sent",
            **_named(task),
            operation="SendMessageBatch",
            code=fault.code,
        )
    return [task for task, _ in failed]


def _hurry(service: Service, tasks: Sequence[Task]) -> None:
    """Let the sweeper look as soon as they may run; once, for it looks later anyway."""
    now, to = service.now(), Statements(service.table)
    for first in range(0, len(tasks), STATEMENTS_PER_BATCH):
        some = tasks[first : first + STATEMENTS_PER_BATCH]
        hurried = [to.hurry(task, max(now, task.free_at)) for task in some]
        try:
            service.port.call(table.execute(hurried))
        except CallError as error:
            for task in some:
                log(logging.WARNING, "api.not_hurried", **told(task, error))


def told(task: Task, error: CallError) -> dict[str, Json]:
    """What a log line says about a call for a task that failed.

    Not the service's words: on a refused item they may quote it.
    """
    return {**_named(task), "operation": error.operation, "code": error.code}


def _named(task: Task) -> dict[str, Json]:
    return {"task_id": task.id, "type": task.type, "task_correlation_id": task.correlation_id}
