"""A dependency that is down costs no attempts but those that noticed, and no task its life."""

from __future__ import annotations

import asyncio
from typing import Literal

from ftq import Registry, Reject, Retry
from ftq.lifecycle import State
from ftq_daemon import events as facts
from tests.unit.daemon.bench import Bench
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
