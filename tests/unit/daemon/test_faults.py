"""What a daemon does when AWS, another daemon, an operator or its own end gets in the way."""

from __future__ import annotations

import asyncio

import pytest

from ftq import Context, Registry, Retry, RetryPolicy
from ftq.codec import encode
from ftq.lifecycle import State
from ftq.ports import Call, Reply
from ftq.testing import Fault, FaultyPort, script
from ftq.wire import queue, table
from ftq.wire.statements import Statements
from tests.unit.daemon.bench import TABLE, Bench, Worker
from tests.unit.daemon.test_daemon import Number, echoing, play

LOST, THROTTLED = Fault(error="lost"), Fault(error="throttled")


@pytest.mark.parametrize("fault", [LOST, THROTTLED, Fault(error="unavailable")])
@pytest.mark.parametrize("nth", [0, 1])
def test_a_claim_or_settle_that_fails_or_whose_reply_is_lost_is_repeated(
    fault: Fault, nth: int
) -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("echo", {"n": 1})
        faults: list[Fault | None] = [None] * nth + [fault] * 3
        port = FaultyPort(bench.aws, script({"BatchExecuteStatement": faults}))
        worker = await bench.start(echoing(), port=port)
        (task,) = await bench.ended(submitted.id)
        await worker.drain()
        assert (task.state, task.claim_no, task.crashes) == (State.SUCCEEDED, 1, 0)
        assert worker.names().count("task.succeeded") == 1
        assert "task.claim_lost" not in worker.names()
        assert await bench.backlog() == 0

    play(story)


def test_a_throttled_statement_in_a_batch_is_repeated_and_the_others_believed() -> None:
    async def story(bench: Bench) -> None:
        submitted = [await bench.submit("echo", {"n": n}) for n in range(10)]
        half = Fault(failing=frozenset({0, 3, 7}))
        port = FaultyPort(bench.aws, script({"BatchExecuteStatement": [half, half, half]}))
        await bench.start(echoing(), port=port)
        tasks = await bench.ended(*(task.id for task in submitted))
        assert [task.claim_no for task in tasks] == [1] * 10

    play(story)


def test_deletes_and_hides_that_half_fail_are_repeated() -> None:
    async def story(bench: Bench) -> None:
        for n in range(10):
            await bench.submit("echo", {"n": n})
        half = Fault(failing=frozenset({1, 2}))
        port = FaultyPort(bench.aws, script({"DeleteMessageBatch": [half, half, LOST]}))
        await bench.start(echoing(), port=port)
        await asyncio.sleep(20)
        assert await bench.backlog() == 0

    play(story)


class Cut:
    """A cable to the table that can be cut."""

    def __init__(self) -> None:
        self.cut = False

    def __call__(self, call: Call) -> Fault | None:
        return Fault(error="unavailable") if self.cut and call.service == "dynamodb" else None


def test_a_daemon_cut_off_from_the_table_cancels_its_handler_before_its_lease_ends() -> None:
    registry = Registry()
    seen: list[tuple[float, bool]] = []
    stopped_early = asyncio.Event()

    @registry.handler("long", timeout=3600)
    async def long(_: Number, context: Context) -> None:
        if context.claim_no > 1:
            return
        try:
            await asyncio.sleep(3000)
        except asyncio.CancelledError:
            seen.append((asyncio.get_running_loop().time(), context.lost))
            stopped_early.set()
            raise

    async def story(bench: Bench) -> None:
        cut = Cut()
        submitted = await bench.submit("long", {})
        zombie = await bench.start(registry, port=FaultyPort(bench.aws, cut))
        await asyncio.sleep(100)
        cut.cut = True
        await stopped_early.wait()
        held = await bench.task(submitted.id)
        ((stopped, lost),) = seen
        assert lost
        assert held.state is State.RUNNING
        now = asyncio.get_running_loop().time()
        assert (now - stopped) < 1
        assert held.free_at > bench.now() - 1000 * (now - stopped) + 3_000
        other = await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.claim_no) == (State.SUCCEEDED, 2)
        assert "task.crashed" in other.names()
        cut.cut = False
        await zombie.tells("task.claim_lost")
        assert (await bench.task(submitted.id)).claim_no == 2

    play(story)


def test_a_table_that_is_throttled_for_longer_than_a_lease_makes_no_crashes() -> None:
    registry = Registry()

    @registry.handler("long", timeout=3600)
    async def long(_: Number) -> None:
        await asyncio.sleep(300)

    async def story(bench: Bench) -> None:
        clock = asyncio.get_running_loop().time

        def outages(call: Call) -> Fault | None:
            down = clock() < 1000 and clock() % 200 > 110  # 90 s of every 200
            return THROTTLED if down and call.operation == "BatchExecuteStatement" else None

        submitted = [await bench.submit("long", {"n": n}) for n in range(5)]
        worker = await bench.start(registry, port=FaultyPort(bench.aws, outages))
        tasks = await bench.ended(*(task.id for task in submitted))
        assert {(task.state, task.attempts, task.crashes) for task in tasks} == {
            (State.SUCCEEDED, 0, 0)
        }
        assert all(task.releases > 0 for task in tasks)
        assert "task.crashed" not in worker.names()

    play(story)


def test_killers_among_many_take_no_innocent_along_however_many_they_are() -> None:
    async def story(bench: Bench) -> None:
        registry = Registry()
        workers: list[Worker] = []

        @registry.handler("killer")
        async def killer(_: Number) -> None:
            workers[-1].kill()
            await asyncio.sleep(0)

        @registry.handler("innocent")
        async def innocent(_: Number) -> None:
            await asyncio.sleep(10)

        async def supervise() -> None:
            while True:
                workers.append(await bench.start(registry))
                await asyncio.wait({workers[-1].run})

        others = [await bench.submit("innocent", {}) for _ in range(20)]
        supervisor = asyncio.create_task(supervise())
        killers = []
        for _ in range(10):
            killers.append(await bench.submit("killer", {}))
            await asyncio.sleep(1)
        innocents = await bench.ended(*(task.id for task in others))
        dead = await bench.ended(*(task.id for task in killers))
        supervisor.cancel()
        assert {(task.state, task.attempts) for task in innocents} == {(State.SUCCEEDED, 0)}
        assert {task.cause for task in dead} == {"crash_loop"}

    play(story)


def test_a_payload_that_cannot_be_read_for_a_while_is_not_asked_for_in_a_hot_loop() -> None:
    async def story(bench: Bench) -> None:
        planned = bench.plan("echo", {"n": 1, "padding": "x" * 5000})
        assert planned.beside is not None
        later = bench.now() // 1000 + 90 * 86_400
        await bench.aws.call(table.put_beside(TABLE, planned.beside, planned.payload, later))
        await bench.aws.call(table.put(TABLE, planned.task))
        await bench.send(encode(planned.task, None), queue.mark(queue.STORED, "1"))
        clock = asyncio.get_running_loop().time

        def unread(call: Call) -> Fault | None:
            return THROTTLED if call.operation == "GetItem" and clock() < 600 else None

        await bench.start(echoing(), port=FaultyPort(bench.aws, unread))
        await asyncio.sleep(300)
        assert bench.aws.calls["ChangeMessageVisibilityBatch"] <= 10
        (task,) = await bench.ended(planned.task.id)
        assert (task.state, task.attempts, task.crashes) == (State.SUCCEEDED, 0, 0)

    play(story)


def test_a_settle_on_a_lost_claim_writes_and_deletes_nothing() -> None:
    registry = Registry()

    @registry.handler("slow", timeout=3600)
    async def slow(_: Number, context: Context) -> str:
        if context.claim_no > 1:
            await asyncio.sleep(300)
        return f"claim {context.claim_no}"

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("slow", {})
        # Its settle takes 200 s to arrive; meanwhile it receives nothing.
        late = script(
            {
                "BatchExecuteStatement": [None, Fault(before=200)],
                "ReceiveMessage": [None, Fault(before=1000)],
            }
        )
        zombie = await bench.start(registry, port=FaultyPort(bench.aws, late), concurrency=10)
        await asyncio.sleep(1)
        winner = await bench.start(registry)
        await zombie.tells("task.claim_lost")
        held = await bench.task(submitted.id)
        assert (held.state, held.claim_no) == (State.RUNNING, 2)
        assert bench.aws.calls["DeleteMessageBatch"] == 0
        assert await bench.backlog() == 1
        assert "task.succeeded" not in zombie.names()
        (task,) = await bench.ended(submitted.id)
        assert task.result == '"claim 2"'
        assert "task.succeeded" in winner.names()

    play(story)


def test_a_stop_lets_running_handlers_finish_and_takes_nothing_new() -> None:
    registry = Registry()

    @registry.handler("slow")
    async def slow(_: Number, context: Context) -> bool:
        await asyncio.sleep(20)
        return context.stopping

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("slow", {})
        worker = await bench.start(registry)
        await asyncio.sleep(5)
        later = asyncio.create_task(worker.drain())
        await asyncio.sleep(1)
        waiting = await bench.submit("slow", {})
        assert await later == 0
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.result) == (State.SUCCEEDED, "true")
        left = await bench.task(waiting.id)
        assert (left.state, left.claim_no) == (State.QUEUED, 0)
        assert queue.read_receive(await bench.aws.call(queue.receive(bench.url, 10, 0, 30)))

    play(story)


def test_what_outlasts_the_drain_is_released_uncounted_and_shown_at_once() -> None:
    registry = Registry()

    @registry.handler("endless", timeout=3600)
    async def endless(_: Number) -> None:
        await asyncio.sleep(3000)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("endless", {})
        worker = await bench.start(registry)
        await asyncio.sleep(5)
        assert await worker.drain() == 0
        task = await bench.task(submitted.id)
        assert (task.state, task.attempts, task.releases) == (State.QUEUED, 0, 1)
        assert queue.read_receive(await bench.aws.call(queue.receive(bench.url, 10, 0, 30)))
        assert worker.names()[-2:] == ["task.released", "daemon.stopped"]

    play(story)


def test_a_claim_that_is_granted_after_the_drain_is_released_and_not_run() -> None:
    registry = Registry()
    runs: list[int] = []

    @registry.handler("late")
    async def late(_: Number) -> None:
        runs.append(1)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("late", {})
        slow = script({"BatchExecuteStatement": [Fault(before=33)]})
        worker = await bench.start(registry, port=FaultyPort(bench.aws, slow))
        await asyncio.sleep(1)
        assert await worker.drain() == 0
        task = await bench.task(submitted.id)
        assert (task.state, task.claim_no, task.releases, runs) == (State.QUEUED, 1, 1, [])

    play(story)


def test_a_stop_keeps_its_budget_though_aws_never_answers() -> None:
    registry = Registry()

    @registry.handler("slow", timeout=3600)
    async def slow(_: Number) -> None:
        await asyncio.sleep(3000)

    class Dead:
        """Answers for a while, and then never again."""

        def __init__(self, bench: Bench) -> None:
            self.bench, self.gone = bench, False

        async def call(self, call: Call) -> Reply:
            if self.gone:
                await asyncio.sleep(1e6)
            return await self.bench.aws.call(call)

    async def story(bench: Bench) -> None:
        await bench.submit("slow", {})
        port = Dead(bench)
        worker = await bench.start(registry, port=port)
        await worker.tells("task.claimed")
        port.gone = True
        await asyncio.sleep(2)
        began = asyncio.get_running_loop().time()
        assert await worker.drain() == 1
        # The longer of drain and receive, then grace and flush: FTQ_STOP_TIMEOUT_SECONDS' sum.
        assert asyncio.get_running_loop().time() - began <= max(30, 20 + 10) + 5 + 10

    play(story)


def test_a_handler_that_ignores_its_cancellation_is_left_behind() -> None:
    registry = Registry()

    @registry.handler("stubborn", timeout=10, retry=RetryPolicy(attempts=1))
    async def stubborn(_: Number) -> None:
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                continue

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("stubborn", {})
        worker = await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert task.state is State.DEAD
        assert "task.abandoned" in worker.names()
        (left,) = worker.daemon.work.runner.left_behind
        assert isinstance(left, asyncio.Task)
        left.get_coro().close()

    play(story)


def test_a_running_task_is_cancelled_at_its_next_beat() -> None:
    registry = Registry()

    @registry.handler("long", timeout=3600)
    async def long(_: Number) -> None:
        await asyncio.sleep(3000)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("long", {})
        await bench.start(registry)
        await asyncio.sleep(5)
        running = await bench.task(submitted.id)
        ask = Statements(TABLE).ask_cancel(running, bench.now())
        await bench.aws.call(table.execute([ask]))
        asked = bench.now()
        (task,) = await bench.ended(submitted.id)
        assert task.state is State.CANCELLED
        assert task.due_at - asked <= 25_000
        assert [entry.outcome for entry in task.history] == ["cancelled"]
        await asyncio.sleep(5)
        assert await bench.backlog() == 0

    play(story)


def test_a_task_cancelled_between_two_claims_is_not_run() -> None:
    registry = Registry()
    runs: list[int] = []

    @registry.handler("fails", retry=RetryPolicy(base=100, cap=100))
    async def fails(_: Number) -> None:
        runs.append(1)
        raise ValueError

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("fails", {})
        worker = await bench.start(registry)
        await worker.tells("task.retrying")
        waiting = await bench.task(submitted.id)
        cancel = Statements(TABLE).cancel(waiting, "operator", bench.now(), 30 * 86_400_000)
        await bench.aws.call(table.execute([cancel]))
        await bench.emptied()
        assert (await bench.task(submitted.id)).state is State.CANCELLED
        assert runs == [1]

    play(story)


def test_a_dead_letter_moved_back_gives_exactly_one_more_life() -> None:
    registry = Registry()
    runs: list[int] = []

    @registry.handler("broken", retry=RetryPolicy(attempts=2, base=0, cap=0))
    async def broken(_: Number, context: Context) -> None:
        runs.append(context.claim_no)
        if context.claim_no < 3:
            raise ValueError("not yet")

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("broken", {})
        worker = await bench.start(registry)
        (dead,) = await bench.ended(submitted.id)
        assert (dead.state, dead.claim_no) == (State.DEAD, 2)
        await asyncio.sleep(5)
        (copy,) = await bench.dead_letters()
        for _ in range(3):  # whoever moves it, and however often
            back = queue.copy_of(copy, {})
            await bench.aws.call(queue.send(bench.url, back))
        await bench.emptied()
        task = await bench.task(submitted.id)
        assert (task.state, task.claim_no, task.past) == (State.SUCCEEDED, 3, 2)
        assert runs == [1, 2, 3]
        assert not [event for event in worker.told if event.name == "daemon.failed"]

    play(story)


def test_a_stale_copy_of_a_dead_task_goes_to_the_dlq_and_not_back_to_work() -> None:
    registry = Registry()

    @registry.handler("dead", retry=RetryPolicy(attempts=1))
    async def dead(_: Number) -> None:
        raise ValueError("no luck")

    async def story(bench: Bench) -> None:
        planned = bench.plan("dead", {})
        submitted = await bench.submit("dead", {})
        await bench.start(registry)
        await bench.ended(submitted.id)
        body = planned.body.replace(planned.task.id, submitted.id)
        await bench.send(body, queue.mark(queue.STORED, "1"))
        await bench.emptied()
        first, second = await bench.dead_letters()
        assert (first.claim_no, second.claim_no) == (1, 1)
        # Whoever makes a copy, it says the same of the death.
        cause = first.attributes[queue.CAUSE]["StringValue"]
        assert cause == "attempts_spent · ValueError · no luck"
        assert second.attributes[queue.CAUSE]["StringValue"] == cause
        assert (await bench.task(submitted.id)).claim_no == 1

    play(story)


class Aged:
    """Receives tell a receive count close to the ceiling, the first time."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._aged = False

    async def call(self, call: Call) -> Reply:
        reply = await self._bench.aws.call(call)
        messages = reply.get("Messages")
        if not isinstance(messages, list) or self._aged:
            return reply
        self._aged = True
        (message,) = messages
        system = {**message["Attributes"], "ApproximateReceiveCount": "995"}
        return {"Messages": [{**message, "Attributes": system}]}


def test_a_copy_near_the_receive_ceiling_is_sent_afresh_and_runs_once() -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("echo", {}, not_before=bench.now() + 120_000)
        # A copy that comes two minutes early is refused and would be hidden.
        body = encode(submitted, "{}")
        await bench.send(body, queue.mark(queue.STORED, "1"))
        worker = await bench.start(echoing(), port=Aged(bench))
        await asyncio.sleep(5)
        assert bench.aws.calls["SendMessageBatch"] == 1
        assert bench.aws.calls["ChangeMessageVisibilityBatch"] == 0
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.claim_no) == (State.SUCCEEDED, 1)
        assert task.due_at >= submitted.not_before
        await bench.emptied()
        assert worker.names().count("task.succeeded") == 1

    play(story)


def test_a_queue_over_its_limit_of_hidden_messages_gets_them_delayed_instead() -> None:
    class Full:
        """Refuses to hide anything more."""

        def __init__(self, bench: Bench) -> None:
            self._bench = bench

        async def call(self, call: Call) -> Reply:
            if call.operation == "ChangeMessageVisibilityBatch":
                entries = call.request["Entries"]
                assert isinstance(entries, list)
                fault = {"Code": "OverLimit", "SenderFault": True, "Message": "120000"}
                return {"Failed": [{"Id": entry["Id"], **fault} for entry in entries]}
            return await self._bench.aws.call(call)

    registry = Registry()

    @registry.handler("fails", retry=RetryPolicy(attempts=2, base=60, cap=60))
    async def fails(_: Number, context: Context) -> None:
        if context.attempt == 1:
            raise ValueError

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("fails", {})
        await bench.start(registry, port=Full(bench))
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.attempts, task.claim_no) == (State.SUCCEEDED, 1, 2)
        assert bench.aws.calls["SendMessageBatch"] == 1
        await asyncio.sleep(5)
        assert await bench.backlog() == 0

    play(story)


def test_a_retry_beyond_what_sqs_can_hide_comes_when_it_was_asked_for() -> None:
    registry = Registry()
    runs: list[int] = []

    @registry.handler("later")
    async def later(_: Number, context: Context) -> None:
        runs.append(context.claim_no)
        if context.claim_no == 1:
            raise Retry(after=20 * 3600)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("later", {})
        began = bench.now()
        await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.attempts, task.claim_no, runs) == (State.SUCCEEDED, 1, 2, [1, 2])
        assert 20 * 3600 <= (task.due_at - began) / 1000 <= 20 * 3600 + 10

    play(story)
