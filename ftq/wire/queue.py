"""The SQS calls and their replies read back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ftq.codec import encode
from ftq.limits import SQS_ATTRIBUTES, SQS_BATCH_BYTES
from ftq.ports import Call, Reply, Request
from ftq.task import Failure, Task
from ftq.text import Json, NotJson, parse, size
from ftq.value import value
from ftq.wire.entries import EntryFault as EntryFault
from ftq.wire.entries import read_batch as read_batch

# Marks that ftq puts on its messages, as message attributes, so that a body is copied as it is.
STORED: Final = "stored"
CLAIM_NO: Final = "claim_no"
CAUSE: Final = "cause"
REFUSED_SINCE: Final = "refused_since"

Attribute: TypeAlias = Mapping[str, object]


@value(frozen=True, slots=True)
class Message:
    """A message as it was received.

    Attributes:
        handle: The receipt handle; good until the message is received again.
        message_id: SQS's id of this copy.
        body: The body, as sent.
        attributes: The message attributes, as SQS takes them back.
        trace: The X-Ray trace header, or ''.
        group: The message group, or ''.
        sent_at: When this copy was sent, in milliseconds since the epoch.
        first_received_at: When it was first received.
        receive_count: How often it was received; rises on refusals too.
    """

    handle: str
    message_id: str
    body: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    trace: str = ""
    group: str = ""
    sent_at: int = 0
    first_received_at: int = 0
    receive_count: int = 0

    @property
    def stored(self) -> bool:
        """Whether the message belongs to a record that was stored before it (R9)."""
        return STORED in self.attributes

    @property
    def claim_no(self) -> int | None:
        """The death that the message is evidence of, if it is a dead-letter copy."""
        return self._number(CLAIM_NO)

    @property
    def refused_since(self) -> int:
        """Since when no daemon has had a handler for it (R16), in milliseconds."""
        marked = self._number(REFUSED_SINCE) or 0
        # The mark is an earlier copy's: one later than this copy's receipt is nobody's.
        return marked if 0 < marked <= self.first_received_at else self.first_received_at

    def _number(self, name: str) -> int | None:
        value = self.attributes.get(name, {}).get("StringValue")
        try:
            return int(str(value)) if value is not None else None
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send.

    Attributes:
        body: The body.
        attributes: Message attributes.
        delay_seconds: Seconds before it is shown.
        trace: The X-Ray trace header, or ''.
        group: The message group, or ''.
    """

    body: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    delay_seconds: int = 0
    trace: str = ""
    group: str = ""


def mark(name: str, value: str) -> dict[str, Attribute]:
    """One mark as a message attribute."""
    return {name: {"DataType": "String", "StringValue": value}}


# What an attribute's value may hold is what a body may hold (SendMessage reference), and it
# must not be empty. Said by what is not allowed, which compiles in a tenth of the time.
_ILLEGAL: Final = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")


def cause_of(cause: str, class_name: str = "", message: str = "") -> str:
    """A dead letter's cause as one short, legal line."""
    parts = [" ".join(part.split()) for part in (cause, class_name, message)]
    line = " · ".join(part for part in parts if part)
    return _ILLEGAL.sub("?", line)[:256] or "unknown"


def cause_line(cause: str, failed: Failure | None) -> str:
    """The cause of a task's death as a dead-letter copy carries it, whoever makes the copy."""
    if failed is None:
        return cause_of(cause)
    return cause_of(cause, failed.class_name, failed.message)


def of_task(task: Task, payload: str | None, delay_seconds: int = 0) -> Outgoing:
    """The message of a stored task.

    Args:
        task: The task.
        payload: What it carries of the payload; None leaves a large one beside the record, where
            the daemon that claims the task reads it, and renews it (PROTOCOL R11).
        delay_seconds: Seconds until it is shown.
    """
    # Fair queues share a standard queue among tenants by the group.
    marks = mark(STORED, "1")
    return Outgoing(encode(task, payload), marks, delay_seconds, task.trace, group=task.tenant)


def copy_of(message: Message, marks: Mapping[str, Attribute], delay_seconds: int = 0) -> Outgoing:
    """The same message once more, with marks of ours added.

    SQS allows ten attributes. Ours come first: a copy without its marks would be taken for
    another message, one without the last of its producer's would not.
    """
    ours = {STORED, CLAIM_NO, CAUSE, REFUSED_SINCE}
    kept = {name: value for name, value in message.attributes.items() if name in ours}
    theirs = {name: value for name, value in message.attributes.items() if name not in ours}
    attributes = dict(list({**kept, **marks, **theirs}.items())[:SQS_ATTRIBUTES])
    return Outgoing(message.body, attributes, delay_seconds, message.trace, message.group)


def receive(url: str, limit: int, wait_seconds: int, visibility_seconds: int) -> Call:
    """Ask for up to ten messages, waiting for the first."""
    request: Request = {
        "QueueUrl": url,
        "MaxNumberOfMessages": limit,
        "WaitTimeSeconds": wait_seconds,
        "VisibilityTimeout": visibility_seconds,
        "MessageAttributeNames": ["All"],
        "MessageSystemAttributeNames": ["All"],
    }
    return Call("sqs", "ReceiveMessage", request)


def read_receive(reply: Reply) -> list[Message]:
    """The messages received. An entry without a handle is no message. Never raises."""
    entries = reply.get("Messages")
    if not isinstance(entries, list):
        return []
    found = [_message(entry) for entry in entries if isinstance(entry, Mapping)]
    return [message for message in found if message.handle]


def _message(entry: Mapping[str, object]) -> Message:
    system = entry.get("Attributes")
    known = system if isinstance(system, Mapping) else {}
    attributes = entry.get("MessageAttributes")
    return Message(
        handle=_text(entry.get("ReceiptHandle")),
        message_id=_text(entry.get("MessageId")),
        body=_text(entry.get("Body")),
        attributes=_sendable(attributes) if isinstance(attributes, Mapping) else {},
        trace=_text(known.get("AWSTraceHeader")),
        group=_text(known.get("MessageGroupId")),
        sent_at=_int(known.get("SentTimestamp")),
        first_received_at=_int(known.get("ApproximateFirstReceiveTimestamp")),
        receive_count=_int(known.get("ApproximateReceiveCount")),
    )


def _sendable(attributes: Mapping[str, object]) -> dict[str, Attribute]:
    # Received attributes may hold empty list members that SendMessage refuses.
    fields = ("DataType", "StringValue", "BinaryValue")
    return {
        name: {key: value[key] for key in fields if key in value}
        for name, value in attributes.items()
        if isinstance(value, Mapping)
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _int(value: object) -> int:
    try:
        return int(str(value)) if value is not None else 0
    except ValueError:
        return 0


def send(url: str, message: Outgoing) -> Call:
    """Send one message."""
    return Call("sqs", "SendMessage", {"QueueUrl": url, **_outgoing(message)})


def send_batch(url: str, messages: Sequence[Outgoing]) -> Call:
    """Send up to ten messages."""
    entries = [{"Id": str(n), **_outgoing(message)} for n, message in enumerate(messages)]
    return Call("sqs", "SendMessageBatch", {"QueueUrl": url, "Entries": entries})


def within_bytes(messages: Sequence[Outgoing]) -> list[list[Outgoing]]:
    """The messages in groups that one SendMessageBatch may carry, in order."""
    groups: list[list[Outgoing]] = []
    room = 0
    for message in messages:
        # Attributes count too (SendMessage reference); their text form is longer than they are.
        needed = size(message.body) + sum(size(str(each)) for each in message.attributes.items())
        if not groups or needed > room:
            groups.append([])
            room = SQS_BATCH_BYTES
        groups[-1].append(message)
        room -= needed
    return groups


def _outgoing(message: Outgoing) -> Request:
    request: Request = {"MessageBody": message.body}
    if message.delay_seconds:
        request["DelaySeconds"] = message.delay_seconds
    if message.attributes:
        request["MessageAttributes"] = dict(message.attributes)
    if message.trace:
        header = {"DataType": "String", "StringValue": message.trace}
        request["MessageSystemAttributes"] = {"AWSTraceHeader": header}
    if message.group:
        request["MessageGroupId"] = message.group
    return request


def delete_batch(url: str, handles: Sequence[str]) -> Call:
    """Delete up to ten messages."""
    entries = [{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(handles)]
    return Call("sqs", "DeleteMessageBatch", {"QueueUrl": url, "Entries": entries})


def hide_batch(url: str, hides: Sequence[tuple[str, int]]) -> Call:
    """Set the visibility of up to ten messages: (handle, seconds) each."""
    entries = [
        {"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
        for n, (handle, seconds) in enumerate(hides)
    ]
    return Call("sqs", "ChangeMessageVisibilityBatch", {"QueueUrl": url, "Entries": entries})


def depth(url: str) -> Call:
    """Ask for the queue's counts and limits."""
    return Call("sqs", "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["All"]})


def read_attributes(reply: Reply) -> dict[str, str]:
    """The queue's attributes, as texts."""
    attributes = reply.get("Attributes")
    if not isinstance(attributes, Mapping):
        return {}
    return {str(name): str(value) for name, value in attributes.items()}


def read_object(attributes: Mapping[str, str], name: str) -> dict[str, Json]:
    """An attribute that is a JSON object, as RedrivePolicy and Policy are; {} if there is none."""
    try:
        found = parse(attributes.get(name) or "{}")
    except NotJson:
        return {}
    return found if isinstance(found, dict) else {}


def move_dead_letters(source_arn: str, destination_arn: str) -> Call:
    """R10: AWS's own redrive, to a destination that must be named.

    Our dead letters were sent, not moved by SQS: without a destination AWS answers
    CouldNotDetermineMessageSource.
    """
    request: Request = {"SourceArn": source_arn, "DestinationArn": destination_arn}
    return Call("sqs", "StartMessageMoveTask", request)
