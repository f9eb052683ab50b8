"""What every queue does, by the calls that `ftq.wire.queue` makes."""

from __future__ import annotations

import asyncio

import pytest

from ftq.errors import CallRefused
from ftq.ports import Call
from ftq.text import dump
from ftq.wire import queue
from ftq.wire.queue import Outgoing, mark
from tests.contract.stages import PATIENCE, SHORT, VISIBILITY, QueueStage, on_queues

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
MIB = 1_048_576
# aiohttp warns of bodies past a mebibyte; ftq never sends one, these tests do.
big = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")


def loop_time() -> float:
    return asyncio.get_running_loop().time()


# --- what goes in comes out ------------------------------------------------------------------


@on_queues
async def test_a_message_comes_out_as_it_went_in(stage: QueueStage) -> None:
    attributes = {**mark("stored", "1"), **mark("claim_no", "7"), **mark("n", "ä€😀")}
    await stage.send(Outgoing('{"a":"ä€😀\t\n"}', attributes))
    message = await stage.one()
    assert message.body == '{"a":"ä€😀\t\n"}'
    assert message.attributes == attributes
    assert message.stored
    assert message.claim_no == 7
    assert message.message_id


@on_queues
async def test_a_message_without_attributes_comes_out_without(stage: QueueStage) -> None:
    await stage.sent("bare")
    message = await stage.one()
    assert message.attributes == {}
    assert not message.stored
    assert message.claim_no is None
    assert message.trace == ""


@on_queues
async def test_numbers_bytes_and_custom_types_are_attributes_too(stage: QueueStage) -> None:
    attributes: dict[str, queue.Attribute] = {
        "n": {"DataType": "Number", "StringValue": "4.20"},
        "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        "c": {"DataType": "String.json", "StringValue": "{}"},
    }
    await stage.send(Outgoing("typed", attributes))
    assert (await stage.one()).attributes == attributes


@on_queues
async def test_a_received_message_can_be_sent_on_as_it_is(stage: QueueStage) -> None:
    attributes = {
        "theirs": {"DataType": "Binary", "BinaryValue": b"\x01"},
        **mark("stored", "1"),
    }
    await stage.send(Outgoing("again", attributes))
    first = await stage.one()
    copy = queue.copy_of(first, mark("cause", "attempts_spent"))
    assert await stage.send(copy) == [None]
    second = await stage.one()
    assert second.body == first.body
    assert second.attributes == {**attributes, **mark("cause", "attempts_spent")}
    assert second.message_id != first.message_id


@on_queues
async def test_the_trace_header_travels_beside_the_attributes(stage: QueueStage) -> None:
    await stage.port.call(queue.send(stage.url, Outgoing("one", trace=TRACE)))
    assert (await stage.one()).trace == TRACE
    await stage.send(Outgoing("batch", trace=TRACE))
    message = await stage.one()
    with stage.truth("a batch keeps the trace header"):
        assert message.trace == TRACE


@on_queues
async def test_a_message_keeps_its_group(stage: QueueStage) -> None:
    assert await stage.send(Outgoing("grouped", group="tenant-1")) == [None]
    assert (await stage.one()).group == "tenant-1"


@on_queues
async def test_a_message_tells_when_it_was_sent_and_first_received(stage: QueueStage) -> None:
    await stage.sent("timed")
    first = await stage.one(visibility=0)
    second = await stage.one()
    assert 0 < first.sent_at <= first.first_received_at
    assert second.sent_at == first.sent_at
    assert second.first_received_at == first.first_received_at


@on_queues
async def test_ten_messages_go_in_one_call_and_come_in_one_call(stage: QueueStage) -> None:
    await stage.sent(*(f"n{n}" for n in range(10)))
    bodies: set[str] = set()
    for _ in range(10):
        # A receive may bring fewer than there are.
        bodies |= {message.body for message in await stage.receive(wait=1)}
        if len(bodies) == 10:
            break
    assert bodies == {f"n{n}" for n in range(10)}


@on_queues
async def test_a_receive_brings_no_more_than_it_asked_for(stage: QueueStage) -> None:
    await stage.sent("a", "b", "c")
    assert len(await stage.receive(2, wait=1)) in (1, 2)


# --- visibility ------------------------------------------------------------------------------


@on_queues
async def test_a_received_message_is_hidden_until_its_timeout_is_over(stage: QueueStage) -> None:
    await stage.sent("hidden")
    began = loop_time()
    first = await stage.one(visibility=SHORT)
    assert await stage.receive() == []
    second = await stage.one()
    assert loop_time() - began >= SHORT - 0.1
    assert second.message_id == first.message_id
    assert second.handle != first.handle


@on_queues
async def test_each_receive_is_counted(stage: QueueStage) -> None:
    await stage.sent("counted")
    counts = [(await stage.one(visibility=0)).receive_count for _ in range(3)]
    assert counts == [1, 2, 3]


@on_queues
async def test_hiding_for_zero_seconds_shows_at_once(stage: QueueStage) -> None:
    await stage.sent("released")
    first = await stage.one(visibility=VISIBILITY)
    assert await stage.hide(first, 0) is None
    second = await stage.one()
    assert second.message_id == first.message_id


@on_queues
async def test_hiding_counts_from_now_and_not_from_the_receive(stage: QueueStage) -> None:
    await stage.sent("extended")
    first = await stage.one(visibility=VISIBILITY)
    began = loop_time()
    assert await stage.hide(first, SHORT) is None
    assert await stage.receive() == []
    assert (await stage.one()).message_id == first.message_id
    assert SHORT - 0.1 <= loop_time() - began < VISIBILITY / 2


@on_queues
async def test_a_hidden_message_can_still_be_hidden_longer_and_deleted(stage: QueueStage) -> None:
    await stage.sent("long")
    message = await stage.one(visibility=SHORT)
    assert await stage.hide(message, VISIBILITY) is None
    assert await stage.receive(wait=2 * SHORT) == []
    assert await stage.delete(message) == [None]
    assert (await stage.attributes())["ApproximateNumberOfMessagesNotVisible"] == "0"


@on_queues
async def test_a_message_whose_timeout_is_over_cannot_be_hidden_again(stage: QueueStage) -> None:
    await stage.sent("late")
    late = await stage.one(visibility=SHORT)
    # Nobody takes it: it is seen to be back by its count.
    for _ in range(PATIENCE):
        if (await stage.attributes())["ApproximateNumberOfMessages"] == "1":
            break
        await stage.receive(wait=1, url=stage.dlq_url)
    with stage.truth("a message whose timeout is over is not in flight"):
        assert await stage.hide(late, VISIBILITY) is not None
        assert (await stage.one()).message_id == late.message_id


@on_queues
async def test_a_superseded_handle_changes_no_visibility(stage: QueueStage) -> None:
    await stage.sent("taken over")
    old = await stage.one(visibility=0)
    new = await stage.one()
    with stage.truth("a superseded handle changes no visibility"):
        assert await stage.hide(old, 0) is not None
        assert await stage.receive() == []
    assert await stage.hide(new, 0) is None


@on_queues
async def test_a_deleted_message_cannot_be_hidden(stage: QueueStage) -> None:
    await stage.sent("gone")
    message = await stage.one()
    assert await stage.delete(message) == [None]
    assert await stage.hide(message, 0) is not None
    assert await stage.receive() == []


@on_queues
async def test_a_visibility_timeout_ends_at_twelve_hours(stage: QueueStage) -> None:
    await stage.sent("for ever")
    message = await stage.one()
    with stage.truth("a visibility timeout has an end"):
        assert await stage.hide(message, 43_201) is not None


# --- delays and waiting ----------------------------------------------------------------------


@on_queues
async def test_a_delayed_message_is_not_shown_before_its_time(stage: QueueStage) -> None:
    began = loop_time()
    await stage.send(Outgoing("later", delay_seconds=SHORT))
    assert await stage.receive() == []
    assert (await stage.one()).body == "later"
    assert loop_time() - began >= SHORT - 0.1


@on_queues
async def test_a_delay_ends_at_fifteen_minutes(stage: QueueStage) -> None:
    assert await stage.send(Outgoing("in time", delay_seconds=900)) == [None]
    with stage.truth("a delay has an end"):
        (fault,) = await stage.send(Outgoing("too late", delay_seconds=901))
        assert fault is not None


@on_queues
async def test_a_long_poll_returns_as_soon_as_something_arrives(stage: QueueStage) -> None:
    began = loop_time()
    poll = asyncio.create_task(stage.one(wait=PATIENCE))
    await asyncio.sleep(0)
    await stage.sent("arrived")
    assert (await poll).body == "arrived"
    assert loop_time() - began < PATIENCE - 1


@on_queues
async def test_a_long_poll_returns_as_soon_as_something_is_released(stage: QueueStage) -> None:
    await stage.sent("released")
    message = await stage.one()
    began = loop_time()
    poll = asyncio.create_task(stage.one(wait=PATIENCE))
    await asyncio.sleep(0)
    await stage.hide(message, 0)
    assert (await poll).message_id == message.message_id
    assert loop_time() - began < PATIENCE - 1


@on_queues
async def test_a_long_poll_that_finds_nothing_waits_to_its_end(stage: QueueStage) -> None:
    began = loop_time()
    assert await stage.receive(wait=1) == []
    assert 0.9 <= loop_time() - began < PATIENCE


# --- deleting --------------------------------------------------------------------------------


@on_queues
async def test_a_deleted_message_never_comes_back(stage: QueueStage) -> None:
    await stage.sent("once")
    assert await stage.delete(await stage.one(visibility=SHORT)) == [None]
    assert await stage.receive(wait=2 * SHORT) == []


@on_queues
async def test_deleting_twice_reports_success(stage: QueueStage) -> None:
    await stage.sent("twice")
    message = await stage.one()
    assert await stage.delete(message) == [None]
    with stage.truth("deleting twice reports success"):
        assert await stage.delete(message) == [None]


@on_queues
async def test_deleting_with_a_superseded_handle_deletes_nothing_and_says_nothing(
    stage: QueueStage,
) -> None:
    await stage.sent("taken over")
    old = await stage.one(visibility=0)
    new = await stage.one()
    with stage.truth("deleting with a superseded handle reports success"):
        assert await stage.delete(old) == [None]
    with stage.truth("deleting with a superseded handle deletes nothing"):
        assert await stage.hide(new, 0) is None
        assert (await stage.one()).message_id == old.message_id


# --- batches that half fail ------------------------------------------------------------------


@on_queues
async def test_an_illegal_message_fails_alone(stage: QueueStage) -> None:
    faults = await stage.send(Outgoing("good"), Outgoing("bad \x00"), Outgoing("good too"))
    assert faults[0] is None
    assert faults[1] is not None
    assert faults[2] is None
    with stage.truth("a sender's fault is called one"):
        assert not faults[1].transient
    found = [*await stage.receive(wait=1), *await stage.receive()]
    assert sorted(message.body for message in found) == ["good", "good too"]


@on_queues
async def test_a_handle_that_is_none_fails_alone(stage: QueueStage) -> None:
    await stage.sent("deleted")
    message = await stage.one(visibility=SHORT)
    call = queue.delete_batch(stage.url, ["no handle", message.handle])
    faults = queue.read_batch(await stage.port.call(call), 2)
    assert faults[0] is not None
    assert faults[1] is None
    assert await stage.receive(wait=2 * SHORT) == []


@on_queues
async def test_hides_fail_one_by_one(stage: QueueStage) -> None:
    await stage.sent("shown")
    message = await stage.one()
    call = queue.hide_batch(stage.url, [("no handle", 0), (message.handle, 0)])
    faults = queue.read_batch(await stage.port.call(call), 2)
    assert faults[0] is not None
    assert faults[1] is None
    assert (await stage.one()).message_id == message.message_id


@on_queues
async def test_eleven_entries_are_refused_whole(stage: QueueStage) -> None:
    with pytest.raises(CallRefused) as refused:
        await stage.send(*[Outgoing("one too many")] * 11)
    assert refused.value.code.endswith("TooManyEntriesInBatchRequest")
    assert await stage.receive() == []


@on_queues
async def test_no_entries_are_refused(stage: QueueStage) -> None:
    with pytest.raises(CallRefused) as refused:
        await stage.send()
    assert refused.value.code.endswith("EmptyBatchRequest")


@on_queues
async def test_two_entries_with_one_id_are_refused_whole(stage: QueueStage) -> None:
    entry = {"Id": "0", "MessageBody": "twice"}
    request: dict[str, object] = {"QueueUrl": stage.url, "Entries": [entry, entry]}
    with pytest.raises(CallRefused) as refused:
        await stage.port.call(Call("sqs", "SendMessageBatch", request))
    assert refused.value.code.endswith("BatchEntryIdsNotDistinct")
    assert await stage.receive() == []


# --- what a message may be -------------------------------------------------------------------


@on_queues
async def test_every_character_at_the_edge_of_what_is_legal_survives(stage: QueueStage) -> None:
    body = "\t\n\r \ud7ff\ue000\ufffd\U00010000\U0010ffff"
    await stage.sent(body)
    assert (await stage.one()).body == body


@on_queues
async def test_every_character_outside_is_refused(stage: QueueStage) -> None:
    illegal = ["\x00", "\x08", "\x0b", "\x0c", "\x0e", "\x1f", "\ufffe", "\uffff"]
    faults = await stage.send(*(Outgoing(f"x{each}") for each in illegal))
    assert [fault is not None and fault.code for fault in faults] == ["InvalidMessageContents"] * 8


@on_queues
async def test_what_the_codec_writes_is_legal(stage: QueueStage) -> None:
    body = dump({"text": "\x00\x1f\ufffe\uffff\u2028"})
    await stage.sent(body)
    assert (await stage.one()).body == body


@big
@on_queues
async def test_a_message_has_up_to_one_mebibyte(stage: QueueStage) -> None:
    await stage.port.call(queue.send(stage.url, Outgoing("x" * MIB)))
    with pytest.raises(CallRefused) as refused:
        await stage.port.call(queue.send(stage.url, Outgoing("x" * (MIB + 1))))
    assert refused.value.code == "InvalidParameterValue"


@big
@on_queues
async def test_a_batch_has_up_to_one_mebibyte_in_all(stage: QueueStage) -> None:
    with pytest.raises(CallRefused) as refused:
        await stage.send(Outgoing("x" * (MIB // 2)), Outgoing("x" * (MIB // 2 + 1)))
    assert refused.value.code.endswith("BatchRequestTooLong")
    assert await stage.receive() == []


@big
@on_queues
async def test_attributes_count_toward_the_size(stage: QueueStage) -> None:
    call = queue.send(stage.url, Outgoing("x" * (MIB - 10), mark("stored", "1")))
    with stage.truth("attributes count toward the size"), pytest.raises(CallRefused):
        await stage.port.call(call)


@on_queues
async def test_a_message_has_ten_attributes_at_most(stage: QueueStage) -> None:
    many = {f"a{n}": mark("x", "1")["x"] for n in range(11)}
    ten = dict(list(many.items())[:10])
    assert await stage.send(Outgoing("ten", ten)) == [None]
    with stage.truth("a message has ten attributes at most"):
        (fault,) = await stage.send(Outgoing("eleven", many))
        assert fault is not None


@on_queues
async def test_an_attribute_is_never_empty(stage: QueueStage) -> None:
    (fault,) = await stage.send(Outgoing("empty", mark("cause", "")))
    with stage.truth("an attribute is never empty"):
        assert fault is not None


# --- the queue itself ------------------------------------------------------------------------


@on_queues
async def test_a_purge_takes_everything_even_what_is_in_flight(stage: QueueStage) -> None:
    await stage.sent("waits", "flies")
    await stage.receive(1, wait=1, visibility=SHORT)
    await stage.port.call(Call("sqs", "PurgeQueue", {"QueueUrl": stage.url}))
    assert await stage.receive(wait=2 * SHORT) == []


@on_queues
async def test_a_queue_counts_what_waits_flies_and_is_delayed(stage: QueueStage) -> None:
    await stage.sent("waits", "flies")
    await stage.send(Outgoing("delayed", delay_seconds=VISIBILITY))
    await stage.receive(1, wait=1)
    found = await stage.attributes()
    names = ("", "NotVisible", "Delayed")
    assert [found[f"ApproximateNumberOfMessages{name}"] for name in names] == ["1", "1", "1"]


@on_queues
async def test_a_message_received_too_often_goes_to_the_dead_letters(stage: QueueStage) -> None:
    policy = dump({"deadLetterTargetArn": stage.dlq_arn, "maxReceiveCount": 2})
    request: dict[str, object] = {"QueueUrl": stage.url, "Attributes": {"RedrivePolicy": policy}}
    await stage.port.call(Call("sqs", "SetQueueAttributes", request))
    await stage.send(Outgoing("poison", mark("stored", "1")))
    assert (await stage.one(visibility=0)).receive_count == 1
    assert (await stage.one(visibility=0)).receive_count == 2
    assert await stage.receive(wait=1) == []
    (dead,) = await stage.receive(wait=PATIENCE, url=stage.dlq_url)
    assert (dead.body, dead.stored) == ("poison", True)


@on_queues
async def test_our_dead_letters_are_moved_back_by_sqs_if_told_where_to(stage: QueueStage) -> None:
    dead = Outgoing("dead", mark("claim_no", "3"))
    await stage.port.call(queue.send(stage.dlq_url, dead))
    with stage.truth("dead letters can be moved by SQS"):
        await stage.port.call(queue.move_dead_letters(stage.dlq_arn, stage.arn))
        message = await stage.one()
        assert (message.body, message.claim_no) == ("dead", 3)


async def failure_of_move(stage: QueueStage) -> str:
    """Why the last move out of the dead letters failed, as soon as it has."""
    for _ in range(PATIENCE):
        request: dict[str, object] = {"SourceArn": stage.dlq_arn}
        match await stage.port.call(Call("sqs", "ListMessageMoveTasks", request)):
            case {"Results": [{"Status": "FAILED", "FailureReason": str(reason)}]}:
                return reason
        await stage.receive(wait=1)
    return "it did not fail"


@on_queues
async def test_our_dead_letters_have_no_source_to_go_back_to(stage: QueueStage) -> None:
    await stage.port.call(queue.send(stage.dlq_url, Outgoing("dead", mark("claim_no", "3"))))
    source: dict[str, object] = {"SourceArn": stage.dlq_arn}
    with stage.truth("what SQS did not move has no source"):
        await stage.port.call(Call("sqs", "StartMessageMoveTask", source))
        reason = await failure_of_move(stage)
        assert reason.endswith("CouldNotDetermineMessageSource")
        assert [m.body for m in await stage.receive(wait=1, url=stage.dlq_url)] == ["dead"]


@on_queues
async def test_a_queue_that_is_not_there_is_refused_and_nothing_else(stage: QueueStage) -> None:
    missing = stage.url + "-missing"
    calls = [
        queue.send_batch(missing, [Outgoing("x")]),
        queue.receive(missing, 1, 0, 1),
        queue.delete_batch(missing, ["h"]),
        queue.hide_batch(missing, [("h", 0)]),
        queue.depth(missing),
    ]
    for call in calls:
        with pytest.raises(CallRefused) as refused:
            await stage.port.call(call)
        assert refused.value.code == "AWS.SimpleQueueService.NonExistentQueue"
        assert refused.value.operation == call.operation
