"""A dependency that is down costs no attempts but those that noticed, and no task its life."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import pytest

from ftq import BreakerPolicy, Registry, Reject, Retry
from ftq.breaker import Position
from ftq.lifecycle import State
from ftq.ports import Call
from ftq.report import BreakerNote, Report
from ftq.task import Task
from ftq.wire import reports, table
from ftq.wire.statements import Statements
from ftq_daemon import events as facts
from tests.unit.daemon.bench import TABLE, Bench, Worker
from tests.unit.daemon.test_daemon import Number, play


class Dependency:
    """Something that handlers lean on, up or down."""

    def __init__(self) -> None:
        self.up = True
        self.asked = 0

    def ask(self) -> None:
        self.asked += 1
        if not self.up:
            raise ConnectionError("the dependency is down")


def leaning(
    dependency: Dependency, *types: str, breaker: str | Literal[False] = "smtp"
) -> Registry:
    registry = Registry()
    for each in types:

        @registry.handler(each, breaker=breaker)
        async def leans(_: Number) -> None:
            dependency.ask()

    return registry


def test_an_outage_of_ten_minutes_costs_only_what_opened_the_breaker_and_the_probes() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        submitted = [await bench.submit("mail", {"n": n}) for n in range(500)]
        worker = await bench.start(leaning(dependency, "mail"))
        await asyncio.sleep(600)
        openings = worker.names().count("breaker.opened")
        # Twenty calls open it; each further opening is a probe that failed.
        spent = 20 + openings - 1
        tasks = [await bench.task(task.id) for task in submitted]
        assert sum(task.attempts for task in tasks) <= spent
        assert dependency.asked <= spent + 64  # those under way as it opened were given back
        assert 5 <= openings <= 20
        dependency.up = True
        ended = await bench.ended(*(task.id for task in submitted))
        assert {task.state for task in ended} == {State.SUCCEEDED}
        assert "breaker.closed" in worker.names()
        assert "task.dead" not in worker.names()

    play(story)


def test_while_all_breakers_are_open_the_queue_is_not_even_polled() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        for n in range(100):
            await bench.submit("mail", {"n": n})
        worker = await bench.start(leaning(dependency, "mail"))
        await asyncio.sleep(600)
        opened = [event for event in worker.told if isinstance(event, facts.BreakerOpened)]
        bench.aws.calls.clear()
        before = len(opened)
        await asyncio.sleep(600)
        probes = worker.names().count("breaker.opened") - before
        # Each probe takes a receive or two: some of the messages are hidden as it comes.
        assert bench.aws.calls["ReceiveMessage"] <= 3 * probes + 3

    play(story)


def test_types_that_share_a_breaker_wait_together_and_others_go_on() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        registry = leaning(dependency, "mail", "newsletter")

        @registry.handler("other")
        async def other(_: Number) -> None:
            return None

        for n in range(20):
            await bench.submit("mail", {"n": n})
        worker = await bench.start(registry)
        await worker.tells("breaker.opened")
        shared = await bench.submit("newsletter", {})
        free = await bench.submit("other", {})
        await bench.ended(free.id)
        waiting = await bench.task(shared.id)
        assert (waiting.state, waiting.claim_no) == (State.QUEUED, 0)

    play(story)


def test_tasks_that_fail_for_their_own_reasons_open_no_breaker() -> None:
    registry = Registry()

    @registry.handler("own", permanent=(KeyError,))
    async def own(number: Number) -> None:
        if number.n == 0:
            raise Reject("no")
        if number.n == 1:
            raise KeyError
        raise Retry(after=1, counts=False)

    async def story(bench: Bench) -> None:
        for n in (0, 1):
            for _ in range(20):
                await bench.submit("own", {"n": n})
        for _ in range(20):
            await bench.submit("own", {"n": "x"})
        for _ in range(20):
            await bench.submit("own", {"n": 2})
        worker = await bench.start(registry)
        await asyncio.sleep(120)
        assert worker.names().count("task.dead") == 60
        assert "breaker.opened" not in worker.names()

    play(story)


def test_a_probe_never_spends_a_tasks_last_attempt() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        submitted = [await bench.submit("mail", {"n": n}) for n in range(25)]
        worker = await bench.start(leaning(dependency, "mail"))
        await asyncio.sleep(4 * 3600)
        tasks = [await bench.task(task.id) for task in submitted]
        assert {task.attempts for task in tasks} <= {1, 2}
        assert worker.names().count("breaker.opened") > 40
        assert "task.dead" not in worker.names()

    play(story)


def test_a_handler_without_a_breaker_spends_its_attempts_however_many_fail() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        submitted = [await bench.submit("mail", {"n": n}) for n in range(100)]
        worker = await bench.start(leaning(dependency, "mail", breaker=False))
        tasks = await bench.ended(*(task.id for task in submitted))
        assert {(task.state, task.attempts) for task in tasks} == {(State.DEAD, 3)}
        assert "breaker.opened" not in worker.names()

    play(story)


def test_work_goes_on_within_seconds_of_the_probe_that_succeeds() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        for n in range(30):
            await bench.submit("mail", {"n": n})
        worker = await bench.start(leaning(dependency, "mail"))
        await worker.tells("breaker.opened", 3)
        dependency.up = True
        await worker.tells("breaker.closed")
        closed = asyncio.get_running_loop().time()
        fresh = await bench.submit("mail", {})
        await bench.ended(fresh.id)
        assert asyncio.get_running_loop().time() - closed < 5

    play(story)


def test_a_probe_that_takes_long_closes_it_all_the_same() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        registry = Registry()

        @registry.handler("report", timeout=600)
        async def report(_: Number) -> None:
            dependency.ask()
            await asyncio.sleep(90)

        submitted = [await bench.submit("report", {"n": n}) for n in range(300)]
        worker = await bench.start(registry)
        await worker.tells("breaker.opened", 2)
        dependency.up, dependency.asked = True, 0
        await worker.tells("breaker.closed")
        assert dependency.asked == 1
        tasks = await bench.ended(*(task.id for task in submitted))
        assert {task.state for task in tasks} == {State.SUCCEEDED}
        assert worker.names().count("breaker.closed") == 1

    play(story)


async def trickle(bench: Bench, count: int, every: float) -> list[Task]:
    found = []
    for n in range(count):
        found.append(await bench.submit("mail", {"n": n}))
        await asyncio.sleep(every)
    return found


@pytest.mark.parametrize("every", [1, 6, 60])
def test_an_outage_takes_no_more_than_three_tasks_however_few_there_are(every: float) -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        worker = await bench.start(leaning(dependency, "mail"))
        await trickle(bench, 10, every)
        dependency.up = False
        waiting = await trickle(bench, 100, every)
        dependency.up = True
        tasks = await bench.ended(*(task.id for task in waiting))
        assert sum(task.state is State.DEAD for task in tasks) <= 3
        assert "breaker.closed" in worker.names()

    play(story)


def test_tasks_that_are_poison_open_nothing_where_others_succeed_now_and_then() -> None:
    async def story(bench: Bench) -> None:
        registry = Registry()

        @registry.handler("mail")
        async def mail(number: Number) -> None:
            if number.n % 4:
                raise ValueError("three of four")

        worker = await bench.start(registry)
        tasks = await bench.ended(*(task.id for task in await trickle(bench, 100, 60)))
        assert sum(task.state is State.DEAD for task in tasks) == 75
        assert "breaker.opened" not in worker.names()

    play(story)


def test_timeouts_open_it() -> None:
    async def story(bench: Bench) -> None:
        registry = Registry()

        @registry.handler("mail", timeout=5)
        async def mail(_: Number) -> None:
            await asyncio.sleep(3600)

        for n in range(30):
            await bench.submit("mail", {"n": n})
        worker = await bench.start(registry)
        await worker.tells("breaker.opened")

    play(story)


NETWORK = BreakerPolicy(counts=(ConnectionError, TimeoutError))
Body = Callable[[], Awaitable[None]]


async def refused() -> None:
    raise ConnectionRefusedError


async def hangs() -> None:
    await asyncio.sleep(3600)


async def wrong() -> None:
    raise ValueError


async def asks_again() -> None:
    raise Retry(after=1)


async def is_broken() -> None:
    raise Reject("no")


@pytest.mark.parametrize(
    ("policy", "body", "opens"),
    [
        (NETWORK, refused, True),
        (NETWORK, hangs, True),
        (NETWORK, wrong, False),
        (NETWORK, asks_again, False),
        (BreakerPolicy(counts=(Retry,)), asks_again, True),
        (BreakerPolicy(counts=(ValueError,)), hangs, False),
        (BreakerPolicy(counts=lambda kind: kind is ValueError), wrong, True),
        (BreakerPolicy(counts=lambda kind: kind is ValueError), refused, False),
        (BreakerPolicy(counts=(Reject,)), is_broken, False),
        (BreakerPolicy(), wrong, True),
    ],
)
def test_what_the_policy_counts_opens_it_and_nothing_else(
    policy: BreakerPolicy, body: Body, opens: bool
) -> None:
    async def story(bench: Bench) -> None:
        registry = Registry()
        registry.breaker("smtp", policy)

        @registry.handler("mail", timeout=5, breaker="smtp")
        async def mail(_: Number) -> None:
            await body()

        submitted = [await bench.submit("mail", {"n": n}) for n in range(30)]
        worker = await bench.start(registry)
        if opens:
            await worker.tells("breaker.opened")
        else:
            await asyncio.sleep(300)
            assert "breaker.opened" not in worker.names()
            tasks = [await bench.task(task.id) for task in submitted]
            assert {task.state for task in tasks} == {State.DEAD}

    play(story)


def test_a_breaker_keeps_to_the_policy_that_was_declared_for_it() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        registry = leaning(dependency, "mail")
        registry.breaker("smtp", BreakerPolicy(in_a_row=2, tasks=1, base=600, cap=600))
        task = await bench.submit("mail", {})
        worker = await bench.start(registry)
        await worker.tells("breaker.opened")
        (opened,) = [each for each in worker.told if isinstance(each, facts.BreakerOpened)]
        assert 300_000 <= opened.until - bench.now() <= 600_000
        assert (await bench.task(task.id)).attempts == 2

    play(story)


async def stop(worker: Worker) -> None:
    await worker.drain()


async def kill(worker: Worker) -> None:
    worker.kill()


@pytest.mark.parametrize("leave", [stop, kill])
def test_daemons_replaced_again_and_again_during_an_outage_kill_no_task(
    leave: Callable[[Worker], Awaitable[None]],
) -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        submitted = [await bench.submit("mail", {"n": n}) for n in range(60)]
        openings = 0
        for _ in range(10):
            worker = await bench.start(leaning(dependency, "mail"))
            await asyncio.sleep(60)
            await leave(worker)
            openings += worker.names().count("breaker.opened")
        # The first daemon learnt it from twenty attempts; all further ones were probes.
        assert dependency.asked <= 20 + 60 + openings
        dependency.up = True
        await bench.start(leaning(dependency, "mail"))
        tasks = await bench.ended(*(task.id for task in submitted))
        assert {task.state for task in tasks} == {State.SUCCEEDED}
        assert sum(task.attempts for task in tasks) <= 20 + openings

    play(story)


def test_a_daemon_that_starts_after_the_outage_needs_one_probe() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        submitted = [await bench.submit("mail", {"n": n}) for n in range(60)]
        first = await bench.start(leaning(dependency, "mail"))
        await first.tells("breaker.opened")
        await first.drain()
        dependency.up = True
        second = await bench.start(leaning(dependency, "mail"))
        await second.tells("breaker.closed")
        assert second.names().count("breaker.opened") == 1
        await bench.ended(*(task.id for task in submitted))
        await second.drain()
        # The first one's last word is not heeded for longer.
        await asyncio.sleep(300)
        third = await bench.start(leaning(dependency, "mail"))
        fresh = await bench.submit("mail", {})
        await bench.ended(fresh.id)
        assert "breaker.opened" not in third.names()

    play(story)


def test_beside_other_types_what_waits_is_neither_read_nor_doubled() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        registry = leaning(dependency, "mail")

        @registry.handler("other")
        async def other(_: Number) -> None:
            return None

        submitted = [await bench.submit("mail", {"n": n}) for n in range(200)]
        worker = await bench.start(registry)
        reads = bench.aws.calls["BatchGetItem"]
        await asyncio.sleep(1800)
        dependency.up = True
        tasks = await bench.ended(*(task.id for task in submitted))
        assert {task.state for task in tasks} == {State.SUCCEEDED}
        assert {task.sweeps for task in tasks} == {0}
        assert bench.aws.calls["BatchGetItem"] == reads
        hides = sum(isinstance(each, facts.Refusal) for each in worker.told)
        # Each of them about every two minutes.
        assert hides <= 200 * 1800 / 75

    play(story)


def test_what_the_queue_loses_beside_an_open_breaker_is_sent_at_once() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        registry = leaning(dependency, "mail")
        runs: list[int] = []

        @registry.handler("other")
        async def other(number: Number) -> None:
            runs.append(number.n)

        for n in range(300):
            await bench.submit("mail", {"n": n})
        lost = bench.plan("other", {"n": 7})
        await bench.aws.call(table.put(TABLE, lost.task))
        worker = await bench.start(registry)
        await worker.tells("breaker.opened")
        (task,) = await bench.ended(lost.task.id)
        assert (task.due_at - task.created_at) / 1000 <= 900 + 120
        assert runs == [7]

    play(story)


def test_after_a_purge_what_waited_for_a_breaker_is_sent_again() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        registry = leaning(dependency, "mail")

        @registry.handler("other")
        async def other(_: Number) -> None:
            return None

        submitted = [await bench.submit("mail", {"n": n}) for n in range(50)]
        worker = await bench.start(registry)
        await worker.tells("breaker.opened", 3)
        await bench.aws.call(Call("sqs", "PurgeQueue", {"QueueUrl": bench.url}))
        await asyncio.sleep(1800)
        dependency.up = True
        tasks = await bench.ended(*(task.id for task in submitted))
        assert {task.state for task in tasks} == {State.SUCCEEDED}

    play(story)


def test_while_a_breaker_is_open_what_the_queue_lost_is_not_even_read() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        registry = leaning(dependency, "mail")
        registry.breaker("smtp", BreakerPolicy(in_a_row=2, tasks=1, base=3600, cap=3600))
        await bench.submit("mail", {})
        worker = await bench.start(registry)
        await worker.tells("breaker.opened")
        lost = bench.plan("mail", {"n": 1})
        await bench.aws.call(table.put(TABLE, lost.task))
        hurry = Statements(TABLE).hurry(lost.task, bench.now())
        await bench.aws.call(table.execute([hurry]))
        bench.aws.calls.clear()
        await asyncio.sleep(1500)
        assert bench.aws.calls["BatchGetItem"] == 0
        dependency.up = True
        (task,) = await bench.ended(lost.task.id)
        assert (task.state, task.sweeps) == (State.SUCCEEDED, 1)

    play(story)


def test_after_an_outage_what_is_scheduled_runs_when_it_is_due() -> None:
    async def story(bench: Bench) -> None:
        dependency = Dependency()
        dependency.up = False
        registry = leaning(dependency, "mail")

        @registry.handler("other")
        async def other(_: Number) -> None:
            return None

        for n in range(200):
            await bench.submit("mail", {"n": n})
        planned = bench.plan("mail", {}, not_before=bench.now() + 1_000_000)
        await bench.aws.call(table.put(TABLE, planned.task))
        worker = await bench.start(registry)
        await asyncio.sleep(950)
        dependency.up = True
        await worker.tells("breaker.closed")
        closed_at = bench.now()
        (task,) = await bench.ended(planned.task.id)
        assert task.due_at - max(closed_at, planned.task.not_before) <= 60_000

    play(story)


def test_a_probe_that_is_under_way_elsewhere_is_not_waited_for() -> None:
    async def story(bench: Bench) -> None:
        soon = bench.now() + 100_000
        notes = {"smtp": BreakerNote(Position.HALF_OPEN, 9, soon)}
        said = Report("gone", "1", bench.url, bench.now(), 0, 1, 0, breakers=notes)
        await bench.aws.call(reports.write(TABLE, said))
        worker = await bench.start(leaning(Dependency(), "mail"))
        task = await bench.submit("mail", {})
        await worker.tells("breaker.closed")
        assert bench.now() - task.created_at <= 10_000

    play(story)
