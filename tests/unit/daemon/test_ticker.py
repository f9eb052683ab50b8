"""What the clock submits is submitted once in the whole fleet, and not lost between daemons."""

from __future__ import annotations

import asyncio

from ftq import Registry, Tick
from ftq.ports import Call
from ftq.schedule import Missed
from ftq.testing import Fault, FaultyPort, script
from ftq.wire import schedules
from tests.unit.daemon.bench import TABLE, Bench
from tests.unit.daemon.test_daemon import play

HOUR = 3600


def scheduled(missed: Missed = "latest") -> tuple[Registry, list[str]]:
    registry = Registry()
    ran: list[str] = []

    @registry.every("0 * * * *", missed=missed)
    @registry.handler("hourly")
    async def hourly(tick: Tick) -> None:
        ran.append(tick.scheduled_for.isoformat())

    return registry, ran


def test_each_tick_runs_once_however_many_daemons_there_are() -> None:
    async def story(bench: Bench) -> None:
        registry, ran = scheduled()
        workers = [await bench.start(registry) for _ in range(5)]
        await asyncio.sleep(6 * HOUR + 30)
        assert len(ran) == len(set(ran)) == 6
        ticked = [
            name for worker in workers for name in worker.names() if name == "schedule.ticked"
        ]
        assert len(ticked) == 6
        assert not any("daemon.failed" in worker.names() for worker in workers)
        (schedule,) = registry.schedules
        mark = schedules.read_mark(await bench.aws.call(schedules.read(TABLE, schedule.key)))
        assert mark is not None
        assert bench.now() - mark < HOUR * 1000

    play(story)


def test_a_tick_between_two_daemons_is_made_up_for() -> None:
    async def story(bench: Bench) -> None:
        registry, ran = scheduled()
        first = await bench.start(registry)
        await asyncio.sleep(HOUR + 30)
        assert await first.drain() == 0
        await asyncio.sleep(3 * HOUR)
        await bench.start(registry)
        await asyncio.sleep(30)
        assert len(ran) == 2, "the latest of three"
        await asyncio.sleep(HOUR)
        assert len(ran) == len(set(ran)) == 3

    play(story)


def test_all_missed_ticks_run_if_that_is_what_was_asked_for() -> None:
    async def story(bench: Bench) -> None:
        registry, ran = scheduled("all")
        first = await bench.start(registry)
        await asyncio.sleep(30)
        assert await first.drain() == 0
        await asyncio.sleep(3 * HOUR)
        await bench.start(registry)
        await asyncio.sleep(30)
        assert len(ran) == len(set(ran)) == 3

    play(story)


def test_a_new_schedule_begins_now_and_not_in_the_past() -> None:
    async def story(bench: Bench) -> None:
        registry, ran = scheduled("all")
        await bench.start(registry)
        await asyncio.sleep(30)
        assert ran == []

    play(story)


def test_a_daemon_that_dies_before_the_send_loses_no_tick() -> None:
    async def story(bench: Bench) -> None:
        registry, ran = scheduled()
        never_sends = script({"SendMessageBatch": [Fault("unavailable")] * 1000})
        worker = await bench.start(registry, port=FaultyPort(bench.aws, never_sends))
        await worker.tells("schedule.ticked")
        worker.kill()
        await bench.start(registry)
        await asyncio.sleep(1200)  # the sweeper's grace
        assert len(ran) == 1

    play(story)


def test_a_table_that_does_not_answer_delays_a_tick_and_loses_none() -> None:
    async def story(bench: Bench) -> None:
        registry, ran = scheduled()
        down = [False]

        def plan(call: Call) -> Fault | None:
            return Fault("unavailable") if down[0] and call.service == "dynamodb" else None

        worker = await bench.start(registry, port=FaultyPort(bench.aws, plan))
        await asyncio.sleep(60)
        down[0] = True
        await worker.tells("daemon.failed")
        await asyncio.sleep(HOUR)
        assert ran == []
        down[0] = False
        await asyncio.sleep(180)
        assert len(ran) == 1

    play(story)


def test_a_registry_without_schedules_asks_nothing() -> None:
    async def story(bench: Bench) -> None:
        registry = Registry()

        @registry.handler("hourly")
        async def hourly(_: Tick) -> None: ...

        await bench.start(registry)
        await asyncio.sleep(600)
        assert bench.aws.calls["GetItem"] == 0
        assert bench.aws.calls["BatchExecuteStatement"] == 0

    play(story)


def test_one_fault_at_a_tick_skips_nothing() -> None:
    async def story(bench: Bench) -> None:
        registry, ran = scheduled("skip")
        faults = script({"GetItem": [None, Fault("unavailable")]})
        await bench.start(registry, port=FaultyPort(bench.aws, faults))
        await asyncio.sleep(HOUR + 60)
        assert len(ran) == 1

    play(story)
