"""What a harness's daemon finds on AWS: its queues and its table."""

from __future__ import annotations

from typing import Final

from ftq.registry import Registry
from ftq.settings import NamedQueue
from ftq.submission import Terms
from ftq.testing.aws import MemorySyncPort
from ftq.wire import create, queue
from ftq_daemon.settings import DaemonSettings

TABLE: Final = "tasks"


def furnish(port: MemorySyncPort, registry: Registry, concurrency: int) -> DaemonSettings:
    """Make what a daemon with these handlers needs, and say where it is.

    Args:
        port: The account.
        registry: The handlers; each queue that they name is made.
        concurrency: How many of them run at once.
    """

    def make(name: str, dlq_arn: str = "") -> str:
        made = create.queue(name, dlq_arn) if dlq_arn else create.queue(name)
        return str(port.call(made)["QueueUrl"])

    dlq_url = make("dlq")
    arn = queue.read_attributes(port.call(queue.depth(dlq_url)))["QueueArn"]
    names = sorted({handler.queue for handler in registry if handler.queue})
    port.call(create.table(TABLE))
    return DaemonSettings(
        queue_url=make("tasks", arn),
        dlq_url=dlq_url,
        table=TABLE,
        handlers="a_harness:registry",
        concurrency=concurrency,
        queues=tuple(NamedQueue(name, make(f"tasks-{name}", arn)) for name in names),
    )


def terms_of(settings: DaemonSettings) -> Terms:
    """On which terms a daemon with these settings submits."""
    return Terms(
        settings.queue_url,
        settings.sweep_grace_seconds * 1000,
        settings.retention_days * 86_400_000,
        {each.name: each.url for each in settings.queues},
    )
