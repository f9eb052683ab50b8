"""Records and messages that earlier versions wrote, brought to their ends by this one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

import pytest

from ftq import Registry
from ftq.lifecycle import State
from ftq.ports import Call
from ftq.task import Task
from ftq.testing import ProcessLoop
from ftq.testing.clock import run
from ftq.wire import queue
from ftq.wire.queue import Outgoing
from tests.unit.daemon.bench import TABLE, Bench
from tests.unit.daemon.yesterday import HERE, LARGE, leaving

VERSIONS: Final = sorted(HERE.glob("*.json"))
# What the handlers of `leaving` leave, once each daemon is gone.
LEFT: Final = {"succeeded", "dead", "retrying", "running", "queued", "scheduled"}


async def restore(bench: Bench, written: str) -> dict[str, list[str]]:
    """Put into table and queues what a version wrote; the tasks' ids by state."""
    left = json.loads(written)
    ids: dict[str, list[str]] = {}
    for item in left["items"]:
        await bench.aws.call(Call("dynamodb", "PutItem", {"TableName": TABLE, "Item": item}))
        if "state" in item:
            ids.setdefault(item["state"]["S"], []).append(item["id"]["S"])
    for name, url in (("queue", bench.url), ("dlq", bench.dlq_url)):
        for each in left[name]:
            await bench.aws.call(queue.send(url, Outgoing(each["body"], each["marks"])))
    # They were written over some minutes of another clock that began at the same moment.
    await asyncio.sleep(3_600)
    return ids


def calm() -> Registry:
    """The same types, and nothing fails any more."""
    registry = Registry()
    for type_ in leaving():

        @registry.handler(type_.type)
        async def handle(payload: object) -> object:
            return payload

    return registry


@pytest.mark.parametrize("written", VERSIONS, ids=lambda path: path.stem)
def test_what_an_earlier_version_left_open_ends_as_it_should(written: Path) -> None:
    ended: dict[str, list[Task]] = {}
    left = written.read_text()

    async def story() -> None:
        async with Bench() as bench:
            ids = await restore(bench, left)
            assert ids.keys() == LEFT
            await bench.start(calm())
            for state, some in ids.items():
                if state not in ("succeeded", "dead"):
                    ended[state] = await bench.ended(*some)
            for state in ("succeeded", "dead"):
                ended[state] = [await bench.task(each) for each in ids[state]]

    run(story, limit_seconds=3 * 24 * 3600, loop_factory=ProcessLoop)

    assert {task.state for task in ended.pop("dead")} == {State.DEAD}
    assert {task.state for tasks in ended.values() for task in tasks} == {State.SUCCEEDED}
    assert [task.claim_no for task in ended["running"]] == [2]
    assert [task.crashes for task in ended["running"]] == [1]
    assert {task.result for task in ended["queued"]} == {'{"n":3}', json.dumps(LARGE)}


@pytest.mark.parametrize("written", VERSIONS, ids=lambda path: path.stem)
def test_a_dead_letter_of_an_earlier_version_comes_back_for_one_more_life(written: Path) -> None:
    found: list[Task] = []
    left = written.read_text()

    async def story() -> None:
        async with Bench() as bench:
            ids = await restore(bench, left)
            for copy in await bench.dead_letters():
                await bench.aws.call(queue.send(bench.url, queue.copy_of(copy, {})))
            await bench.start(calm())
            found.extend(await bench.ended(*ids["dead"]))
            while found[0].state is State.DEAD:
                await asyncio.sleep(1)
                found[:] = [await bench.task(each) for each in ids["dead"]]
            found[:] = await bench.ended(*ids["dead"])

    run(story, limit_seconds=3 * 24 * 3600, loop_factory=ProcessLoop)

    assert [(task.state, task.claim_no) for task in found] == [(State.SUCCEEDED, 2)]
    assert [each.outcome for each in found[0].history] == ["rejected", "redriven", "succeeded"]


def test_daemons_of_two_versions_share_a_queue_while_one_replaces_the_other() -> None:
    new: list[Task] = []
    old: list[Task] = []
    kept: list[object] = []

    def later() -> Registry:
        registry = calm()

        @registry.handler("new")
        async def handle(payload: object) -> object:
            await asyncio.sleep(1)
            return payload

        return registry

    async def story() -> None:
        async with Bench() as bench:
            ids = [(await bench.submit("new", n)).id for n in range(30)]
            # An API of tomorrow: its records and messages say more than is known today.
            planned = await bench.submit("echo", {"n": 1})
            item = bench.aws.table(TABLE).get(planned.id)
            assert item is not None
            told = {**item, "colour": {"S": "red"}}
            await bench.aws.call(Call("dynamodb", "PutItem", {"TableName": TABLE, "Item": told}))
            sent = bench.plan("echo", {"n": 2})
            body = json.dumps({**json.loads(sent.body), "colour": "red"})
            await bench.send(body, queue.mark("colour", "red"))
            older = await bench.start(calm())
            await older.tells("message.refused")
            await bench.start(later())
            new.extend(await bench.ended(*ids))
            old.extend(await bench.ended(planned.id, sent.task.id))
            kept.append((bench.aws.table(TABLE).get(planned.id) or {}).get("colour"))
            await bench.emptied()

    run(story, limit_seconds=2 * 3600, loop_factory=ProcessLoop)

    assert {(task.state, task.attempts, task.claim_no) for task in new} == {(State.SUCCEEDED, 0, 1)}
    assert {entry.by for task in new for entry in task.history} == {"daemon-1"}
    assert [task.result for task in old] == ['{"n":1}', '{"n":2}']
    assert kept == [{"S": "red"}]
