"""A local ftq has the queues that its handlers name, and one daemon serves them all."""

from __future__ import annotations

import pytest

from ftq.wire import table
from tests.e2e.stage import pretty, stage

pytestmark = pytest.mark.e2e


async def test_each_task_goes_over_the_queue_of_its_handler() -> None:
    async with stage(daemons=1, handlers="tests.e2e.bulky:registry") as on:
        made = on.it.made
        assert list(made.queues) == ["bulk"]
        for type_, url in (("bulk.echo", made.queues["bulk"]), ("echo", made.queue_url)):
            accepted = await on.api.submit(type_, {"n": 1})
            task = await on.api.wait(accepted.id, timeout=20)
            assert task.state == "succeeded", pretty(task)
            record = table.read_get(await on.it.aws.call(table.get(made.table, accepted.id)))
            assert record is not None
            assert record.queue == url
