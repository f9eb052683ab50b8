"""`ftq.wire.queue`: the SQS calls, and their replies read back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.wire.queue import (
    CAUSE,
    CLAIM_NO,
    REFUSED_SINCE,
    STORED,
    Attribute,
    EntryFault,
    Message,
    Outgoing,
    cause_of,
    copy_of,
    delete_batch,
    depth,
    hide_batch,
    mark,
    move_dead_letters,
    read_attributes,
    read_batch,
    read_receive,
    receive,
    send,
    send_batch,
    within_bytes,
)

NAMES = st.sampled_from(
    [
        "Messages",
        "ReceiptHandle",
        "Body",
        "Attributes",
        "MessageAttributes",
        "StringValue",
        "ApproximateReceiveCount",
        "SentTimestamp",
        "Failed",
        "Successful",
        "Id",
        "Code",
        "SenderFault",
        CLAIM_NO,
        REFUSED_SINCE,
    ]
)
GARBAGE: st.SearchStrategy[object] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        st.sampled_from(["0", "1", "-1", "9" * 5000, "²", "٣", " 1 "]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=12,
)
REPLIES = st.dictionaries(NAMES, GARBAGE, max_size=6)
ENTRIES = st.fixed_dictionaries({"Failed": st.lists(GARBAGE), "Successful": st.lists(GARBAGE)})
# SendMessage reference: what the value of an attribute may hold, on one line.
LEGAL = re.compile("[\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]{1,256}")


# --- receive ---------------------------------------------------------------------------------


def test_a_message_is_read_with_all_that_sqs_says_of_it() -> None:
    reply = {
        "Messages": [
            {
                "MessageId": "m1",
                "ReceiptHandle": "h1",
                "Body": "{}",
                "Attributes": {
                    "SentTimestamp": "5",
                    "ApproximateFirstReceiveTimestamp": "6",
                    "ApproximateReceiveCount": "2",
                    "AWSTraceHeader": "Root=1",
                    "MessageGroupId": "acme",
                },
                "MessageAttributes": {
                    "stored": {
                        "DataType": "String",
                        "StringValue": "1",
                        "StringListValues": [],
                        "BinaryListValues": [],
                    },
                    "odd": 7,
                },
            }
        ]
    }
    stored = {"DataType": "String", "StringValue": "1"}
    message = Message("h1", "m1", "{}", {"stored": stored}, "Root=1", "acme", 5, 6, 2)
    assert read_receive(reply) == [message]
    assert message.stored
    assert message.claim_no is None


@pytest.mark.parametrize(
    "reply",
    [{}, {"Messages": None}, {"Messages": {}}, {"Messages": [None, 7, {}, {"ReceiptHandle": 7}]}],
)
def test_what_has_no_receipt_handle_is_no_message(reply: dict[str, object]) -> None:
    assert read_receive(reply) == []


@given(REPLIES | st.fixed_dictionaries({"Messages": st.lists(GARBAGE)}))
def test_a_receive_of_garbage_never_raises_and_its_marks_can_be_read(
    reply: dict[str, object],
) -> None:
    for message in read_receive(reply):
        assert message.handle
        assert message.claim_no is None or isinstance(message.claim_no, int)
        assert isinstance(message.refused_since, int)
        assert copy_of(message, {}).body == message.body


@given(GARBAGE, GARBAGE, GARBAGE)
def test_a_message_of_garbage_with_a_handle_never_raises(
    attributes: object, system: object, body: object
) -> None:
    entry = {"ReceiptHandle": "h", "Body": body}
    entry |= {"MessageAttributes": attributes, "Attributes": system}
    [message] = read_receive({"Messages": [entry]})
    assert isinstance(message.body, str)
    assert isinstance(message.receive_count + message.sent_at + message.refused_since, int)


@pytest.mark.parametrize(
    ("value", "claim_no"), [("3", 3), ("x", None), ("", None), ("9" * 5000, None), ("1.5", None)]
)
def test_the_claim_a_message_carries_is_a_number_or_none(value: str, claim_no: int | None) -> None:
    assert Message("h", "m", "", mark(CLAIM_NO, value)).claim_no == claim_no


def test_a_message_is_refused_since_its_mark_or_its_first_receipt() -> None:
    fresh = Message("h", "m", "", first_received_at=9)
    assert fresh.refused_since == 9
    resent = Message("h", "m", "", mark(REFUSED_SINCE, "4"), first_received_at=9)
    assert resent.refused_since == 4


# --- copies ----------------------------------------------------------------------------------

ATTRIBUTES = st.dictionaries(
    st.sampled_from([STORED, CLAIM_NO, CAUSE, REFUSED_SINCE])
    | st.text("abcdefghij", min_size=1, max_size=2),
    st.just({"DataType": "String", "StringValue": "theirs"}),
    max_size=14,
)
MARKS = st.dictionaries(
    st.sampled_from([STORED, CLAIM_NO, CAUSE, REFUSED_SINCE]),
    st.just({"DataType": "String", "StringValue": "ours"}),
)


@given(ATTRIBUTES, MARKS)
def test_a_copy_keeps_ten_attributes_at_most_and_ours_before_the_producers(
    attributes: dict[str, Attribute], marks: dict[str, Attribute]
) -> None:
    copy = copy_of(Message("h", "m", "body", attributes), marks)
    assert len(copy.attributes) == min(10, len({**attributes, **marks}))
    assert {**copy.attributes, **marks} == copy.attributes
    for name in (STORED, CLAIM_NO, CAUSE, REFUSED_SINCE):
        assert (name in copy.attributes) is (name in marks or name in attributes)


def test_a_copy_keeps_body_trace_and_group() -> None:
    message = Message("h", "m", "body", trace="Root=1", group="acme")
    assert copy_of(message, mark(STORED, "1"), 7) == Outgoing(
        "body", mark(STORED, "1"), 7, "Root=1", "acme"
    )


@given(st.text(st.characters()), st.text(st.characters()), st.text(st.characters(), max_size=400))
def test_a_cause_is_one_short_line_of_legal_characters(cause: str, name: str, words: str) -> None:
    assert LEGAL.fullmatch(cause_of(cause, name, words))


def test_a_cause_says_what_is_known() -> None:
    assert cause_of("rejected", "Reject", "no such\n\tuser") == "rejected · Reject · no such user"
    assert cause_of("unreadable") == "unreadable"
    assert cause_of("a\x00b\uffff") == "a?b?"
    assert cause_of("") == "unknown"


# --- requests --------------------------------------------------------------------------------


def test_a_receive_asks_for_everything_that_a_message_carries() -> None:
    assert receive("u", 7, 20, 60).request == {
        "QueueUrl": "u",
        "MaxNumberOfMessages": 7,
        "WaitTimeSeconds": 20,
        "VisibilityTimeout": 60,
        "MessageAttributeNames": ["All"],
        "MessageSystemAttributeNames": ["All"],
    }


def test_a_message_is_sent_with_only_what_it_has() -> None:
    assert send("u", Outgoing("b")).request == {"QueueUrl": "u", "MessageBody": "b"}
    full = Outgoing("b", mark(STORED, "1"), 5, "Root=1", "acme")
    assert send("u", full).request == {
        "QueueUrl": "u",
        "MessageBody": "b",
        "DelaySeconds": 5,
        "MessageAttributes": {"stored": {"DataType": "String", "StringValue": "1"}},
        "MessageSystemAttributes": {
            "AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}
        },
        "MessageGroupId": "acme",
    }


def test_the_entries_of_a_batch_are_numbered_by_position() -> None:
    sends = send_batch("u", [Outgoing("a"), Outgoing("b", delay_seconds=3)])
    assert sends.request == {
        "QueueUrl": "u",
        "Entries": [
            {"Id": "0", "MessageBody": "a"},
            {"Id": "1", "MessageBody": "b", "DelaySeconds": 3},
        ],
    }
    assert delete_batch("u", ["h0", "h1"]).request["Entries"] == [
        {"Id": "0", "ReceiptHandle": "h0"},
        {"Id": "1", "ReceiptHandle": "h1"},
    ]
    assert hide_batch("u", [("h0", 0), ("h1", 9)]).request["Entries"] == [
        {"Id": "0", "ReceiptHandle": "h0", "VisibilityTimeout": 0},
        {"Id": "1", "ReceiptHandle": "h1", "VisibilityTimeout": 9},
    ]


def test_each_call_names_its_operation() -> None:
    calls = [
        receive("u", 1, 0, 1),
        send("u", Outgoing("")),
        send_batch("u", []),
        delete_batch("u", []),
        hide_batch("u", []),
        depth("u"),
        move_dead_letters("a", "b"),
    ]
    assert {call.service for call in calls} == {"sqs"}
    assert [call.operation for call in calls] == [
        "ReceiveMessage",
        "SendMessage",
        "SendMessageBatch",
        "DeleteMessageBatch",
        "ChangeMessageVisibilityBatch",
        "GetQueueAttributes",
        "StartMessageMoveTask",
    ]


def test_a_native_redrive_names_its_destination() -> None:
    assert move_dead_letters("a", "b").request == {"SourceArn": "a", "DestinationArn": "b"}


OUTGOING = st.builds(
    Outgoing,
    st.integers(0, 300_000).map("x".__mul__),
    st.just({}) | st.just(mark(CAUSE, "y" * 256)),
)


@given(st.lists(OUTGOING, max_size=8))
def test_messages_are_grouped_in_order_within_the_bytes_of_a_call(messages: list[Outgoing]) -> None:
    groups = within_bytes(messages)
    assert [message for group in groups for message in group] == messages
    for group in groups:
        assert group
        total = sum(
            len(message.body) + sum(len(name) + 6 + 256 for name in message.attributes)
            for message in group
        )
        assert total <= 256 * 1024 or len(group) == 1


def test_messages_that_fit_into_one_call_go_in_one() -> None:
    assert len(within_bytes([Outgoing("x" * 20_000)] * 10)) == 1
    assert within_bytes([]) == []


# --- batch replies ---------------------------------------------------------------------------


def test_each_entry_of_a_batch_is_believed_by_itself() -> None:
    reply = {
        "Successful": [{"Id": "0"}],
        "Failed": [
            {"Id": "1", "Code": "InternalError", "Message": "m", "SenderFault": False},
            {"Id": "2", "Code": "InvalidParameterValue", "SenderFault": True},
        ],
    }
    done, failed, refused, missing = read_batch(reply, 4)
    assert done is None
    assert failed == EntryFault("InternalError", "m", True)
    assert refused == EntryFault("InvalidParameterValue", "", False)
    assert missing is not None
    assert missing.transient


@given(REPLIES | ENTRIES, st.integers(0, 10))
def test_a_batch_reply_of_garbage_never_raises_and_has_one_answer_each(
    reply: dict[str, object], sent: int
) -> None:
    assert len(read_batch(reply, sent)) == sent


@pytest.mark.parametrize("entry", [{"Id": "9" * 5000}, {"Id": "7"}, {"Id": "-1"}, {"Id": 0}, "0"])
def test_an_entry_that_was_not_sent_is_nobodys(entry: object) -> None:
    [fault] = read_batch({"Successful": [entry]}, 1)
    assert fault is not None


@pytest.mark.parametrize(
    ("code", "over"),
    [("OverLimit", True), ("AWS.SimpleQueueService.OverLimit", True), ("InternalError", False)],
)
def test_too_many_messages_in_flight_is_told_apart(code: str, over: bool) -> None:
    assert EntryFault(code, "", False).over_limit is over


@given(REPLIES)
def test_attributes_of_garbage_are_texts_or_nothing(reply: dict[str, object]) -> None:
    for name, value in read_attributes(reply).items():
        assert isinstance(name, str)
        assert isinstance(value, str)


def test_the_attributes_of_a_queue_are_read() -> None:
    assert read_attributes({"Attributes": {"ApproximateNumberOfMessages": "7"}}) == {
        "ApproximateNumberOfMessages": "7"
    }
