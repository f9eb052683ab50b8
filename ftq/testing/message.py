"""A message as a queue in memory keeps it, and what SQS lets into one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ftq.errors import CallRefused
from ftq.limits import SQS_ATTRIBUTES, SQS_DELAY_SECONDS
from ftq.testing.params import Params, words

# SendMessage reference.
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# "Message attributes" (SQS developer guide).
_NAME: Final = re.compile(r"(?!AWS\.|Amazon\.|\.)[A-Za-z0-9_.-]{1,256}(?<!\.)", re.IGNORECASE)
_TYPE: Final = re.compile(r"(String|Number|Binary)(\.[^\s]+)?")
_GROUP: Final = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,./:;<=>?@\[\\\]^_`{|}~-]{1,128}")


@dataclass(slots=True)
class Copy:
    """One copy of a message.

    Attributes:
        message_id: SQS's id of it.
        body: The body.
        attributes: The message attributes.
        trace: The X-Ray trace header, or ''.
        group: The message group, or ''.
        sent_at: When it was sent, in milliseconds since the epoch, as all times here.
        visible_at: From when it may be received.
        first_received_at: When it was first received; 0 if it never was.
        received_at: When it was last received; 0 if it never was.
        receive_count: How often it was received.
        handle: The receipt handle of the last receive.
        source_arn: The queue from which SQS itself moved it here, or ''.
        ticket: Its last entry among the queue's hidden messages.
    """

    message_id: str
    body: str
    attributes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    trace: str = ""
    group: str = ""
    sent_at: int = 0
    visible_at: int = 0
    first_received_at: int = 0
    received_at: int = 0
    receive_count: int = 0
    handle: str = ""
    source_arn: str = ""
    ticket: int = 0

    def show(self, *, system: bool, attributes: bool) -> dict[str, object]:
        """The message as ReceiveMessage answers it."""
        shown: dict[str, object] = {
            "MessageId": self.message_id,
            "ReceiptHandle": self.handle,
            "Body": self.body,
            "MD5OfBody": hashlib.md5(self.body.encode(), usedforsecurity=False).hexdigest(),
        }
        if system:
            shown["Attributes"] = self._system()
        if attributes and self.attributes:
            shown["MessageAttributes"] = {
                name: dict(value) for name, value in self.attributes.items()
            }
        return shown

    def _system(self) -> dict[str, str]:
        found = {
            "SenderId": "AIDATESTING",
            "SentTimestamp": str(self.sent_at),
            "ApproximateReceiveCount": str(self.receive_count),
            "ApproximateFirstReceiveTimestamp": str(self.first_received_at),
        }
        optional = {
            "AWSTraceHeader": self.trace,
            "MessageGroupId": self.group,
            "DeadLetterQueueSourceArn": self.source_arn,
        }
        return found | {name: value for name, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message to send, found legal.

    Attributes:
        copy: The message, not yet sent.
        delay: Seconds before it is shown; None for the queue's own delay.
        size: Bytes that count toward the limits: body and attributes.
    """

    copy: Copy
    delay: int | None
    size: int


def read_parcel(params: Params, message_id: str) -> Parcel:
    """A message to send, from the parameters of SendMessage or of an entry of its batch.

    Its size is left to the queue, which knows its limit.

    Args:
        params: The parameters.
        message_id: The id it gets.

    Raises:
        CallRefused: It is not legal.
    """
    body = params.text("MessageBody")
    if not body:
        raise params.refused(
            "The request must contain the parameter MessageBody.", "MissingParameter"
        )
    if _ILLEGAL.search(body):
        message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | …"
        raise params.refused(message, "InvalidMessageContents")
    attributes = _attributes(params)
    size = len(body.encode()) + sum(_size(name, each) for name, each in attributes.items())
    group = params.text("MessageGroupId", "")
    if group and not _GROUP.fullmatch(group):
        raise params.refused(f"MessageGroupId {group!r} is not legal")
    delay: int | None = None
    if "DelaySeconds" in params.values:
        delay = params.number("DelaySeconds", 0, 0, SQS_DELAY_SECONDS)
    copy = Copy(message_id, body, attributes, _trace(params), group)
    return Parcel(copy, delay, size)


def _trace(params: Params) -> str:
    system = params.child("MessageSystemAttributes")
    if not set(system.values) <= {"AWSTraceHeader"}:
        raise params.refused("AWSTraceHeader is the only system attribute that can be sent")
    # It does not count toward the size of the message (SendMessage reference).
    return system.child("AWSTraceHeader").text("StringValue") if system.values else ""


def _attributes(params: Params) -> dict[str, Mapping[str, object]]:
    given = params.child("MessageAttributes")
    if len(given.values) > SQS_ATTRIBUTES:
        raise params.refused(f"Number of message attributes exceeds {SQS_ATTRIBUTES}")
    found = {name: given.child(name) for name in given.values}
    for name, attribute in found.items():
        _check_attribute(name, attribute)
    return {name: dict(attribute.values) for name, attribute in found.items()}


def _check_attribute(name: str, attribute: Params) -> None:
    if not _NAME.fullmatch(name) or ".." in name:
        raise attribute.refused(f"Message attribute name {name!r} is invalid")
    kind = attribute.text("DataType", "")
    if not _TYPE.fullmatch(kind):
        raise attribute.refused(f"Message attribute {name!r} has no legal type: {kind!r}")
    binary = kind.startswith("Binary")
    value = attribute.values.get("BinaryValue" if binary else "StringValue")
    if not isinstance(value, bytes if binary else str) or not value:
        raise attribute.refused(f"Message attribute {name!r} must contain a non-empty value")
    if isinstance(value, str) and _ILLEGAL.search(value):
        raise attribute.refused(
            f"Message attribute {name!r} has characters outside the allowed set"
        )


def _size(name: str, attribute: Mapping[str, object]) -> int:
    # Name, type and value count ("Amazon SQS message quotas").
    total = len(name.encode()) + len(str(attribute.get("DataType", "")))
    value = attribute.get("StringValue", attribute.get("BinaryValue"))
    return total + len(value if isinstance(value, bytes) else str(value).encode())


def as_entry_fault(entry_id: str, error: CallRefused) -> dict[str, object]:
    """A refusal as an entry of ``Failed`` in a batch's reply."""
    return {"Id": entry_id, "Code": error.code, "Message": words(error), "SenderFault": True}
