"""Submitting past the API: the same records and messages, the same guarantees."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ftq import InvalidField, KeyConflict, Registry
from ftq.client import NewTask, Options, Unreachable
from ftq.client.direct import AsyncDirectClient, DirectClient, Place
from ftq.client.threads import InThreads
from ftq.errors import CallRefused, PayloadTooLarge, Throttled, Unavailable
from ftq.limits import PAYLOAD_BYTES
from ftq.ports import Call, Port, Reply, SyncPort
from ftq.testing import Fault, FaultySyncPort, script
from ftq.testing.clock import run
from ftq.wire import create
from tests.unit.api.door import GRACE, TABLE, Door
from tests.unit.client.bridge import Bridge

registry = Registry()


@registry.handler("count")
def count(n: int) -> None:
    """A handler."""


def direct(bridge: Bridge, port: SyncPort | None = None) -> DirectClient:
    door = bridge.door
    place = Place(TABLE, door.queue_url)
    return DirectClient(
        port or door.port, place, registry=registry, world=bridge.world, sleep=bridge.sleep
    )


@pytest.mark.parametrize("payload", [{"n": 1}, "x" * 5_000], ids=["small", "beside"])
def test_the_record_and_the_message_are_those_of_the_api(payload: object) -> None:
    one, other = Bridge(Door()), Bridge(Door())
    options: Options = {"key": "k", "tenant": "acme", "correlation_id": "c-1"}
    first = direct(one).submit("a", payload, **options)
    second = other.client().submit("a", payload, **options)
    assert first.model_dump() == second.model_dump()
    records = [each.door.record(first.id) for each in (one, other)]
    assert records[0] == records[1] is not None
    [mine], [theirs] = (each.door.messages() for each in (one, other))
    assert (mine.body, mine.attributes) == (theirs.body, theirs.attributes)


def test_a_key_stands_for_one_task_here_and_through_the_api(bridge: Bridge) -> None:
    accepted = direct(bridge).submit(count, 1, key="k")
    assert bridge.client().submit("count", 1, key="k").id == accepted.id
    with pytest.raises(KeyConflict):
        direct(bridge).submit(count, 2, key="k")


def test_what_the_api_would_refuse_is_refused_here(bridge: Bridge) -> None:
    client = direct(bridge)
    for payload, error in (("one", InvalidField), (object(), InvalidField)):
        with pytest.raises(error):
            client.submit("count", payload)
    with pytest.raises(PayloadTooLarge):
        client.submit("a", "x" * PAYLOAD_BYTES)
    with pytest.raises(InvalidField):
        client.submit("a b", 1)
    assert bridge.door.port.calls == []


def test_a_task_whose_message_cannot_be_sent_is_accepted_and_the_sweeper_told(
    bridge: Bridge,
) -> None:
    def queue_down(call: Call) -> None:
        if call.service == "sqs":
            raise Unavailable(call.operation, "ServiceUnavailable", "down")

    bridge.door.port.before = queue_down
    accepted = direct(bridge).submit("a", 1)
    task = bridge.door.record(accepted.id)
    assert task is not None
    assert (task.state, task.due_at) == ("queued", bridge.door.clock.now)
    assert task.due_at < bridge.door.clock.now + GRACE


def test_a_put_that_may_have_been_applied_is_repeated_and_stands_for_one_task(
    bridge: Bridge,
) -> None:
    losing = FaultySyncPort(
        bridge.door.aws, script({"PutItem": [Fault("lost"), Fault("throttled")]})
    )
    accepted = direct(bridge, losing).submit("a", 1)
    assert bridge.pauses == [0.125, 0.25]
    assert bridge.door.record(accepted.id) is not None
    assert len(bridge.door.messages()) == 1


def test_what_is_not_known_to_be_stored_is_told_with_its_key(bridge: Bridge) -> None:
    def table_down(call: Call) -> None:
        raise Throttled(call.operation, "ThrottlingException", "later")

    bridge.door.port.before = table_down
    with pytest.raises(Unreachable, match="not known to be stored") as caught:
        direct(bridge).submit("a", 1, key="mine")
    assert caught.value.idempotency_key == "mine"
    assert len(bridge.door.port.calls) == 6


def test_what_aws_refuses_is_not_repeated(bridge: Bridge) -> None:
    def denied(call: Call) -> None:
        raise CallRefused(call.operation, "AccessDeniedException", "no")

    bridge.door.port.before = denied
    with pytest.raises(CallRefused):
        direct(bridge).submit("a", 1)
    assert len(bridge.door.port.calls) == 1


def test_many_are_answered_in_order_each_for_itself(bridge: Bridge) -> None:
    tasks = [
        NewTask(count, 1, key="a"),
        NewTask("count", "no number"),
        NewTask(count, 1, key="a"),
        NewTask(count, 2, key="a"),
        *(NewTask(count, n) for n in range(120)),
    ]
    results = direct(bridge).submit_many(tasks)
    kinds = [type(each).__name__ for each in results]
    assert kinds[:4] == ["Accepted", "InvalidField", "Accepted", "KeyConflict"]
    assert kinds[4:] == ["Accepted"] * 120
    # 98 tasks of the first hundred, 25 to a write and ten to a message, then 24.
    operations = bridge.door.port.operations
    assert operations.count("BatchExecuteStatement") == 5
    assert operations.count("SendMessageBatch") == 13


def test_a_task_goes_to_the_queue_that_is_named_else_to_its_handlers(bridge: Bridge) -> None:
    bulk = str(bridge.door.aws.call(create.queue("bulk"))["QueueUrl"])
    known = Registry()

    @known.handler("slow", queue="bulk")
    def slow(n: int) -> None:
        """A handler with a queue of its own."""

    place = Place(TABLE, bridge.door.queue_url, queues={"bulk": bulk})
    client = DirectClient(bridge.door.port, place, registry=known, world=bridge.world)
    main = bridge.door.queue_url
    wanted = {
        client.submit(slow, 1).id: bulk,
        client.submit(slow, 2, queue="default").id: main,
        client.submit("a", 3, queue="bulk").id: bulk,
        client.submit("a", 4).id: main,
    }
    records = {each: bridge.door.record(each) for each in wanted}
    assert {each: task.queue for each, task in records.items() if task is not None} == wanted
    with pytest.raises(InvalidField, match="must be one of: bulk, default"):
        client.submit("a", 5, queue="other")


class Awaited:
    """The same account, awaited."""

    def __init__(self, port: SyncPort) -> None:
        self.port = port

    async def call(self, call: Call) -> Reply:
        return self.port.call(call)


def test_the_async_one_does_the_same(bridge: Bridge) -> None:
    door = bridge.door
    port: Port = Awaited(FaultySyncPort(door.aws, script({"PutItem": [Fault("throttled")]})))
    place = replace(Place(TABLE, door.queue_url), retention_days=31)
    client = AsyncDirectClient(port, place, registry=registry, world=bridge.world)

    async def main() -> None:
        accepted = await client.submit(count, 1, key="k")
        assert door.record(accepted.id) is not None
        [again] = await client.submit_many([NewTask(count, 1, key="k")])
        assert not isinstance(again, Exception)
        assert again.id == accepted.id

    run(main)


def test_a_port_that_blocks_serves_a_loop_from_threads(bridge: Bridge) -> None:
    place = Place(TABLE, bridge.door.queue_url)

    def refuse(call: Call) -> None:
        raise CallRefused(call.operation, "AccessDenied", "no")

    async def main() -> None:
        client = AsyncDirectClient(InThreads(bridge.door.port), place, world=bridge.world)
        accepted = await client.submit("a", 1, key="k")
        assert bridge.door.record(accepted.id) is not None
        bridge.door.port.before = refuse
        with pytest.raises(CallRefused):
            await client.submit("a", 2)

    asyncio.run(main())
