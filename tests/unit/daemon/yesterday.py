"""Writes down what this version leaves in table and queues.

Run once for each release, `python -m tests.unit.daemon.yesterday`, and keep the file:
`test_upgrade` has every later version go on from it.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

from ftq import Context, Registry, Reject, Retry
from ftq.testing import ProcessLoop
from ftq.testing.clock import run
from ftq.text import Json
from ftq.wire import queue
from tests.unit.daemon.bench import TABLE, Bench

HERE: Final = Path(__file__).with_name("written")
LARGE: Final = "x" * 3_000


def leaving() -> Registry:
    """Handlers that leave tasks in every state."""
    registry = Registry()

    @registry.handler("echo")
    async def echo(payload: object) -> object:
        return payload

    @registry.handler("reject")
    async def reject(payload: object) -> None:
        raise Reject("not today")

    @registry.handler("again")
    async def again(payload: object) -> None:
        raise Retry(after=600)

    @registry.handler("long")
    async def long(payload: object, context: Context) -> None:
        await context.progress({"step": 1})
        await asyncio.sleep(3600)

    return registry


async def leave() -> Json:
    """All items of the table and all messages, once tasks are in every state."""
    async with Bench() as bench:
        worker = await bench.start(leaving())
        done = await bench.submit("echo", {"n": 1})
        dead = await bench.submit("reject")
        await bench.ended(done.id, dead.id)
        await bench.submit("again", {"n": 2})
        await bench.submit("long")
        await worker.tells("task.retrying")
        await asyncio.sleep(30)
        worker.kill()
        await bench.submit("echo", {"n": 3})
        await bench.submit("echo", LARGE)
        await bench.submit("echo", {"n": 4}, not_before=bench.now() + 3 * 3_600_000)
        # Long enough that what the killed daemon held can be seen, too short for another life.
        await asyncio.sleep(1_000)
        items = bench.aws.table(TABLE).items()
        found: dict[str, Json] = {"items": json.loads(json.dumps([*items.values()]))}
        for name, url in (("queue", bench.url), ("dlq", bench.dlq_url)):
            messages: list[Json] = []
            while got := queue.read_receive(
                await bench.aws.call(queue.receive(url, 10, 0, 43_200))
            ):
                messages += [
                    {"body": each.body, "marks": json.loads(json.dumps(each.attributes))}
                    for each in got
                ]
            found[name] = messages
        return found


def main() -> None:
    """Write the file of this version."""
    from importlib.metadata import version

    found: list[Json] = []

    async def story() -> None:
        found.append(await leave())

    run(story, limit_seconds=24 * 3600, loop_factory=ProcessLoop)
    HERE.mkdir(exist_ok=True)
    place = HERE / f"{version('ftq')}.json"
    place.write_text(json.dumps(found[0], indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
