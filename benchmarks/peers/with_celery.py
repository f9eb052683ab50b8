"""Celery on SQS.

Late acknowledgement, no results, no remote control, no events; the queue is predefined and long
polls are whole, as kombu's documentation advises for SQS.
"""

import os
import sys
from urllib.parse import urlsplit

from celery import Celery
from effects import leave

URL = os.environ["FTQ_QUEUE_URL"]
NAME = URL.rpartition("/")[2]
KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]

app = Celery("bench", broker=f"sqs://{KEY}:{SECRET}@{urlsplit(URL).netloc}//")
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "is_secure": False,
        "polling_interval": 0,
        "predefined_queues": {
            NAME: {"url": URL, "access_key_id": KEY, "secret_access_key": SECRET}
        },
        "region": os.environ["AWS_REGION"],
        "visibility_timeout": 60,
        "wait_time_seconds": 20,
    },
    task_acks_late=True,
    task_default_queue=NAME,
    task_ignore_result=True,
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "1")),
)


@app.task(name="noop")
def noop(number: int, text: str) -> None:
    """Do nothing."""
    leave(number)


if __name__ == "__main__":
    for each in range(int(sys.argv[2])):
        noop.delay(each, "x" * 64)
