"""Faults that a call survives, and what whoever watches the account is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from ftq.errors import Unavailable
from ftq.ports import Call
from ftq.testing import Fault, FaultyPort, MemoryAws, Plan
from ftq.testing.clock import run
from ftq.testing.message import Copy
from ftq.testing.queue import Happening
from ftq.wire import create, queue
from ftq.wire.item import Item
from ftq.wire.queue import Outgoing


def play(main: Callable[[], Coroutine[object, None, None]]) -> None:
    run(main)


def always(fault: Fault) -> Plan:
    return lambda _: fault


async def account() -> tuple[MemoryAws, str]:
    aws = MemoryAws()
    return aws, str((await aws.call(create.queue("q")))["QueueUrl"])


def test_an_overdue_call_is_applied_after_its_caller_was_told_that_no_answer_came() -> None:
    async def main() -> None:
        aws, url = await account()
        port = FaultyPort(aws, always(Fault("overdue", before=30, after=2)))
        with pytest.raises(Unavailable):
            await port.call(queue.send(url, Outgoing("x")))
        assert asyncio.get_running_loop().time() == 2
        assert aws.queue(url).messages() == []
        await asyncio.sleep(29)
        assert len(aws.queue(url).messages()) == 1
        assert port.injected == {"overdue": 1}

    play(main)


@pytest.mark.parametrize("delay", [0, 5])
def test_what_is_sent_late_shows_up_later_than_it_should(delay: int) -> None:
    async def main() -> None:
        aws, url = await account()
        port = FaultyPort(aws, always(Fault(late=7)))
        await port.call(queue.send(url, Outgoing("x", delay_seconds=delay)))
        await port.call(queue.send_batch(url, [Outgoing("y", delay_seconds=delay)]))
        began = aws.queue(url).messages()[0].sent_at
        assert {copy.visible_at - began for copy in aws.queue(url).messages()} == {
            (7 + delay) * 1000
        }

    play(main)


def test_a_message_delivered_again_supersedes_the_receipt_handle_that_was_given() -> None:
    async def main() -> None:
        aws, url = await account()
        await aws.call(queue.send(url, Outgoing("x")))
        (first,) = queue.read_receive(await aws.call(queue.receive(url, 1, 0, 30)))
        aws.queue(url).redeliver(first.message_id)
        (second,) = queue.read_receive(await aws.call(queue.receive(url, 1, 0, 30)))
        assert (second.message_id, second.receive_count) == (first.message_id, 2)
        reply = await aws.call(queue.delete_batch(url, [first.handle]))
        assert queue.read_batch(reply, 1) == [None]
        assert len(aws.queue(url).messages()) == 1

    play(main)


def test_a_watcher_of_a_queue_is_told_what_happens_to_its_messages() -> None:
    async def main() -> None:
        aws, url = await account()
        told: list[tuple[Happening, int]] = []

        def watch(happening: Happening, copy: Copy) -> None:
            told.append((happening, copy.receive_count))

        aws.queue(url).watchers.append(watch)
        await aws.call(queue.send(url, Outgoing("x")))
        (first,) = queue.read_receive(await aws.call(queue.receive(url, 1, 0, 30)))
        await aws.call(queue.hide_batch(url, [(first.handle, 0)]))
        (second,) = queue.read_receive(await aws.call(queue.receive(url, 1, 0, 30)))
        await aws.call(queue.delete_batch(url, [first.handle]))
        await aws.call(queue.delete_batch(url, [second.handle]))
        await aws.call(queue.send(url, Outgoing("y")))
        await aws.call(Call("sqs", "PurgeQueue", {"QueueUrl": url}))
        assert told == [
            ("sent", 0),
            ("received", 1),
            ("hidden", 1),
            ("received", 2),
            ("missed", 2),
            ("deleted", 2),
            ("sent", 0),
            ("purged", 0),
        ]

    play(main)


def test_a_watcher_of_a_table_is_told_of_each_write_that_was_applied() -> None:
    async def main() -> None:
        aws = MemoryAws()
        await aws.call(create.table("t"))
        told: list[tuple[str, Item | None, Item | None]] = []
        aws.table("t").watchers.append(lambda *write: told.append(write))
        aws.table("t").put({"id": {"S": "a"}}, if_absent=True)
        aws.table("t").put({"id": {"S": "a"}, "n": {"N": "1"}}, if_absent=False)
        aws.table("t").delete("a")
        one, two = {"id": {"S": "a"}}, {"id": {"S": "a"}, "n": {"N": "1"}}
        assert told == [("a", None, one), ("a", one, two), ("a", two, None)]

    play(main)
