"""What is checked at a start: the settings against the queues, the handlers against children."""

from __future__ import annotations

from collections.abc import Mapping

from ftq.errors import RegistryError, SettingsError
from ftq.ports import Port
from ftq.registry import Registry
from ftq.settings import DEFAULT_QUEUE, NamedQueue, queues_of
from ftq.wire import queue as wire
from ftq_daemon.children.pool import Children
from ftq_daemon.settings import DaemonSettings


async def check_queues(settings: DaemonSettings, port: Port) -> dict[str, int]:
    """Hold the settings against the queues as they are.

    Returns:
        The `maxReceiveCount` of each queue by its URL; 0 if SQS itself dead-letters nothing.

    Raises:
        SettingsError: Records would be forgotten while messages of theirs may still come (R1),
            or SQS itself dead-letters to another queue.
        CallError: A queue does not answer.
    """
    dlq = wire.read_attributes(await port.call(wire.depth(settings.dlq_url)))
    counts: dict[str, int] = {}
    for named in queues_of(settings.queue_url, settings.queues):
        queue = wire.read_attributes(await port.call(wire.depth(named.url)))
        counts[named.url] = _check(settings, named, queue, dlq)
    return counts


def _check(
    settings: DaemonSettings, named: NamedQueue, queue: Mapping[str, str], dlq: Mapping[str, str]
) -> int:
    kept = sum(int(each.get("MessageRetentionPeriod", 0)) for each in (queue, dlq))
    which = "queue" if named.name == DEFAULT_QUEUE else f"queue {named.name!r}"
    if settings.retention_days * 24 * 3600 <= kept:
        problem = (
            f"FTQ_RETENTION_DAYS={settings.retention_days}: must be more than the retention of "
            f"{which} and dead-letter queue together, which is {kept / 86_400:g} days"
        )
        raise SettingsError([problem])
    policy = wire.read_object(queue, "RedrivePolicy")
    target = policy.get("deadLetterTargetArn", "")
    if target and target != dlq.get("QueueArn"):
        problem = (
            f"FTQ_DLQ_URL={settings.dlq_url!r}: the {which}'s own dead letters go to {target}, "
            f"not to this queue"
        )
        raise SettingsError([problem])
    count = policy.get("maxReceiveCount", 0)
    return int(count) if isinstance(count, int | str) else 0


def check_schedules(settings: DaemonSettings, registry: Registry) -> None:
    """See that what the clock submits has a queue to go to.

    Raises:
        SettingsError: A scheduled handler's queue is not among those that are named.
    """
    names = [each.name for each in queues_of(settings.queue_url, settings.queues)]
    for schedule in registry.schedules:
        handler = registry.get(schedule.type)
        if handler is not None and handler.queue and handler.queue not in names:
            known = ", ".join(names)
            problem = f"{schedule.type} is scheduled on {handler.queue!r}; there is {known}"
            raise SettingsError([f"FTQ_QUEUES: {problem}"])


async def check_children(registry: Registry, children: Children, handlers: str) -> None:
    """See that the handlers that want processes can be loaded there.

    Raises:
        RegistryError: They cannot; the message says why.
    """
    wanted = [handler.type for handler in registry if handler.run_in == "process"]
    if wanted and (problem := await children.check(wanted)):
        await children.close()
        raise RegistryError(f"{handlers}: {problem}")
