"""Puts tasks into table and queue, as the API does, but in batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.handlers import TYPE
from benchmarks.stage import Stage
from ftq.limits import SQS_BATCH_ENTRIES, STATEMENTS_PER_BATCH
from ftq.ports import Port
from ftq.submission import Plan, Submission, Terms, plan
from ftq.task import Task
from ftq.wire import queue, table
from ftq.wire.item import to_item
from ftq.wire.queue import STORED, Outgoing, mark
from ftq.wire.statements import Statement

GRACE: Final = 900_000
RETENTION: Final = 30 * 24 * 3600 * 1000
# Calls at once: enough to keep the stand-in busy, too few to be throttled by anything.
LOADERS: Final = 4
CHUNK: Final = 50


def planned(stage: Stage, number: int) -> Plan:
    """The submission of one small task."""
    asked = Submission(TYPE, {"number": number, "text": "x" * 64}, key=f"bench-{number}")
    terms = Terms(stage.queue_url, GRACE, RETENTION)
    return plan(asked, terms, time.time_ns() // 1_000_000)


async def load_tasks(stage: Stage, count: int) -> None:
    """Store and send so many tasks."""
    chunks = iter([range(at, min(at + CHUNK, count)) for at in range(0, count, CHUNK)])

    async def loader() -> None:
        for chunk in chunks:
            plans = [planned(stage, number) for number in chunk]
            await _put(stage.table, stage.table_name, plans)
            await _send(stage.queue, stage.queue_url, plans)

    async with asyncio.TaskGroup() as group:
        for _ in range(LOADERS):
            group.create_task(loader())


async def load_one(stage: Stage, number: int) -> tuple[str, str]:
    """Store and send one task; returns its id and its message's."""
    one = planned(stage, number)
    await stage.table.call(table.put(stage.table_name, one.task))
    reply = await stage.queue.call(queue.send(stage.queue_url, _message(one)))
    return one.task.id, str(reply["MessageId"])


async def load_some(stage: Stage, numbers: Sequence[int]) -> list[tuple[str, str]]:
    """Store and send at most ten tasks; returns their ids and their messages'."""
    plans = [planned(stage, number) for number in numbers]
    await _put(stage.table, stage.table_name, plans)
    call = queue.send_batch(stage.queue_url, [_message(each) for each in plans])
    told = (await stage.queue.call(call))["Successful"]
    assert isinstance(told, list)
    return [(one.task.id, entry["MessageId"]) for one, entry in zip(plans, told, strict=True)]


async def _put(port: Port, name: str, plans: Sequence[Plan]) -> None:
    for at in range(0, len(plans), STATEMENTS_PER_BATCH):
        group = plans[at : at + STATEMENTS_PER_BATCH]
        reply = await port.call(table.execute([_insert(name, each.task) for each in group]))
        results = table.read_execute(reply, len(group))
        if not all(isinstance(result, table.Written) for result in results):
            raise RuntimeError(f"a task could not be stored: {results}")


def _insert(name: str, task: Task) -> Statement:
    item = to_item(task)
    names = ",".join(f"'{attribute}':?" for attribute in item)
    statement = f'INSERT INTO "{name}" VALUE {{{names}}}'
    return Statement(task.id, {"Statement": statement, "Parameters": list(item.values())})


async def _send(port: Port, url: str, plans: Sequence[Plan]) -> None:
    for at in range(0, len(plans), SQS_BATCH_ENTRIES):
        messages = [_message(each) for each in plans[at : at + SQS_BATCH_ENTRIES]]
        faults = queue.read_batch(await port.call(queue.send_batch(url, messages)), len(messages))
        if any(faults):
            raise RuntimeError(f"a message could not be sent: {faults}")


def _message(one: Plan) -> Outgoing:
    return Outgoing(one.body, mark(STORED, "1"))
