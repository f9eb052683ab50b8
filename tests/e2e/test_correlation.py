"""One id leads from a request through every program to the command."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from ftq.wire import queue, table
from ftq.wire.queue import Message
from tests.e2e import speaking
from tests.e2e.doors import Account, daemon, served
from tests.e2e.stage import await_that, document, ftq

pytestmark = pytest.mark.e2e

ID = "order-7:web.3"
HANDLERS = f"{speaking.__name__}:registry"


def peek(account: Account, url: str) -> list[Message]:
    """What can be received now; it stays there for whoever comes next."""
    return queue.read_receive(account.aws.call(queue.receive(url, 10, 0, 0)))


def correlation(message: Message) -> object:
    return document(message.body)["correlation_id"]


def test_an_id_leads_from_the_header_by_record_message_handler_and_dead_letter_to_the_command(
    ministack_url: str, tmp_path: Path
) -> None:
    account, dlq_url = Account.at(ministack_url), Account.at(ministack_url).queue_url
    with served(account.settings) as port:
        api = f"http://127.0.0.1:{port}"
        asked = {"type": "shop.order", "payload": {}}
        got = httpx.post(f"{api}/tasks", json=asked, headers={"X-Correlation-Id": ID})
        assert (got.status_code, got.headers["X-Correlation-Id"]) == (202, ID)
        task_id = str(got.json()["id"])
        record = table.read_get(account.aws.call(table.get(account.table, task_id)))
        assert record is not None
        assert record.correlation_id == ID
        (message,) = peek(account, account.queue_url)
        assert correlation(message) == ID
        with daemon(account, dlq_url, HANDLERS) as process:
            await_that(lambda: peek(account, dlq_url))
            process.terminate()
            said, _ = process.communicate(timeout=30)
        (letter,) = peek(account, dlq_url)
        assert correlation(letter) == ID
        assert "no such item" in str(letter.attributes[queue.CAUSE]["StringValue"])
        shown = document(ftq("get", task_id, "--api", api, "--json", cwd=tmp_path).stdout)
        assert (shown["state"], shown["correlation_id"]) == ("dead", ID)
    lines = [document(line) for line in said.splitlines()]
    follows = {
        str(each["event"]): each["task_id"] for each in lines if each.get("correlation_id") == ID
    }
    assert follows == dict.fromkeys(["task.claimed", "looking at it", "task.dead"], task_id), (
        json.dumps(lines, indent=1)
    )
