from __future__ import annotations

import asyncio

import pytest

from ftq.errors import CallRefused, Throttled
from ftq.ports import Call
from ftq.testing import MemoryAws, now_ms
from ftq.testing.clock import run
from ftq.text import dump
from ftq.wire import create, queue
from ftq.wire.queue import EntryFault, Message, Outgoing, mark

HOUR = 3600


def make(aws: MemoryAws, name: str = "q", **attributes: str) -> str:
    call = Call("sqs", "CreateQueue", {"QueueName": name, "Attributes": attributes})
    return str(aws.apply(call)["QueueUrl"])


def arn(aws: MemoryAws, url: str) -> str:
    return queue.read_attributes(aws.apply(queue.depth(url)))["QueueArn"]


def send(aws: MemoryAws, url: str, *bodies: str) -> None:
    aws.apply(queue.send_batch(url, [Outgoing(body) for body in bodies]))


async def receive(
    aws: MemoryAws, url: str, limit: int = 10, wait: int = 0, visibility: int = 30
) -> list[Message]:
    return queue.read_receive(await aws.call(queue.receive(url, limit, wait, visibility)))


def hide(aws: MemoryAws, url: str, message: Message, seconds: int) -> EntryFault | None:
    reply = aws.apply(queue.hide_batch(url, [(message.handle, seconds)]))
    return queue.read_batch(reply, 1)[0]


def test_a_message_comes_back_twelve_hours_after_its_receipt_and_no_later() -> None:
    async def main() -> None:
        aws = MemoryAws()
        url = make(aws)
        send(aws, url, "long")
        (message,) = await receive(aws, url)
        await asyncio.sleep(20)
        fault = hide(aws, url, message, 12 * HOUR - 19)
        assert fault is not None
        assert fault.code == "InvalidParameterValue"
        assert hide(aws, url, message, 12 * HOUR - 20) is None
        await asyncio.sleep(12 * HOUR - 21)
        assert await receive(aws, url) == []
        await asyncio.sleep(1)
        assert len(await receive(aws, url)) == 1

    run(main)


def test_a_hide_that_came_too_late_leaves_the_message_visible() -> None:
    async def main() -> None:
        aws = MemoryAws()
        url = make(aws)
        send(aws, url, "late")
        (message,) = await receive(aws, url, visibility=5)
        await asyncio.sleep(5)
        fault = hide(aws, url, message, 30)
        assert fault is not None
        assert fault.code == "MessageNotInflight"
        assert len(await receive(aws, url)) == 1

    run(main)


def test_a_full_queue_refuses_short_polls_and_leaves_long_ones_waiting() -> None:
    async def main() -> None:
        aws = MemoryAws(in_flight_limit=2)
        url = make(aws)
        send(aws, url, "a", "b", "c")
        first, second = await receive(aws, url)
        with pytest.raises(Throttled) as refused:
            await receive(aws, url)
        assert refused.value.code == "OverLimit"
        assert await receive(aws, url, wait=1) == []
        fault = hide(aws, url, first, 10)
        assert fault is not None
        assert fault.over_limit
        began = now_ms()
        poll = asyncio.create_task(receive(aws, url, wait=20))
        await asyncio.sleep(1)
        assert hide(aws, url, second, 0) is None
        assert len(await poll) == 1
        assert now_ms() - began == 1_000

    run(main)


def test_a_poll_that_was_given_up_still_swallows_a_message() -> None:
    async def main() -> None:
        aws = MemoryAws()
        url = make(aws)
        poll = asyncio.create_task(receive(aws, url, wait=20, visibility=30))
        await asyncio.sleep(1)
        poll.cancel()
        await asyncio.wait([poll])
        send(aws, url, "swallowed")
        await asyncio.sleep(1)
        assert await receive(aws, url) == []
        assert [m.receive_count for m in await receive(aws, url, wait=20)] == []
        assert [m.receive_count for m in await receive(aws, url, wait=20)] == [2]

    run(main)


def test_a_message_ends_with_its_retention() -> None:
    async def main() -> None:
        aws = MemoryAws()
        url = make(aws, MessageRetentionPeriod="60")
        send(aws, url, "old")
        await asyncio.sleep(59)
        assert len(await receive(aws, url, visibility=0)) == 1
        await asyncio.sleep(1)
        assert await receive(aws, url) == []

    run(main)


def test_the_queues_own_settings_hold_where_a_call_says_nothing() -> None:
    async def main() -> None:
        aws = MemoryAws()
        url = make(aws, DelaySeconds="5", VisibilityTimeout="7", ReceiveMessageWaitTimeSeconds="20")
        send(aws, url, "x")
        bare = Call("sqs", "ReceiveMessage", {"QueueUrl": url})
        began = now_ms()
        reply = await aws.call(bare)
        (message,) = queue.read_receive(reply)
        assert now_ms() - began == 5_000
        assert (message.body, message.receive_count) == ("x", 0)
        await aws.call(bare)
        assert now_ms() - began == 12_000

    run(main)


def test_a_queue_can_be_purged_once_a_minute() -> None:
    async def main() -> None:
        aws = MemoryAws()
        purge = Call("sqs", "PurgeQueue", {"QueueUrl": make(aws)})
        await aws.call(purge)
        with pytest.raises(CallRefused, match="PurgeQueueInProgress"):
            await aws.call(purge)
        await asyncio.sleep(60)
        await aws.call(purge)

    run(main)


def with_dead_letters(aws: MemoryAws, count: int = 1) -> tuple[str, str]:
    dlq = make(aws, "dead")
    policy = dump({"deadLetterTargetArn": arn(aws, dlq), "maxReceiveCount": count})
    return make(aws, "q", RedrivePolicy=policy), dlq


def test_what_sqs_moved_itself_keeps_its_marks_and_can_go_back_by_itself() -> None:
    async def main() -> None:
        aws = MemoryAws()
        url, dlq = with_dead_letters(aws)
        aws.apply(queue.send(url, Outgoing("poison", mark("stored", "1"))))
        (sent,) = await receive(aws, url, visibility=0)
        assert await receive(aws, url) == []
        (dead,) = aws.queue(dlq).messages()
        assert (dead.message_id, dead.sent_at) == (sent.message_id, sent.sent_at)
        assert dead.source_arn == arn(aws, url)
        move = Call("sqs", "StartMessageMoveTask", {"SourceArn": arn(aws, dlq)})
        aws.apply(move)
        (back,) = await receive(aws, url)
        assert (back.body, back.stored, back.receive_count) == ("poison", True, 1)
        assert back.message_id != sent.message_id

    run(main)


def test_only_dead_letters_can_be_moved() -> None:
    aws = MemoryAws()
    url, dlq = with_dead_letters(aws)
    with pytest.raises(CallRefused, match="Dead Letter Queue"):
        aws.apply(queue.move_dead_letters(arn(aws, url), arn(aws, dlq)))


def test_a_redrive_policy_needs_a_queue_that_is_there() -> None:
    aws = MemoryAws()
    policy = dump({"deadLetterTargetArn": arn(aws, make(aws)) + "x", "maxReceiveCount": 1})
    with pytest.raises(CallRefused, match="RedrivePolicy"):
        make(aws, "other", RedrivePolicy=policy)


def test_a_queue_is_made_once_and_found_by_name() -> None:
    aws = MemoryAws()
    url = str(aws.apply(create.queue("q"))["QueueUrl"])
    assert aws.apply(create.queue("q"))["QueueUrl"] == url
    assert aws.apply(Call("sqs", "GetQueueUrl", {"QueueName": "q"})) == {"QueueUrl": url}
    with pytest.raises(CallRefused) as refused:
        make(aws, "q", VisibilityTimeout="7")
    assert refused.value.code == "QueueAlreadyExists"


@pytest.mark.parametrize(
    ("name", "value"),
    [("VisibilityTimeout", "43201"), ("DelaySeconds", "x"), ("Colour", "green")],
)
def test_an_attribute_that_a_queue_cannot_have_is_refused(name: str, value: str) -> None:
    with pytest.raises(CallRefused):
        make(MemoryAws(), **{name: value})


@pytest.mark.parametrize(
    "attributes",
    [
        {"AWS.reserved": {"DataType": "String", "StringValue": "1"}},
        {"with space": {"DataType": "String", "StringValue": "1"}},
        {"ends.": {"DataType": "String", "StringValue": "1"}},
        {"untyped": {"StringValue": "1"}},
        {"odd": {"DataType": "List", "StringValue": "1"}},
        {"binary": {"DataType": "Binary", "StringValue": "1"}},
        {"control": {"DataType": "String", "StringValue": "\x00"}},
    ],
    ids=str,
)
def test_an_attribute_that_a_message_cannot_have_is_refused(
    attributes: dict[str, dict[str, object]],
) -> None:
    aws = MemoryAws()
    with pytest.raises(CallRefused):
        aws.apply(queue.send(make(aws), Outgoing("x", attributes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"MaxNumberOfMessages": 11},
        {"MaxNumberOfMessages": 0},
        {"WaitTimeSeconds": 21},
        {"VisibilityTimeout": 43_201},
        {"VisibilityTimeout": -1},
    ],
    ids=str,
)
def test_a_receive_out_of_bounds_is_refused(changes: dict[str, object]) -> None:
    aws = MemoryAws()
    call = queue.receive(make(aws), 1, 0, 1)
    with pytest.raises(CallRefused) as refused:
        aws.apply(Call("sqs", call.operation, {**call.request, **changes}))
    assert refused.value.code == "InvalidParameterValue"


def test_a_receive_brings_no_message_twice_even_if_it_hides_none() -> None:
    async def main() -> None:
        aws = MemoryAws()
        url = make(aws)
        send(aws, url, "a", "b")
        found = await receive(aws, url, visibility=0)
        assert [message.body for message in found] == ["a", "b"]

    run(main)


def test_two_polls_share_what_arrives() -> None:
    async def main() -> None:
        aws = MemoryAws()
        url = make(aws)
        polls = [asyncio.create_task(receive(aws, url, 1, wait=20)) for _ in range(2)]
        await asyncio.sleep(1)
        send(aws, url, "a", "b")
        found = [message.body for messages in await asyncio.gather(*polls) for message in messages]
        assert sorted(found) == ["a", "b"]

    run(main)


def test_a_received_message_does_not_change_with_a_later_receive() -> None:
    async def main() -> None:
        aws = MemoryAws()
        url = make(aws)
        send(aws, url, "x")
        (first,) = await receive(aws, url, visibility=0)
        (second,) = await receive(aws, url, visibility=0)
        assert (first.receive_count, second.receive_count) == (1, 2)
        assert first.handle != second.handle

    run(main)
