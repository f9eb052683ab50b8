"""``python -m benchmarks.sides.floor``: the AWS calls of a batched worker with no worker around.

Fifty tasks a round: five times receive ten and claim ten, then settle by 25 and delete by ten,
0.34 calls a task. Statements are copied from templates, replies read only for what the next call
needs. Whoever makes these calls with aiobotocore pays at least this.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Final

import uvloop
from aiobotocore.config import AioConfig

from benchmarks.side import Side
from benchmarks.sides.place import Place, place
from ftq.lifecycle import State
from ftq.ports import Call, Reply, Request
from ftq.task import Entry, bucket_of
from ftq.wire import queue
from ftq.wire.item import Value, history_text, number, text

ROUNDS: Final = 2
RECEIVES: Final = 5
VISIBILITY: Final = 60

SIDE: Final = Side(
    name="floor",
    says="the AWS calls of a batched worker, no worker around them",
    command=("-m", "benchmarks.sides.floor"),
    kind="limit",
)
_CLAIM: Final = (
    'UPDATE "{}" SET "claim_no"="claim_no"+1 SET "state"=? SET "free_at"=? SET "claimed_by"=? '
    'SET "claim_token"=? SET "updated_at"=? WHERE "id"=? AND "free_at"<=? RETURNING ALL OLD *'
)
_SETTLE: Final = (
    'UPDATE "{}" SET "state"=? SET "history"=? SET "updated_at"=? SET "result"=? SET "bucket"=? '
    'SET "due_at"=? SET "expires_at"=? REMOVE "free_at" WHERE "id"=? AND "claim_no"=? AND "state"=?'
)


def _execute(statement: str, parameters: Sequence[list[Value]]) -> Call:
    statements: list[Request] = [
        {
            "Statement": statement,
            "Parameters": each,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        for each in parameters
    ]
    return Call("dynamodb", "BatchExecuteStatement", {"Statements": statements})


def _claim(task_id: str, now: int) -> list[Value]:
    lease = number(now + VISIBILITY * 1000)
    return [
        text("running"),
        lease,
        text("floor"),
        text("f" * 32),
        number(now),
        text(task_id),
        number(now),
    ]


def _settle(task_id: str, claim_no: int, now: int) -> list[Value]:
    history = history_text((Entry(claim_no, "floor", now, "succeeded"),))
    bucket = bucket_of(task_id, State.SUCCEEDED)
    sets = [text("succeeded"), text(history), number(now), text("null"), text(bucket), number(now)]
    return [
        *sets,
        number(now // 1000 + 2_592_000),
        text(task_id),
        number(claim_no),
        text("running"),
    ]


def _old(reply: Reply) -> list[tuple[str, int]]:
    responses = reply["Responses"]
    assert isinstance(responses, list)
    items = [response["Item"] for response in responses]
    return [(item["id"]["S"], int(item["claim_no"]["N"])) for item in items]


async def _take(at: Place) -> list[tuple[str, str, int]]:
    """Receive ten and claim them: (handle, id, claim) each."""
    reply = await at.sqs.call(queue.receive(at.queue_url, 10, 20, VISIBILITY))
    messages = reply.get("Messages")
    if not isinstance(messages, list):
        return []
    now = time.time_ns() // 1_000_000
    ids = [json.loads(message["Body"])["id"] for message in messages]
    claims = _execute(_CLAIM.format(at.table), [_claim(each, now) for each in ids])
    old = _old(await at.dynamodb.call(claims))
    handles = [message["ReceiptHandle"] for message in messages]
    return [(handle, *one) for handle, one in zip(handles, old, strict=True)]


async def _rounds(at: Place) -> None:
    while True:
        took = await asyncio.gather(*(_take(at) for _ in range(RECEIVES)))
        tasks, now = [each for one in took for each in one], time.time_ns() // 1_000_000
        settles = [_settle(task_id, before + 1, now) for _, task_id, before in tasks]
        statement, handles = _SETTLE.format(at.table), [handle for handle, _, _ in tasks]
        parts = [settles[first : first + 25] for first in range(0, len(settles), 25)]
        await asyncio.gather(*(at.dynamodb.call(_execute(statement, part)) for part in parts))
        tens = [handles[first : first + 10] for first in range(0, len(handles), 10)]
        await asyncio.gather(*(at.sqs.call(queue.delete_batch(at.queue_url, ten)) for ten in tens))


async def work(at: Place) -> None:
    """Make the calls until killed."""
    await asyncio.gather(*(_rounds(at) for _ in range(ROUNDS)))


async def main() -> None:
    """Work until killed."""
    config = AioConfig(max_pool_connections=64, read_timeout=30, parameter_validation=False)
    async with place(config) as at:
        await work(at)


if __name__ == "__main__":
    uvloop.run(main())
