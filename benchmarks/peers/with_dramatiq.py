"""dramatiq with dramatiq-sqs: a message is deleted after its actor returned."""

import os
import sys

import dramatiq
from dramatiq_sqs import SQSBroker
from effects import leave

NAME = os.environ["FTQ_QUEUE_URL"].rpartition("/")[2]

broker = SQSBroker(
    visibility_timeout=60,
    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    region_name=os.environ["AWS_REGION"],
)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=NAME)
def noop(number: int, text: str) -> None:
    """Do nothing."""
    leave(number)


if __name__ == "__main__":
    for each in range(int(sys.argv[2])):
        noop.send(each, "x" * 64)
