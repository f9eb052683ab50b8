"""The queues of an account: made, named, configured, and emptied into one another."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

from ftq.ports import Reply
from ftq.testing.message import Copy
from ftq.testing.params import Params
from ftq.testing.queue import MemoryQueue

_URL: Final = "https://sqs.eu-central-1.amazonaws.com/123456789012/"
_ARN: Final = "arn:aws:sqs:eu-central-1:123456789012:"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_NO_QUEUE: Final = "AWS.SimpleQueueService.NonExistentQueue"

# CreateQueue reference: each attribute that is a number, with its default and its bounds. The
# size is that of queues made since August 2025.
_NUMBERS: Final = {
    "DelaySeconds": (0, 0, 900),
    "MaximumMessageSize": (1_048_576, 1_024, 1_048_576),
    "MessageRetentionPeriod": (345_600, 60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 0, 20),
    "VisibilityTimeout": (30, 0, 43_200),
}
_OTHERS: Final = frozenset(
    {"KmsMasterKeyId", "Policy", "RedriveAllowPolicy", "RedrivePolicy", "SqsManagedSseEnabled"}
)


class Account:
    """Queues by name, URL and ARN.

    Args:
        now: The wall clock, in milliseconds since the epoch.
        in_flight_limit: How many messages of a queue may be in flight.
    """

    def __init__(self, now: Callable[[], int], in_flight_limit: int) -> None:
        """Begin without queues."""
        self._now = now
        self._in_flight_limit = in_flight_limit
        self._queues: dict[str, MemoryQueue] = {}
        self._moves: dict[str, list[dict[str, object]]] = {}
        self._operations: dict[str, Callable[[Params], Reply]] = {
            "CreateQueue": self._create,
            "DeleteQueue": self._delete,
            "GetQueueAttributes": self._get_attributes,
            "GetQueueUrl": self._get_url,
            "ListMessageMoveTasks": self._list_moves,
            "SetQueueAttributes": self._set_attributes,
            "StartMessageMoveTask": self._start_move,
        }

    def apply(self, params: Params) -> Reply:
        """Answer one call."""
        operation = self._operations.get(params.operation)
        if operation is None:
            raise params.refused(f"{params.operation} is not here", "InvalidAction")
        return operation(params)

    def url(self, queue: MemoryQueue) -> str:
        """The URL of a queue."""
        return _URL + queue.name

    def queue(self, params: Params) -> MemoryQueue:
        """The queue that ``QueueUrl`` names.

        Raises:
            CallRefused: There is none.
        """
        return self._named(params, params.text("QueueUrl").removeprefix(_URL))

    def at(self, url: str) -> MemoryQueue:
        """The queue at a URL.

        Raises:
            KeyError: There is none.
        """
        return self._queues[url.removeprefix(_URL)]

    def _named(self, params: Params, name: str) -> MemoryQueue:
        queue = self._queues.get(name)
        if queue is None:
            raise params.refused("The specified queue does not exist.", _NO_QUEUE)
        return queue

    def _by_arn(self, params: Params, name: str) -> MemoryQueue:
        queue = self._queues.get(params.text(name).removeprefix(_ARN))
        if queue is None:
            message = f"The resource that {name} names does not exist."
            raise params.refused(message, "ResourceNotFoundException")
        return queue

    def _create(self, params: Params) -> Reply:
        name, given = params.text("QueueName"), params.texts("Attributes")
        if not _NAME.fullmatch(name):
            raise params.refused(f"Queue name {name!r} is not legal")
        known = self._queues.get(name)
        if known is None:
            attributes = {each: str(default) for each, (default, _, _) in _NUMBERS.items()}
            queue = MemoryQueue(name, _ARN + name, attributes, self._now, self._in_flight_limit)
            self._configure(params, queue, given)
            self._queues[name] = queue
        elif any(known.attributes.get(each) != value for each, value in given.items()):
            message = "A queue already exists with the same name and a different value"
            raise params.refused(message, "QueueAlreadyExists")
        return {"QueueUrl": _URL + name}

    def _configure(self, params: Params, queue: MemoryQueue, given: dict[str, str]) -> None:
        for name, value in given.items():
            if name in _NUMBERS:
                _, low, high = _NUMBERS[name]
                if not value.isdecimal() or not low <= int(value) <= high:
                    message = f"Invalid value for the parameter {name}."
                    raise params.refused(message, "InvalidAttributeValue")
            elif name not in _OTHERS:
                raise params.refused(f"Unknown Attribute {name}.", "InvalidAttributeName")
        if given.get("RedrivePolicy"):
            self._redrive(params, queue, given["RedrivePolicy"])
        queue.attributes.update(given)

    def _redrive(self, params: Params, queue: MemoryQueue, policy: str) -> None:
        try:
            read: object = json.loads(policy)
        except ValueError:
            read = None
        match read:
            case {"deadLetterTargetArn": str(arn), "maxReceiveCount": int() | str() as count}:
                target = self._queues.get(arn.removeprefix(_ARN))
            case _:
                raise params.refused("Value for parameter RedrivePolicy is invalid.")
        if target is None or not str(count).isdecimal() or not 1 <= int(count) <= 1000:
            message = "Value for parameter RedrivePolicy is invalid. Reason: no such queue or count"
            raise params.refused(message)
        queue.dead_letters, queue.max_receive_count = target, int(count)

    def _delete(self, params: Params) -> Reply:
        queue = self.queue(params)
        del self._queues[queue.name]
        return {}

    def _get_url(self, params: Params) -> Reply:
        return {"QueueUrl": self.url(self._named(params, params.text("QueueName")))}

    def _set_attributes(self, params: Params) -> Reply:
        self._configure(params, self.queue(params), params.texts("Attributes"))
        return {}

    def _get_attributes(self, params: Params) -> Reply:
        queue = self.queue(params)
        visible, flying, delayed = queue.counts()
        found = {
            **queue.attributes,
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(flying),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
            "QueueArn": queue.arn,
        }
        names = params.values.get("AttributeNames")
        wanted = names if isinstance(names, list) else []
        chosen = found if "All" in wanted else {n: v for n, v in found.items() if n in wanted}
        return {"Attributes": chosen} if chosen else {}

    # --- AWS's own redrive --------------------------------------------------------------------

    def _start_move(self, params: Params) -> Reply:
        source = self._by_arn(params, "SourceArn")
        if not any(queue.dead_letters is source for queue in self._queues.values()):
            raise params.refused("Source queue must be configured as a Dead Letter Queue.")
        named = (
            self._by_arn(params, "DestinationArn") if "DestinationArn" in params.values else None
        )

        def target_of(copy: Copy) -> MemoryQueue | None:
            # Only what SQS moved itself carries where it came from.
            return named or self._queues.get(copy.source_arn.removeprefix(_ARN))

        moved, whole = source.move_all(target_of)
        moves = self._moves.setdefault(source.arn, [])
        report: dict[str, object] = {
            "Status": "COMPLETED" if whole else "FAILED",
            "SourceArn": source.arn,
            "ApproximateNumberOfMessagesMoved": moved,
            "StartedTimestamp": self._now(),
        }
        if named is not None:
            report["DestinationArn"] = named.arn
        if not whole:
            report["FailureReason"] = "CouldNotDetermineMessageSource"
        moves.insert(0, report)
        return {"TaskHandle": f"{source.name}-{len(moves)}"}

    def _list_moves(self, params: Params) -> Reply:
        source = self._by_arn(params, "SourceArn")
        count = params.number("MaxResults", 1, 1, 10)
        return {"Results": [dict(each) for each in self._moves.get(source.arn, [])[:count]]}
