"""A log that nobody reads holds no daemon up: neither its work nor its end."""

from __future__ import annotations

import json

import pytest

from ftq.wire import queue
from ftq.wire.queue import Outgoing
from tests.e2e import speaking
from tests.e2e.doors import Account, daemon
from tests.e2e.stage import await_that

pytestmark = pytest.mark.e2e

# Each makes a kilobyte of log, and a pipe holds 64, less what lines leave of its pages (pipe(7)).
TASKS = 200


def test_a_daemon_works_and_ends_though_nobody_reads_what_it_says(ministack_url: str) -> None:
    account, dlq_url = Account.at(ministack_url), Account.at(ministack_url).queue_url
    for first in range(0, TASKS, 10):
        bodies = [
            json.dumps({"id": f"t{n}", "type": "shop.order", "payload": "x"})
            for n in range(first, first + 10)
        ]
        account.aws.call(queue.send_batch(account.queue_url, [*map(Outgoing, bodies)]))

    def dead() -> int:
        depth = queue.read_attributes(account.aws.call(queue.depth(dlq_url)))
        return int(depth["ApproximateNumberOfMessages"])

    handlers = f"{speaking.__name__}:registry"
    with daemon(account, dlq_url, handlers, FTQ_LOG_LEVEL="DEBUG") as process:
        await_that(lambda: dead() == TASKS)
        process.terminate()
        assert process.wait(timeout=30) == 0
        said, _ = process.communicate()
    assert 32_000 < len(said) <= 65_536, "the pipe was full"
    assert said.count('"task.dead"') < TASKS
