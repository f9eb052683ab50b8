from __future__ import annotations

from collections.abc import Sequence

import pytest

from ftq.errors import CallError, Throttled, Unavailable
from ftq.lifecycle import State
from ftq.ports import Call, Reply
from ftq.task import Task
from ftq.testing import (
    Fault,
    FaultyPort,
    FaultySyncPort,
    MemoryAws,
    MemorySyncPort,
    Plan,
    RandomPlan,
    now_ms,
    script,
)
from ftq.testing.clock import run
from ftq.wire import create, queue, table
from ftq.wire.claimant import Claimant
from ftq.wire.queue import Outgoing
from ftq.wire.statements import Statements
from ftq.wire.table import Failed, Refused

WHO = Claimant("d1", "token", 1, 2)


class Stage:
    """One queue and one table in memory, behind faults."""

    def __init__(self, plan: Plan) -> None:
        self.aws = MemoryAws()
        self.aws.apply(create.table("tasks"))
        self.url = str(self.aws.apply(create.queue("q"))["QueueUrl"])
        self.port = FaultyPort(self.aws, plan)

    def play(self, *calls: Call) -> list[Reply | CallError]:
        async def main() -> list[Reply | CallError]:
            answers: list[Reply | CallError] = []
            for call in calls:
                try:
                    answers.append(await self.port.call(call))
                except CallError as error:
                    answers.append(error)
            return answers

        return run(main)

    def bodies(self) -> list[str]:
        return [copy.body for copy in self.aws.queue(self.url).messages()]


def always(fault: Fault) -> Plan:
    return lambda _: fault


def messages(reply: Reply | CallError) -> list[str]:
    assert not isinstance(reply, CallError)
    return [message.body for message in queue.read_receive(reply)]


def outgoing(*bodies: str) -> Sequence[Outgoing]:
    return [Outgoing(body) for body in bodies]


def test_without_a_fault_a_call_goes_through() -> None:
    stage = Stage(lambda _: None)
    (reply,) = stage.play(queue.send(stage.url, Outgoing("x")))
    assert not isinstance(reply, CallError)
    assert stage.bodies() == ["x"]
    assert stage.port.injected == {}


@pytest.mark.parametrize(
    ("fault", "error", "applied"),
    [
        (Fault("throttled"), Throttled, False),
        (Fault("unavailable"), Unavailable, False),
        (Fault("lost"), Unavailable, True),
    ],
)
def test_a_call_fails_before_or_after_it_was_applied(
    fault: Fault, error: type[CallError], applied: bool
) -> None:
    stage = Stage(always(fault))
    (answer,) = stage.play(queue.send(stage.url, Outgoing("x")))
    assert type(answer) is error
    assert stage.bodies() == (["x"] if applied else [])
    assert stage.port.injected == {fault.error: 1}


def test_a_receive_whose_reply_was_lost_hides_what_it_took() -> None:
    stage = Stage(script({"ReceiveMessage": [Fault("lost")]}))
    receive = queue.receive(stage.url, 10, 0, 30)
    _, lost, after = stage.play(queue.send(stage.url, Outgoing("x")), receive, receive)
    assert isinstance(lost, Unavailable)
    assert messages(after) == []


def test_calls_take_their_time() -> None:
    stage = Stage(always(Fault(before=1.5, after=2.0)))

    async def main() -> tuple[int, int]:
        began = now_ms()
        await stage.port.call(queue.send(stage.url, Outgoing("x")))
        (copy,) = stage.aws.queue(stage.url).messages()
        return copy.sent_at - began, now_ms() - began

    assert run(main) == (1_500, 3_500)


def test_parts_of_a_batch_of_messages_fail_for_now_and_the_rest_is_done() -> None:
    stage = Stage(always(Fault(failing=frozenset({0, 2, 9}))))
    (reply,) = stage.play(queue.send_batch(stage.url, outgoing("a", "b", "c", "d")))
    assert not isinstance(reply, CallError)
    faults = queue.read_batch(reply, 4)
    assert [fault is not None and fault.transient for fault in faults] == [True, False, True, False]
    assert stage.bodies() == ["b", "d"]
    assert stage.port.injected == {"partial": 1}


def test_a_batch_of_which_everything_fails_is_not_made_at_all() -> None:
    stage = Stage(always(Fault(failing=frozenset({0, 1}))))
    (reply,) = stage.play(queue.send_batch(stage.url, outgoing("a", "b")))
    assert not isinstance(reply, CallError)
    assert all(queue.read_batch(reply, 2))
    assert stage.aws.calls["SendMessageBatch"] == 0


def test_statements_of_a_batch_fail_in_their_place() -> None:
    stage = Stage(always(Fault(failing=frozenset({1}))))
    for task_id in ("a", "b", "c"):
        task = Task(id=task_id, type="t", queue="q", state=State.QUEUED)
        stage.aws.apply(table.put("tasks", task))
    to = Statements("tasks")
    claims = [to.claim(each, WHO) for each in ("a", "b", "missing")]
    (reply,) = stage.play(table.execute(claims))
    assert not isinstance(reply, CallError)
    first, second, third = table.read_execute(reply, 3)
    assert isinstance(first, table.Written)
    assert isinstance(second, Failed)
    assert (second.code, second.transient) == ("ThrottlingError", True)
    assert third == Refused(None, absent=True)


def test_messages_are_delivered_again_in_the_same_reply_or_in_the_next() -> None:
    stage = Stage(script({"ReceiveMessage": [Fault(again=True)]}))
    send = queue.send_batch(stage.url, outgoing("a", "b"))
    receive = queue.receive(stage.url, 3, 0, 30)
    _, first, second, third = stage.play(send, receive, receive, receive)
    assert messages(first) == ["a", "b", "a"]
    assert messages(second) == ["b"]
    assert messages(third) == []


def test_messages_are_delivered_out_of_order() -> None:
    bodies = [f"n{n}" for n in range(10)]
    stage = Stage(always(Fault(shuffle=1)))
    send = queue.send_batch(stage.url, outgoing(*bodies))
    _, reply = stage.play(send, queue.receive(stage.url, 10, 0, 30))
    assert messages(reply) != bodies
    assert sorted(messages(reply)) == bodies


def test_a_script_gives_each_operation_its_faults_in_turn() -> None:
    plan = script({"SendMessage": [None, Fault("throttled")], "GetItem": [Fault("lost")]})
    stage = Stage(plan)
    send, get = queue.send(stage.url, Outgoing("x")), table.get("tasks", "t1")
    answers = stage.play(send, get, send, send, get)
    failed = [isinstance(answer, CallError) for answer in answers]
    assert failed == [False, True, True, False, False]


def test_a_random_plan_draws_the_same_for_the_same_seed() -> None:
    calls = [
        queue.send_batch("u", outgoing("a", "b", "c")),
        queue.receive("u", 10, 0, 1),
        table.get("tasks", "t1"),
    ] * 50

    def drawn(seed: int) -> list[Fault | None]:
        plan = RandomPlan(
            seed, throttled=0.1, unavailable=0.1, lost=0.1, partial=0.3, again=0.3, delay=2.0
        )
        return [plan(call) for call in calls]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    faults = [fault for fault in drawn(7) if fault is not None]
    assert {fault.error for fault in faults} == {"", "throttled", "unavailable", "lost"}
    assert any(fault.failing for fault in faults)
    assert any(fault.again and fault.shuffle is not None for fault in faults)
    assert all(0 <= fault.before <= 2 and 0 <= fault.after <= 2 for fault in faults)


def test_a_random_plan_can_be_switched_off() -> None:
    plan = RandomPlan(1, throttled=1.0)
    assert plan(table.get("tasks", "t1")) is not None
    plan.on = False
    assert plan(table.get("tasks", "t1")) is None


def test_faults_are_combined_by_wrapping_twice() -> None:
    stage = Stage(script({"SendMessage": [Fault("lost")]}))
    outer = FaultyPort(stage.port, script({"SendMessage": [Fault(before=1.0)]}))

    async def main() -> int:
        began = now_ms()
        with pytest.raises(Unavailable):
            await outer.call(queue.send(stage.url, Outgoing("x")))
        return now_ms() - began

    assert run(main) == 1_000
    assert stage.bodies() == ["x"]


def test_the_lambdas_port_has_the_same_faults() -> None:
    aws = MemoryAws()
    url = str(aws.apply(create.queue("q"))["QueueUrl"])
    plan = script({"SendMessage": [Fault("throttled"), Fault("lost", after=9.0)]})
    port = FaultySyncPort(MemorySyncPort(aws), plan)
    for error, count in ((Throttled, 0), (Unavailable, 1)):
        with pytest.raises(error):
            port.call(queue.send(url, Outgoing("x")))
        assert len(aws.queue(url).messages()) == count
    port.call(queue.send(url, Outgoing("x")))
    assert port.injected == {"throttled": 1, "lost": 1}
