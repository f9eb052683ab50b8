"""What a queue has to be, by its attributes: pure functions over values."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from ftq.limits import SQS_BATCH_BYTES
from ftq.ports import Call
from ftq.text import Json, dump
from ftq.wire import create
from ftq.wire.queue import read_object
from ftq_cli.diagnosis.finding import (
    Finding,
    command,
    right,
    unguarded,
    unknown,
    warning,
    wrong,
)
from ftq_cli.diagnosis.wanted import Wanted

Attributes: TypeAlias = Mapping[str, str]

DAY: Final = 86_400
# The daemon sends a copy that comes within 10 of it afresh; those of killed daemons and of deploys
# come on top, and nobody counts them before SQS does.
_FEW_RECEIVES: Final = 100
_SID: Final = "NothingWithoutTls"


def queues(wanted: Wanted, url: str, queue: Attributes, dlq: Attributes | None) -> list[Finding]:
    """What is to be said of a queue that is there."""
    found = [_dead_lettering(url, queue, dlq), _visibility(wanted, url, queue)]
    if dlq is not None:
        found.append(_forgets(wanted, queue, dlq))
    found += _both("", url, queue, on_aws=wanted.on_aws)
    found += [_poll(url, queue), *_delays(url, queue)]
    return found


def dead_letters(wanted: Wanted, dlq: Attributes) -> list[Finding]:
    """What is to be said of a dead-letter queue that is there."""
    return _both("dead-letter ", wanted.dlq_url, dlq, on_aws=wanted.on_aws)


def differ(wanted: Wanted) -> Finding:
    """Whether dead letters go somewhere else than they come from."""
    name = "queues differ"
    if not wanted.dlq_url:
        return unknown(name, "FTQ_DLQ_URL is not set here")
    if wanted.dlq_url in (wanted.queue_url, *wanted.more.values()):
        return wrong(name, "FTQ_DLQ_URL is a queue of tasks: each dead letter would run again")
    return right(name, "the dead-letter queue is another one")


def _both(prefix: str, url: str, queue: Attributes, *, on_aws: bool) -> list[Finding]:
    return [
        _standard(f"{prefix}kind", url, queue),
        _keeps(f"{prefix}retention", url, queue),
        _size(f"{prefix}message size", url, queue),
        _encryption(f"{prefix}encryption", url, queue, on_aws=on_aws),
        _tls(f"{prefix}TLS only", url, queue, on_aws=on_aws),
    ]


def _set(url: str, **attributes: str) -> str:
    request: dict[str, object] = {"QueueUrl": url, "Attributes": attributes}
    return command(Call("sqs", "SetQueueAttributes", request))


def _dead_lettering(url: str, queue: Attributes, dlq: Attributes | None) -> Finding:
    name = "redrive policy"
    policy = read_object(queue, "RedrivePolicy")
    target, count = policy.get("deadLetterTargetArn"), policy.get("maxReceiveCount")
    arn = dlq.get("QueueArn", "") if dlq is not None else str(target or "")
    best = {"deadLetterTargetArn": arn, "maxReceiveCount": create.MAX_RECEIVE_COUNT}
    mend = _set(url, RedrivePolicy=dump(best)) if arn else ""
    if not target:
        where = "" if arn else "; with FTQ_DLQ_URL set here, doctor says how"
        return wrong(name, f"there is none: the net for what cannot even be claimed{where}", mend)
    if target != arn:
        return wrong(name, f"it leads to {target}, which is not FTQ_DLQ_URL's queue", mend)
    receives = int(str(count)) if str(count).isdecimal() else 0
    if receives >= create.MAX_RECEIVE_COUNT:
        return right(name, f"leads to {target}, after {receives} receives")
    detail = f"after {receives} receives, and releases and deploys are receives too"
    if receives < _FEW_RECEIVES:
        return wrong(name, f"{detail}: healthy tasks would be dead-lettered", mend)
    return warning(name, f"{detail}: {create.MAX_RECEIVE_COUNT} is better", mend)


def _visibility(wanted: Wanted, url: str, queue: Attributes) -> Finding:
    # The daemon asks for its own with each receive; the queue's is what anyone else gets.
    name, has = "visibility timeout", _number(queue, "VisibilityTimeout")
    asks = wanted.visibility_seconds
    if asks < 8:
        detail = f"FTQ_VISIBILITY_SECONDS={asks}: at least 8 (3 beats and 5 s)"
        return wrong(name, detail, "export FTQ_VISIBILITY_SECONDS=60")
    if has > asks * 10:
        detail = f"the queue's is {has} s, for whoever asks for none; daemons ask for {asks} s"
        return warning(name, detail, _set(url, VisibilityTimeout=str(asks)))
    return right(name, f"daemons ask for {asks} s; the queue's own is {has} s")


def _forgets(wanted: Wanted, queue: Attributes, dlq: Attributes) -> Finding:
    name = "records outlive messages"
    keeps = _number(queue, "MessageRetentionPeriod") + _number(dlq, "MessageRetentionPeriod")
    days = wanted.retention_days
    if days * DAY > keeps:
        return right(name, f"records {days} days, messages at most {keeps / DAY:g}")
    detail = (
        f"FTQ_RETENTION_DAYS={days}: must be more than both queues keep a message together, "
        f"{keeps / DAY:g} days (PROTOCOL R1); else a late copy finds no record"
    )
    return wrong(name, detail, f"export FTQ_RETENTION_DAYS={keeps // DAY + 1}")


def _standard(name: str, url: str, queue: Attributes) -> Finding:
    if queue.get("FifoQueue", "").lower() != "true":
        return right(name, "a standard queue")
    plain = url.rsplit("/", 1)[-1].removesuffix(".fifo")
    detail = "a FIFO queue: it refuses what ftq sends; make another, and let the setting name that"
    return wrong(name, detail, command(create.queue(plain)))


def _keeps(name: str, url: str, queue: Attributes) -> Finding:
    kept, most = _number(queue, "MessageRetentionPeriod"), create.RETENTION_SECONDS
    if kept >= most:
        return right(name, f"messages are kept for {kept / DAY:g} days")
    detail = f"messages are kept for {kept / DAY:g} days, {most / DAY:g} would be possible"
    return warning(name, detail, _set(url, MessageRetentionPeriod=str(most)))


def _size(name: str, url: str, queue: Attributes) -> Finding:
    size = _number(queue, "MaximumMessageSize")
    if "MaximumMessageSize" not in queue:
        return unknown(name, "the queue does not say")
    if size >= SQS_BATCH_BYTES:
        return right(name, f"up to {size // 1024} KiB")
    detail = f"up to {size} bytes: larger tasks are accepted, and then cannot be sent"
    return wrong(name, detail, _set(url, MaximumMessageSize=str(SQS_BATCH_BYTES)))


def _poll(url: str, queue: Attributes) -> Finding:
    name, seconds = "long poll", _number(queue, "ReceiveMessageWaitTimeSeconds")
    if seconds:
        return right(name, f"whoever asks for none waits {seconds} s")
    detail = "whoever asks for none asks in vain, at a price; daemons ask for their own"
    return warning(name, detail, _set(url, ReceiveMessageWaitTimeSeconds="20"))


def _delays(url: str, queue: Attributes) -> list[Finding]:
    if not (seconds := _number(queue, "DelaySeconds")):
        return []
    detail = f"the queue holds each message back for {seconds} s; ftq delays tasks by itself"
    return [warning("delay", detail, _set(url, DelaySeconds="0"))]


def _encryption(name: str, url: str, queue: Attributes, *, on_aws: bool) -> Finding:
    if key := queue.get("KmsMasterKeyId"):
        return right(name, f"by KMS, {key}")
    if queue.get("SqsManagedSseEnabled") == "true":
        return right(name, "by SQS's own keys")
    if "SqsManagedSseEnabled" not in queue:
        return unknown(name, "the queue does not say")
    mend = _set(url, SqsManagedSseEnabled="true")
    return unguarded(name, "messages are stored as they are", mend, on_aws=on_aws)


def _tls(name: str, url: str, queue: Attributes, *, on_aws: bool) -> Finding:
    policy, arn = read_object(queue, "Policy"), queue.get("QueueArn", "")
    said = policy.get("Statement", [])
    statements = said if isinstance(said, list) else [said]
    if any(_denies_plain(each, arn) for each in statements):
        return right(name, "its policy denies what comes without TLS")
    deny: Json = {
        "Sid": _SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    # What is allowed or denied already stays so; one statement of a name.
    others = [each for each in statements if not (isinstance(each, dict) and _SID in each.values())]
    best = {"Version": "2012-10-17", **policy, "Statement": [*others, deny]}
    mend = _set(url, Policy=dump(best))
    return unguarded(name, "no policy denies what comes without TLS", mend, on_aws=on_aws)


def _denies_plain(statement: Json, arn: str) -> bool:
    """Whether a statement denies everybody everything on this queue without TLS."""
    if not isinstance(statement, dict) or statement.get("Effect") != "Deny":
        return False
    principal, actions = statement.get("Principal"), _texts(statement.get("Action"))
    everybody = principal == "*" or principal == {"AWS": "*"} or principal == {"AWS": ["*"]}
    everything = any(each.lower() in ("*", "sqs:*") for each in actions)
    here = any(fnmatchcase(arn, each) for each in _texts(statement.get("Resource")))
    conditions = statement.get("Condition")
    # A second condition would deny less; one of another operator something else.
    if not isinstance(conditions, dict) or len(conditions) != 1:
        return False
    held = conditions.get("Bool", conditions.get("BoolIfExists"))
    if not isinstance(held, dict) or len(held) != 1:
        return False
    ((key, value),) = held.items()
    plain = key.lower() == "aws:securetransport" and [*_texts(value)] == ["false"]
    return everybody and everything and here and plain


def _texts(value: Json) -> list[str]:
    return [
        str(each).lower() if isinstance(each, bool) else str(each)
        for each in (value if isinstance(value, list) else [value])
    ]


def _number(attributes: Attributes, name: str) -> int:
    value = attributes.get(name, "")
    return int(value) if value.isdecimal() else 0
