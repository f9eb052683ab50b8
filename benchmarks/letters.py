"""Messages of a peer: made once by the peer's own client, then put into each run's queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.stage import Stage, stage_of
from ftq.limits import SQS_BATCH_ENTRIES
from ftq.ports import Call, Port, Request

AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Letters:
    """The messages that a peer's client sends.

    Args:
        sender: The command that sends; it is given the count.
        environment: What it is told beside where to send.
    """

    sender: tuple[str, ...]
    environment: Mapping[str, str]
    _kept: dict[int, list[Request]] = field(default_factory=dict)

    async def __call__(self, stage: Stage, count: int) -> None:
        """Put so many tasks into the stage's queue."""
        if count not in self._kept:
            self._kept[count] = await self._made(count)
        await _send(stage, self._kept[count])

    async def _made(self, count: int) -> list[Request]:
        async with stage_of("stub") as stage:
            process = await asyncio.create_subprocess_exec(
                *(*self.sender, str(count)),
                env={**stage.environment(), **self.environment},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await process.communicate()
            found = await _received(stage.queue, stage.queue_url)
        if process.returncode or len(found) != count:
            tail = output[-2000:].decode(errors="replace")
            raise RuntimeError(f"{self.sender[-2]} sent {len(found)} of {count} tasks:\n{tail}")
        return found


async def _received(port: Port, url: str) -> list[Request]:
    found: list[Request] = []
    request: Request = {
        "QueueUrl": url,
        "MaxNumberOfMessages": SQS_BATCH_ENTRIES,
        "MessageAttributeNames": ["All"],
        "WaitTimeSeconds": 0,
        "VisibilityTimeout": 3600,
    }
    while True:
        reply = await port.call(Call("sqs", "ReceiveMessage", request))
        messages = reply.get("Messages")
        if not isinstance(messages, list) or not messages:
            return found
        found += [_again(message) for message in messages]


def _again(message: Mapping[str, object]) -> Request:
    again: Request = {"MessageBody": message["Body"]}
    if "MessageAttributes" in message:
        again["MessageAttributes"] = message["MessageAttributes"]
    return again


async def send_plain(stage: Stage, count: int) -> None:
    """Send the bare payloads, for workers that have no client."""
    bodies = [json.dumps({"number": number, "text": "x" * 64}) for number in range(count)]
    await _send(stage, [{"MessageBody": body} for body in bodies])


async def _send(stage: Stage, messages: Sequence[Request]) -> None:
    tens = [
        messages[at : at + SQS_BATCH_ENTRIES] for at in range(0, len(messages), SQS_BATCH_ENTRIES)
    ]
    left = iter(tens)

    async def sender() -> None:
        for ten in left:
            entries = [{"Id": str(at), **message} for at, message in enumerate(ten)]
            request: Request = {"QueueUrl": stage.queue_url, "Entries": entries}
            await stage.queue.call(Call("sqs", "SendMessageBatch", request))

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(sender())
