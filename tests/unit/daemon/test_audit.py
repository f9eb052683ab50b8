"""The audit of whole lives: each change of state is one line, and the lines join."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from itertools import pairwise

from ftq import Registry, Reject, RetryPolicy
from ftq.control import Operator, cancel, redrive
from ftq.lifecycle import TRANSITIONS
from ftq.ports import Call
from ftq.steps import walk_async
from ftq.text import Document
from ftq.wire import table
from ftq.wire.statements import Statements
from ftq_daemon.sinks.log import LogSink
from tests.unit.daemon.bench import TABLE, Bench, Worker
from tests.unit.daemon.test_daemon import Number, play

STEPS = {(was, now) for (was, _), now in TRANSITIONS.items()}


def registry_of(dice: random.Random) -> Registry:
    registry = Registry()

    @registry.handler("flaky", retry=RetryPolicy(attempts=3, base=30, cap=60), breaker="")
    async def flaky(_: Number) -> None:
        await asyncio.sleep(5)
        if dice.random() < 0.4:
            raise OSError("not this time")

    @registry.handler("doomed")
    async def doomed(_: Number) -> None:
        raise Reject("never")

    @registry.handler("long", timeout=39_000)
    async def long(_: Number) -> None:
        await asyncio.sleep(36_000)

    return registry


def test_the_lines_of_each_task_lead_from_its_first_state_to_its_last() -> None:
    lines: list[Document] = []

    async def start(bench: Bench, registry: Registry) -> Worker:
        worker = await bench.start(registry)
        log = LogSink("d", "CRITICAL", lambda line: lines.append(json.loads(line)), audit=True)
        worker.daemon.events.sinks = [*worker.daemon.events.sinks, log]
        return worker

    async def story(bench: Bench) -> None:
        registry = registry_of(random.Random(5))
        tasks = [await bench.submit(name, {}) for name in ("flaky", "doomed") for _ in range(20)]
        for minutes in (20, 60):
            later = bench.plan("flaky", {}, not_before=bench.now() + minutes * 60_000)
            await bench.aws.call(table.put(TABLE, later.task))
            tasks.append(later.task)
        long = await bench.submit("long", {})
        first = await start(bench, registry)
        second = await start(bench, registry)
        await asyncio.sleep(30)
        await bench.aws.call(Call("sqs", "PurgeQueue", {"QueueUrl": bench.url}))
        await first.drain()
        await second.tells("task.queued", 2)
        states = Statements(TABLE)
        who = Operator("ada", bench.now(), 900_000, 30 * 86_400_000)
        await walk_async(bench.aws, cancel(states, long.id, who))
        tasks.append(long)
        ended = await bench.ended(*(task.id for task in tasks))
        dead = next(task for task in ended if task.type == "doomed")
        await walk_async(bench.aws, redrive(states, dead.id, None, who))
        await bench.ended(dead.id)
        await second.drain()
        lives: defaultdict[object, list[tuple[object, object]]] = defaultdict(list)
        for line in (each for each in lines if each.get("stream") == "audit"):
            lives[line["task_id"]].append((line["from"], line["to"]))
        # What the operator did is in the API's lines.
        at = lives[dead.id].index(("running", "dead")) + 1
        lives[dead.id].insert(at, ("dead", "queued"))
        for task in tasks:
            life = [(str(task.state), str(task.state)), *lives[task.id]]
            assert {(was, now) for was, now in life[1:]} <= STEPS, life
            assert all(one[1] == two[0] for one, two in pairwise(life)), life
            assert life[-1][1] == (await bench.task(task.id)).state, life
        steps = {step for life in lives.values() for step in life}
        assert {("scheduled", "queued"), ("running", "queued"), ("running", "cancelled")} <= steps

    play(story)
