"""taskiq with taskiq-aio-sqs: receives of ten, deleted once executed."""

import asyncio
import os
import sys

from effects import leave
from taskiq_aio_sqs import SQSBroker

broker = SQSBroker(
    os.environ["FTQ_QUEUE_URL"].rpartition("/")[2],
    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    region_name=os.environ["AWS_REGION"],
    max_number_of_messages=10,
    visibility_timeout=60,
    wait_time_seconds=20,
)


@broker.task(task_name="noop")
async def noop(number: int, text: str) -> None:
    """Do nothing."""
    leave(number)


async def send(count: int) -> None:
    """Send so many tasks."""
    await broker.startup()
    for each in range(count):
        await noop.kiq(each, "x" * 64)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(send(int(sys.argv[2])))
