"""Who keeps dying with a daemon: the killer is found, and nobody is blamed for a neighbour."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest

from ftq import Context, Registry
from ftq.lifecycle import State
from ftq.task import Task
from ftq.testing import ProcessLoop, current_process
from ftq.testing.clock import run
from ftq_daemon import events as facts
from tests.unit.daemon.bench import Bench, Worker
from tests.unit.daemon.test_daemon import Number, Story, play

DAY = 24 * 3600


def long_play(story: Story) -> None:
    async def main() -> None:
        async with Bench() as bench:
            await story(bench)

    run(main, limit_seconds=10 * DAY, loop_factory=ProcessLoop)


class Cast:
    """Killers and innocents, on daemons that are replaced as they die."""

    def __init__(self, bench: Bench, seconds: float, slow: float = 0.0) -> None:
        self.bench = bench
        self.workers: list[Worker] = []
        self.registry = Registry()

        @self.registry.handler("killer", timeout=600)
        async def killer(_: Number) -> None:
            await asyncio.sleep(slow)
            await bench.die()

        @self.registry.handler("innocent", timeout=600)
        async def innocent(_: Number) -> None:
            await asyncio.sleep(seconds)

    async def supervise(self) -> None:
        while True:
            self.workers.append(await self.bench.start(self.registry))
            await asyncio.wait({self.workers[-1].run})

    @property
    def deaths(self) -> int:
        return sum(worker.run.done() for worker in self.workers)


def guilty(task: Task) -> bool:
    kind = task.last_error and task.last_error.kind
    return (task.state, kind, task.attempts) == (State.DEAD, "crash_loop", 0)


@pytest.mark.parametrize("slow", [0, 40])
def test_a_killer_among_many_is_quarantined_alone_and_takes_a_daemon_along_but_twice(
    slow: float,
) -> None:
    async def story(bench: Bench) -> None:
        cast = Cast(bench, 60, slow)
        poison = await bench.submit("killer", {})
        others = [await bench.submit("innocent", {}) for _ in range(63)]
        supervisor = asyncio.create_task(cast.supervise())
        dead, *innocents = await bench.ended(poison.id, *(task.id for task in others))
        supervisor.cancel()
        assert guilty(dead)
        assert dead.crashes == 3
        assert cast.deaths == 2
        assert {(task.state, task.attempts) for task in innocents} == {(State.SUCCEEDED, 0)}
        # They were taken along, and none of them to the limit.
        assert max(task.crashes for task in innocents) == 2

    play(story)


@pytest.mark.parametrize(("seconds", "count"), [(20, 4), (45, 4), (120, 4), (120, 10)])
def test_killers_that_keep_coming_take_no_innocent_along_however_long_it_runs(
    seconds: float, count: int
) -> None:
    async def story(bench: Bench) -> None:
        cast = Cast(bench, seconds)
        others = [await bench.submit("innocent", {}) for _ in range(20)]
        supervisor = asyncio.create_task(cast.supervise())
        killers: list[Task] = []
        for _ in range(count):
            killers.append(await bench.submit("killer", {}))
            await asyncio.sleep(60)
        innocents = await bench.ended(*(task.id for task in others))
        killers = await bench.ended(*(task.id for task in killers))
        supervisor.cancel()
        assert all(map(guilty, killers))
        assert cast.deaths <= 2 * count
        assert {(task.state, task.attempts) for task in innocents} == {(State.SUCCEEDED, 0)}

    long_play(story)


def test_many_suspects_run_at_once_and_nobody_else_waits_for_them() -> None:
    async def story(bench: Bench) -> None:
        cast = Cast(bench, 120)

        @cast.registry.handler("quick")
        async def quick(_: Number) -> None:
            return

        submitted = [await bench.submit("innocent", {}) for _ in range(64)]
        for _ in range(2):
            worker = await bench.start(cast.registry)
            await worker.tells("task.claimed", 64)
            worker.kill()
            await asyncio.sleep(0)
        await asyncio.sleep(61)
        began = bench.now()
        await bench.start(cast.registry)
        for _ in range(20):
            asked = bench.now()
            (task,) = await bench.ended((await bench.submit("quick", {})).id)
            assert task.due_at - asked < 2_000
            await asyncio.sleep(30)
        tasks = await bench.ended(*(task.id for task in submitted))
        assert {(task.state, task.attempts) for task in tasks} == {(State.SUCCEEDED, 0)}
        # Eight at a time, 120 s each, and little in between.
        took = (max(task.due_at for task in tasks) - began) / 1000
        assert took < 1.15 * 64 / 8 * 120
        assert max(task.releases for task in tasks) < 40

    long_play(story)


def crashed_twice(bench: Bench, registry: Registry) -> Coroutine[object, object, None]:
    async def crash() -> None:
        for _ in range(2):
            worker = await bench.start(registry)
            await worker.tells("task.claimed")
            worker.kill()
            await asyncio.sleep(0)

    return crash()


def test_a_suspect_has_a_process_of_its_own_whatever_it_runs_in() -> None:
    registry = Registry()
    apart: dict[int, bool] = {}

    @registry.handler("loop")
    async def loop(_: Number, context: Context) -> None:
        apart[context.claim_no] = current_process() is not None
        await context.progress({"claim": context.claim_no})
        await asyncio.sleep(60 if context.claim_no < 3 else 0)

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("loop", {})
        await crashed_twice(bench, registry)
        await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        assert (task.state, task.claim_no, task.crashes) == (State.SUCCEEDED, 3, 2)
        assert task.progress == '{"claim":3}'
        assert apart.pop(3)
        assert not any(apart.values())

    play(story)


def test_a_suspect_whose_process_dies_is_quarantined_at_once_with_how_it_died() -> None:
    async def story(bench: Bench) -> None:
        cast = Cast(bench, 0)
        submitted = await bench.submit("killer", {})
        for _ in range(2):
            worker = await bench.start(cast.registry)
            await asyncio.wait({worker.run})
        worker = await bench.start(cast.registry)
        await worker.tells("task.crashed", 2)
        told = bench.now()
        (task,) = await bench.ended(submitted.id)
        assert guilty(task)
        assert task.due_at - told < 3_000
        assert [(e.claim_no, e.outcome, e.class_name) for e in task.history] == [
            (1, "crashed", ""),
            (2, "crashed", ""),
            (3, "crashed", "ProcessDied"),
            (4, "quarantined", "CrashLoop"),
        ]
        (died,) = [e for e in worker.told if isinstance(e, facts.Crashed) and e.failure]
        assert died.failure is not None
        assert "SIGKILL" in died.failure.message
        assert len(await bench.dead_letters()) == 1

    play(story)


def test_a_suspect_that_kills_more_than_its_process_is_quarantined_in_the_end() -> None:
    registry = Registry()

    @registry.handler("bomb", timeout=600)
    async def bomb(_: Number) -> None:
        await asyncio.sleep(5)
        workers[-1].kill()
        await asyncio.sleep(3600)

    workers: list[Worker] = []

    async def story(bench: Bench) -> None:
        async def supervise() -> None:
            while True:
                workers.append(await bench.start(registry))
                await asyncio.wait({workers[-1].run})

        supervisor = asyncio.create_task(supervise())
        submitted = await bench.submit("bomb", {})
        (task,) = await bench.ended(submitted.id)
        supervisor.cancel()
        assert guilty(task)
        assert task.crashes == 3
        outcomes = [entry.outcome for entry in task.history]
        assert outcomes.count("orphaned") == 8
        assert outcomes.count("crashed") == 3
        assert len(workers) - 1 == 2 + 8 + 1

    long_play(story)


def test_a_suspect_for_which_no_process_can_be_had_is_given_back_uncounted() -> None:
    async def story(bench: Bench) -> None:
        cast = Cast(bench, 1)
        submitted = await bench.submit("innocent", {})
        await crashed_twice(bench, cast.registry)
        broken = True
        worker = await bench.start(cast.registry, no_children=lambda: broken)
        await worker.tells("task.released", 3)
        task = await bench.task(submitted.id)
        assert (task.state, task.attempts, task.crashes) == (State.QUEUED, 0, 2)
        assert "daemon.failed" in worker.names()
        broken = False
        (task,) = await bench.ended(submitted.id)
        assert task.state is State.SUCCEEDED

    play(story)


def test_a_stop_gives_a_suspect_back_and_blames_it_for_nothing() -> None:
    async def story(bench: Bench) -> None:
        cast = Cast(bench, 500)
        submitted = await bench.submit("innocent", {})
        await crashed_twice(bench, cast.registry)
        worker = await bench.start(cast.registry)
        await worker.tells("task.claimed")
        await asyncio.sleep(5)
        await worker.drain()
        task = await bench.task(submitted.id)
        assert (task.state, task.attempts, task.crashes) == (State.QUEUED, 0, 2)
        assert bench.children[-1].killed

    play(story)
