"""The SQS half: the calls, and the long polls that wait for a message."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, TypedDict

from benchmarks.stub.queue import Queue
from benchmarks.stub.refusal import Refusal

ACCOUNT: Final = "000000000000"
DEFAULTS: Final = {"MessageRetentionPeriod": "345600", "VisibilityTimeout": "30"}
STALE: Final = {"SenderFault": True, "Code": "ReceiptHandleIsInvalid", "Message": "not in flight"}


class Entry(TypedDict, total=False):
    """A message or a handle, alone or in a batch."""

    Id: str
    MessageBody: str
    MessageAttributes: Mapping[str, object]
    DelaySeconds: int
    ReceiptHandle: str
    VisibilityTimeout: int


class Request(Entry, total=False):
    """Every field of an SQS call that the stub reads."""

    QueueUrl: str
    QueueName: str
    Attributes: dict[str, str]
    Entries: list[Entry]
    MaxNumberOfMessages: int
    WaitTimeSeconds: int


Reply: TypeAlias = Mapping[str, object]
Answer: TypeAlias = Callable[[Reply], None]


@dataclass(slots=True, eq=False)
class _Poll:
    queue: Queue
    limit: int
    visibility: int
    answer: Answer


class Queues:
    """All queues.

    Attributes:
        operations: The calls, by name, but for ReceiveMessage.
        entries: Messages and handles, by the call that brought them or took them.
        all: The queues, by name.
    """

    def __init__(self, base: str) -> None:
        """Have no queue yet; their URLs begin with `base`."""
        self.operations: Final[Mapping[str, Callable[[Request], Reply]]] = {
            "ChangeMessageVisibility": self._change,
            "ChangeMessageVisibilityBatch": self._change_batch,
            "CreateQueue": self._create,
            "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._delete_batch,
            "DeleteQueue": self._remove,
            "GetQueueAttributes": self._attributes,
            "GetQueueUrl": lambda request: {"QueueUrl": self._named(request["QueueName"]).url},
            "ListQueues": lambda _: {"QueueUrls": [queue.url for queue in self.all.values()]},
            "SendMessage": self._send,
            "SendMessageBatch": self._send_batch,
        }
        self.entries: Counter[str] = Counter()
        self.all: dict[str, Queue] = {}
        self._base = base
        self._polls: dict[_Poll, asyncio.TimerHandle] = {}
        self._alarm: asyncio.TimerHandle | None = None

    def receive(self, request: Request, answer: Answer) -> Callable[[], None] | None:
        """Answer a receive, at once or when its long poll ends.

        Returns:
            How to give it up, if it was not answered at once.
        """
        queue = self._queue(request)
        limit = request.get("MaxNumberOfMessages", 1)
        visibility = request.get("VisibilityTimeout", int(queue.attributes["VisibilityTimeout"]))
        default = int(queue.attributes.get("ReceiveMessageWaitTimeSeconds", "0"))
        wait = request.get("WaitTimeSeconds", default)
        messages = queue.receive(limit, visibility)
        if messages or not wait:
            self._answer(answer, messages)
            return None
        poll = _Poll(queue, limit, visibility, answer)
        self._polls[poll] = asyncio.get_running_loop().call_later(wait, self._end, poll)
        self._set_alarm()
        return lambda: self._drop(poll)

    def _answer(self, answer: Answer, messages: list[dict[str, object]]) -> None:
        self.entries["ReceiveMessage"] += len(messages)
        answer({"Messages": messages} if messages else {})

    def _end(self, poll: _Poll) -> None:
        self._drop(poll)
        self._answer(poll.answer, [])

    def _drop(self, poll: _Poll) -> None:
        if (timer := self._polls.pop(poll, None)) is not None:
            timer.cancel()

    def _serve_polls(self) -> None:
        for poll in tuple(self._polls):
            if messages := poll.queue.receive(poll.limit, poll.visibility):
                self._drop(poll)
                self._answer(poll.answer, messages)
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Look again when the next hidden message is due, as long as somebody waits."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        waits = [
            _until_next(queue)
            for queue in {poll.queue.url: poll.queue for poll in self._polls}.values()
        ]
        known = [wait for wait in waits if wait is not None]
        if known:
            self._alarm = asyncio.get_running_loop().call_later(min(known), self._serve_polls)

    def _queue(self, request: Request) -> Queue:
        return self._named(request["QueueUrl"].rpartition("/")[2])

    def _named(self, name: str) -> Queue:
        queue = self.all.get(name)
        if queue is None:
            raise Refusal("com.amazonaws.sqs#QueueDoesNotExist", f"no queue {name}")
        return queue

    def _create(self, request: Request) -> Reply:
        name = request["QueueName"]
        url = f"{self._base}/{ACCOUNT}/{name}"
        if name not in self.all:
            self.all[name] = Queue(url, {**DEFAULTS, **request.get("Attributes", {})})
        return {"QueueUrl": url}

    def _remove(self, request: Request) -> Reply:
        del self.all[self._queue(request).url.rpartition("/")[2]]
        return {}

    def _attributes(self, request: Request) -> Reply:
        queue = self._queue(request)
        queue.wake()
        counts = {
            "QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{queue.url.rpartition('/')[2]}",
            "ApproximateNumberOfMessages": str(queue.waiting),
            "ApproximateNumberOfMessagesNotVisible": str(queue.hidden),
            "ApproximateNumberOfMessagesDelayed": "0",
        }
        return {"Attributes": {**queue.attributes, **counts}}

    def _send(self, request: Request) -> Reply:
        self.entries["SendMessage"] += 1
        reply = self._sent(self._queue(request), request)
        if self._polls:
            self._serve_polls()
        return reply

    def _send_batch(self, request: Request) -> Reply:
        queue, entries = self._queue(request), request["Entries"]
        self.entries["SendMessageBatch"] += len(entries)
        done = [{"Id": entry["Id"], **self._sent(queue, entry)} for entry in entries]
        if self._polls:
            self._serve_polls()
        return {"Successful": done}

    def _sent(self, queue: Queue, entry: Entry) -> Mapping[str, str]:
        delay = entry.get("DelaySeconds", 0)
        return queue.send(entry["MessageBody"], entry.get("MessageAttributes"), delay)

    def _delete(self, request: Request) -> Reply:
        self.entries["DeleteMessage"] += 1
        self._queue(request).delete(request["ReceiptHandle"])
        return {}

    def _delete_batch(self, request: Request) -> Reply:
        queue, entries = self._queue(request), request["Entries"]
        self.entries["DeleteMessageBatch"] += len(entries)
        for entry in entries:
            queue.delete(entry["ReceiptHandle"])
        return {"Successful": [{"Id": entry["Id"]} for entry in entries]}

    def _change(self, request: Request) -> Reply:
        self.entries["ChangeMessageVisibility"] += 1
        if not self._queue(request).change(request["ReceiptHandle"], request["VisibilityTimeout"]):
            raise Refusal("com.amazonaws.sqs#MessageNotInflight", "not in flight")
        self._serve_polls()
        return {}

    def _change_batch(self, request: Request) -> Reply:
        queue, entries = self._queue(request), request["Entries"]
        self.entries["ChangeMessageVisibilityBatch"] += len(entries)
        done: list[Reply] = []
        failed: list[Reply] = []
        for entry in entries:
            if queue.change(entry["ReceiptHandle"], entry["VisibilityTimeout"]):
                done.append({"Id": entry["Id"]})
            else:
                failed.append({"Id": entry["Id"], **STALE})
        self._serve_polls()
        return {"Successful": done, "Failed": failed} if failed else {"Successful": done}


def _until_next(queue: Queue) -> float | None:
    """Seconds until a message is shown; None if none is hidden."""
    due = queue.wake()
    if queue.waiting:
        return 0.0
    # A little late rather than early: timers have whole milliseconds.
    return None if due is None else max(0.0, due - time.monotonic()) + 0.002
