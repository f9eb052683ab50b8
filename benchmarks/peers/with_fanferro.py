"""fanferro: a Rust core that receives and settles, a Python handler."""

import asyncio
import os
import sys

import fanferro
import uvloop
from effects import leave
from pydantic import BaseModel


@fanferro.message_type("noop.v1")
class Note(BaseModel):
    """A small payload."""

    number: int
    text: str


client = fanferro.Client(
    region=os.environ["AWS_REGION"],
    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    logging=fanferro.LoggingConfig(enabled=False),
)
queue = client.queue(url=os.environ["FTQ_QUEUE_URL"])
consumer = client.consumer(queue, concurrency=64, visibility_timeout=60)


@consumer.route(Note)
async def noop(note: Note) -> None:
    """Do nothing."""
    leave(note.number)


async def send(count: int) -> None:
    """Send so many tasks."""
    async with client:
        for at in range(0, count, 10):
            ten = range(at, min(at + 10, count))
            await queue.send_batch([Note(number=each, text="x" * 64) for each in ten])


async def work() -> None:
    """Work until killed."""
    async with client:
        await client.run()


if __name__ == "__main__":
    if sys.argv[1] == "send":
        asyncio.run(send(int(sys.argv[2])))
    else:
        uvloop.run(work())
