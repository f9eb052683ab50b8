from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from benchmarks.stub.__main__ import Stub
from benchmarks.stub.http import Connection
from benchmarks.stub.partiql import compile_statement
from benchmarks.stub.refusal import Refusal
from ftq.lifecycle import State
from ftq.ports import Call
from ftq.settlement import Complete
from ftq.task import Entry, Task
from ftq.wire import create, queue, table
from ftq.wire.claimant import Claimant
from ftq.wire.queue import Outgoing
from ftq.wire.statements import Statement, Statements
from ftq.wire.table import Refused, Result, Written

SERVICES = {"sqs": "AmazonSQS", "dynamodb": "DynamoDB_20120810"}
STATEMENTS = Statements("tasks")
TASK = Task(id="t1", type="noop", queue="q", state=State.QUEUED)
URL = "http://stub/000000000000/bench"


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def replies(self) -> list[Mapping[str, object]]:
        heads = self.written.split(b"HTTP/1.1 ")[1:]
        return [json.loads(each.partition(b"\r\n\r\n")[2]) for each in heads]


class Line:
    """A connection to a stub of its own."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.connection = Connection(Stub("http://stub").serve)
        self.connection.connection_made(self.wire)

    def send(self, *calls: Call, cut: int | None = None) -> list[Mapping[str, object]]:
        data = b"".join(map(request, calls))
        before = len(self.wire.replies())
        for part in (data[:cut], data[cut:]) if cut else (data,):
            self.connection.data_received(part)
        return self.wire.replies()[before:]

    def execute(self, *statements: Statement) -> Sequence[Result]:
        [reply] = self.send(table.execute(statements))
        return table.read_execute(cast("dict[str, object]", reply), len(statements))


def request(call: Call) -> bytes:
    body = json.dumps(call.request).encode()
    target = f"{SERVICES[call.service]}.{call.operation}"
    head = f"POST / HTTP/1.1\r\nX-Amz-Target: {target}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def claimant(token: str, now: int) -> Claimant:
    return Claimant("me", token, now, now + 1000)


@pytest.fixture
def line() -> Line:
    line = Line()
    line.send(create.table("tasks"), table.put("tasks", TASK), create.queue("bench"))
    return line


def test_a_claim_brings_the_record_as_it_was_and_a_second_one_is_refused_with_the_first(
    line: Line,
) -> None:
    [won] = line.execute(STATEMENTS.claim("t1", claimant("a", 1000)))
    [lost] = line.execute(STATEMENTS.claim("t1", claimant("b", 1500)))

    assert won == Written(TASK)
    assert isinstance(lost, Refused)
    assert lost.current is not None
    assert lost.current.claim_token == "a"


def test_only_the_holder_settles(line: Line) -> None:
    line.execute(STATEMENTS.claim("t1", claimant("a", 1000)))
    entry = Entry(1, "me", 1100, "succeeded")

    def settle(claim_no: int) -> Result:
        held = Task(id="t1", type="noop", queue="q", state=State.RUNNING, claim_no=claim_no)
        statement = STATEMENTS.settle(held, Complete("null"), entry, grace=0, retention=1000)
        return line.execute(statement)[0]

    assert isinstance(settle(2), Refused)
    assert isinstance(settle(1), Written)
    assert isinstance(settle(1), Refused)


def test_a_batch_that_names_an_item_twice_is_refused_whole(line: Line) -> None:
    claim = STATEMENTS.claim("t1", claimant("a", 1000))

    [reply] = line.send(table.execute([claim, claim]))

    assert reply["__type"] == "ValidationException"
    assert line.execute(claim) == [Written(TASK)]


def test_a_statement_of_another_shape_is_refused() -> None:
    with pytest.raises(Refusal, match="does not know"):
        compile_statement('DELETE FROM "tasks" WHERE "id"=?')


def test_a_message_is_hidden_once_received_and_gone_once_deleted(line: Line) -> None:
    line.send(queue.send_batch(URL, [Outgoing("one"), Outgoing("two")]))

    [reply] = line.send(queue.receive(URL, 10, 0, 30))
    messages = queue.read_receive(dict(reply))
    [again] = line.send(queue.receive(URL, 10, 0, 30))
    line.send(queue.delete_batch(URL, [messages[0].handle]))
    line.send(queue.hide_batch(URL, [(each.handle, 0) for each in messages]))
    [left] = line.send(queue.receive(URL, 10, 0, 30))

    assert [message.body for message in messages] == ["one", "two"]
    assert again == {}
    assert [message.body for message in queue.read_receive(dict(left))] == ["two"]


def test_a_superseded_handle_deletes_nothing_and_says_nothing(line: Line) -> None:
    line.send(queue.send(URL, Outgoing("one")))
    [first] = queue.read_receive(dict(line.send(queue.receive(URL, 1, 0, 0))[0]))
    [second] = queue.read_receive(dict(line.send(queue.receive(URL, 1, 0, 0))[0]))

    [reply] = line.send(queue.delete_batch(URL, [first.handle]))

    assert first.handle != second.handle
    assert queue.read_batch(dict(reply), 1) == [None]
    assert line.send(queue.receive(URL, 1, 0, 30)) != [{}]


async def test_a_long_poll_is_answered_by_a_message_and_holds_back_what_is_pipelined(
    line: Line,
) -> None:
    other = Connection(line.connection._serve)
    other.connection_made(Wire())

    waiting = line.send(queue.receive(URL, 1, 20, 30), queue.depth(URL))
    other.data_received(request(queue.send(URL, Outgoing("late"))))

    assert waiting == []
    received, depth = line.wire.replies()[-2:]
    assert [message.body for message in queue.read_receive(dict(received))] == ["late"]
    assert queue.read_attributes(dict(depth))["ApproximateNumberOfMessagesNotVisible"] == "1"


async def test_a_caller_that_went_away_is_handed_nothing(line: Line) -> None:
    other = Line()
    other.connection = Connection(line.connection._serve)
    other.connection.connection_made(other.wire)

    other.send(queue.receive(URL, 1, 20, 30))
    other.connection.connection_lost(None)
    line.send(queue.send(URL, Outgoing("one")))

    assert line.send(queue.receive(URL, 1, 0, 30)) != [{}]


@pytest.mark.parametrize("cut", [1, 40, 120])
def test_a_request_may_come_in_parts_and_several_at_once(line: Line, cut: int) -> None:
    depth = queue.depth(URL)

    assert len(line.send(depth, depth, depth, cut=cut)) == 3


def test_what_the_stub_does_not_have_is_refused(line: Line) -> None:
    [reply] = line.send(Call("dynamodb", "Scan", {"TableName": "tasks"}))

    assert reply["__type"] == "UnknownOperationException"
