"""``python -m benchmarks.sides.naive``: the loop that one writes first.

It keeps the same state by the same statements as ftq, one call each: receive ten, and for each
message claim, run, settle, delete. No logs, no metrics, no lease that is renewed, no retries.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Final

import uvloop
from aiobotocore.config import AioConfig

from benchmarks.handlers import Note, noop
from benchmarks.side import Side
from benchmarks.sides.place import Place, place
from ftq.ports import Call, Request
from ftq.settlement import Complete
from ftq.task import Entry
from ftq.wire import queue
from ftq.wire.claimant import Claimant, claimed
from ftq.wire.item import read_task
from ftq.wire.queue import Message
from ftq.wire.statements import Statement, Statements

POLLERS: Final = 6
VISIBILITY: Final = 60
RETENTION: Final = 30 * 24 * 3600 * 1000

SIDE: Final = Side(
    name="naive",
    says="an aiobotocore loop with the same state, one call a step",
    command=("-m", "benchmarks.sides.naive"),
    kind="loop",
    slow=True,
)


def _alone(statement: Statement) -> Call:
    return Call("dynamodb", "ExecuteStatement", statement.request)


async def _handle(at: Place, message: Message) -> None:
    statements, now = Statements(at.table), time.time_ns() // 1_000_000
    envelope = json.loads(message.body)
    who = Claimant("naive", uuid.uuid4().hex, now, now + VISIBILITY * 1000)
    reply = await at.dynamodb.call(_alone(statements.claim(envelope["id"], who)))
    items = reply["Items"]
    before = read_task(items[0]) if isinstance(items, list) else None
    assert before is not None
    await noop(Note.model_validate(envelope["payload"]))
    task, ended = claimed(before, who), time.time_ns() // 1_000_000
    entry = Entry(task.claim_no, "naive", ended, "succeeded")
    settled = statements.settle(task, Complete("null"), entry, grace=0, retention=RETENTION)
    await at.dynamodb.call(_alone(settled))
    request: Request = {"QueueUrl": at.queue_url, "ReceiptHandle": message.handle}
    await at.sqs.call(Call("sqs", "DeleteMessage", request))


async def _poll(at: Place) -> None:
    while True:
        reply = await at.sqs.call(queue.receive(at.queue_url, 10, 20, VISIBILITY))
        await asyncio.gather(*(_handle(at, message) for message in queue.read_receive(reply)))


async def main() -> None:
    """Work until killed."""
    async with place(AioConfig(max_pool_connections=64, read_timeout=30)) as at:
        await asyncio.gather(*(_poll(at) for _ in range(POLLERS)))


if __name__ == "__main__":
    uvloop.run(main())
