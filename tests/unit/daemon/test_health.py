"""The daemon's own HTTP says what is so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from ftq import Registry
from ftq.errors import CallError, SettingsError
from ftq.ports import Call
from ftq.testing import Fault, FaultyPort
from ftq_daemon.health import LEFT_BEHIND_LIMIT, alive, answers_of, ready, serve
from ftq_daemon.sinks.metrics import Metrics
from ftq_daemon.sinks.tally import Gauges, Tally
from tests.unit.daemon.bench import Bench, Worker
from tests.unit.daemon.test_daemon import Number, echoing, play


def hanging(call: Call) -> Fault | None:
    """Receives never come back."""
    return Fault(before=1e6) if call.operation == "ReceiveMessage" else None


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Bench() as bench:
        yield bench


async def fetch(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_the_three_routes_answer_over_http(bench: Bench) -> None:
    registry = echoing()
    worker = await bench.start(registry)
    tally = Tally(registry)
    metrics = Metrics(
        tally,
        Gauges(
            lambda: len(worker.daemon.intake.attempts),
            lambda: worker.daemon.intake.slots.total,
            lambda: worker.daemon.attempts.breakers.positions,
        ),
    )
    worker.daemon.events.sinks = [*worker.daemon.events.sinks, tally]
    submitted = await bench.submit("echo", {"n": 1})
    await bench.ended(submitted.id)
    async with serve(answers_of(worker.daemon, metrics.render), "127.0.0.1", 0) as url:
        assert await fetch(f"{url}/healthz") == (200, '{"status": "ok"}')
        assert await fetch(f"{url}/readyz") == (200, '{"status": "ok"}')
        status, text = await fetch(f"{url}/metrics")
    assert status == 200
    assert 'ftq_tasks_total{outcome="succeeded",type="echo"} 1.0' in text
    assert 'ftq_task_seconds_count{type="echo"} 1.0' in text
    assert "ftq_queue_wait_seconds_count 1.0" in text
    assert "ftq_claims_lost_total 0.0" in text
    assert "ftq_inflight 0.0" in text
    assert 'ftq_breaker_state{breaker="echo"} 0.0' in text


async def test_a_type_nobody_knows_makes_no_label_of_its_own(bench: Bench) -> None:
    tally = Tally(Registry())
    worker = await bench.start(echoing())
    worker.daemon.events.sinks = [*worker.daemon.events.sinks, tally]
    submitted = await bench.submit("echo", {})
    await bench.ended(submitted.id)
    text = Metrics(tally, Gauges()).render().decode()
    assert 'ftq_tasks_total{outcome="succeeded",type="unknown"} 1.0' in text
    assert 'type="echo"' not in text


def test_a_daemon_that_drains_is_alive_but_not_ready() -> None:
    async def story(bench: Bench) -> None:
        worker = await bench.start(echoing())
        await asyncio.sleep(1)
        assert (alive(worker.daemon), ready(worker.daemon)) == ("", "")
        stop = asyncio.create_task(worker.drain())
        await asyncio.sleep(1)
        assert (alive(worker.daemon), ready(worker.daemon)) == ("", "draining")
        await stop

    play(story)


def test_a_daemon_whose_polls_never_come_back_is_not_alive() -> None:
    async def story(bench: Bench) -> None:
        stuck = FaultyPort(
            bench.aws,
            lambda call: Fault(before=1e6) if call.operation == "ReceiveMessage" else None,
        )
        worker = await bench.start(echoing(), port=stuck)
        await asyncio.sleep(75)
        assert alive(worker.daemon) == ""
        await asyncio.sleep(10)
        assert alive(worker.daemon) == "a receive is overdue by 65 s"

    play(story)


def test_a_daemon_with_few_slots_whose_receive_hangs_is_not_alive_either() -> None:
    async def story(bench: Bench) -> None:
        stuck = FaultyPort(bench.aws, hanging)
        worker = await bench.start(echoing(), port=stuck, concurrency=10)
        await asyncio.sleep(85)
        assert alive(worker.daemon) == "a receive is overdue by 65 s"

    play(story)


def test_a_daemon_whose_slots_were_all_taken_for_long_is_alive() -> None:
    registry = Registry()

    @registry.handler("long", timeout=600)
    async def long(_: Number) -> None:
        await asyncio.sleep(200)

    async def story(bench: Bench) -> None:
        for _ in range(15):
            await bench.submit("long", {})
        worker = await bench.start(registry, concurrency=15)
        await worker.tells("task.claimed", 15)
        for _ in range(300):
            await asyncio.sleep(1)
            assert alive(worker.daemon) == ""

    play(story)


def test_a_daemon_whose_queue_does_not_answer_is_not_ready_but_alive() -> None:
    down = True

    async def story(bench: Bench) -> None:
        faulty = FaultyPort(
            bench.aws,
            lambda call: (
                Fault(error="unavailable") if down and call.operation == "ReceiveMessage" else None
            ),
        )
        worker = await bench.start(echoing(), port=faulty)
        await asyncio.sleep(600)
        assert ready(worker.daemon) == "the queue does not answer"
        assert alive(worker.daemon) == ""
        nonlocal down
        down = False
        await asyncio.sleep(30)
        assert ready(worker.daemon) == ""

    play(story)


def test_the_messages_in_hand_are_counted_and_not_the_slots_that_wait_for_some() -> None:
    registry = Registry()

    @registry.handler("long", timeout=600)
    async def long(_: Number) -> None:
        await asyncio.sleep(200)

    async def story(bench: Bench) -> None:
        worker = await bench.start(registry)
        await asyncio.sleep(1)
        assert len(worker.daemon.intake.attempts) == 0
        for _ in range(3):
            await bench.submit("long", {})
        await worker.tells("task.claimed", 3)
        assert len(worker.daemon.intake.attempts) == 3

    play(story)


async def test_a_port_that_is_taken_is_a_bad_setting(bench: Bench) -> None:
    worker = await bench.start(echoing())
    async with serve(answers_of(worker.daemon, bytes), "127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(SettingsError, match=f"FTQ_HEALTH_PORT={port} on FTQ_HEALTH_HOST="):
            async with serve(answers_of(worker.daemon, bytes), "127.0.0.1", port):
                pass


def test_a_daemon_whose_table_does_not_answer_is_not_ready_until_it_does() -> None:
    async def story(bench: Bench) -> None:
        down = True
        faulty = FaultyPort(
            bench.aws,
            lambda call: (
                Fault(error="unavailable") if down and call.service == "dynamodb" else None
            ),
        )
        submitted = await bench.submit("echo", {})
        worker = await bench.start(echoing(), port=faulty)
        await asyncio.sleep(5)
        assert ready(worker.daemon) == "the table does not answer"
        with pytest.raises(CallError):
            await worker.daemon.store.probe()
        down = False
        await bench.ended(submitted.id)
        assert ready(worker.daemon) == ""

    play(story)


def test_too_many_handlers_left_behind_ask_for_a_fresh_process() -> None:
    async def story(bench: Bench) -> None:
        worker: Worker = await bench.start(echoing())
        loop = asyncio.get_running_loop()
        left = worker.daemon.work.runner.left_behind
        left.update(loop.create_future() for _ in range(LEFT_BEHIND_LIMIT))
        assert alive(worker.daemon) == ""
        left.add(loop.create_future())
        assert alive(worker.daemon) == "33 handlers did not end when they were told to"

    play(story)
