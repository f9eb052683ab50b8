"""The routes that look after tasks, on a real wire: at the handler and over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from urllib.parse import quote

import pytest

from api_lambda.http import moment
from ftq.breaker import Position
from ftq.lifecycle import State
from ftq.limits import STATEMENTS_PER_BATCH
from ftq.report import BreakerNote, Report
from ftq.settlement import Cause, Complete, Counter, DeadLetter, Settlement
from ftq.task import Entry, Task, failure
from ftq.text import Json
from ftq.wire import reports, table
from ftq.wire.claimant import Claimant
from ftq.wire.statements import Statement, Statements
from ftq.wire.table import KEYS_PER_READ, Written
from tests.e2e.doors import Account, Stack, in_process, over_socket, served, served_by
from tests.unit.api.door import Got, dig

pytestmark = pytest.mark.e2e

OOPS = failure("exception", "ValueError", "no row 7")
DIE = DeadLetter(Cause.PERMANENT, Counter.ATTEMPTS, OOPS)


@pytest.fixture(params=["in process", "over a socket"])
def stack(
    request: pytest.FixtureRequest, ministack_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stack]:
    account = Account.at(ministack_url)
    if request.param == "in process":
        with in_process(account, monkeypatch) as made:
            yield made
        return
    with served(account.settings) as port, over_socket(account, port) as made:
        yield made


def now() -> int:
    return time.time_ns() // 1_000_000


def batch(stack: Stack, *tasks: Json) -> list[str]:
    got = stack.ask("POST", "/tasks/batch", json.dumps({"tasks": [*tasks]}))
    assert got.status == 200, got.body
    results = got.doc["results"]
    assert isinstance(results, list)
    assert {dig(each, "status") for each in results} == {202}
    return [str(dig(each, "id")) for each in results]


def record(stack: Stack, task_id: str) -> Task:
    task = table.read_get(stack.aws.call(table.get(stack.table, task_id)))
    assert task is not None
    return task


def settle(stack: Stack, task_id: str, verdict: Settlement) -> None:
    to = Statements(stack.table)
    claim = to.claim(task_id, Claimant("d", f"t-{now()}", now(), now() + 60_000))
    stack.aws.call(table.execute([claim]))
    task = record(stack, task_id)
    entry = Entry(task.claim_no, "d", now(), "ended")
    settled = to.settle(task, verdict, entry, grace=900_000, retention=86_400_000)
    stack.aws.call(table.execute([settled]))


def some(count: int, **more: Json) -> list[Json]:
    return [{"type": "a", "payload": n, **more} for n in range(count)]


def listed(stack: Stack, **params: object) -> list[str]:
    found: list[str] = []
    cursor: Json = ""
    while cursor is not None:
        query = "&".join(f"{name}={quote(str(value))}" for name, value in params.items())
        got = stack.ask("GET", f"/tasks?{query}" + (f"&cursor={cursor}" if cursor else ""))
        assert got.status == 200, got.body
        tasks = got.doc["tasks"]
        assert isinstance(tasks, list)
        found += [str(dig(task, "id")) for task in tasks]
        cursor = got.doc["cursor"]
    return found


def ask(stack: Stack, path: str, **fields: Json) -> Got:
    return stack.ask("POST", path, json.dumps(fields))


def test_a_batch_is_accepted_stored_and_sent(stack: Stack) -> None:
    entries: list[Json] = [
        {"type": "a", "payload": {"n": n}, "idempotency_key": f"{stack.key}-{n}"} for n in range(40)
    ]
    large: Json = {"type": "a", "payload": "x" * 5_000}
    ids = batch(stack, *entries, large)
    assert len(stack.messages()) == 41
    assert batch(stack, *entries) == ids[:40]
    changed: Json = {"type": "b", "payload": 1, "idempotency_key": f"{stack.key}-0"}
    got = ask(stack, "/tasks/batch", tasks=[changed, {"type": "a b", "payload": 1}])
    assert [dig(got.doc, "results", n, "status") for n in (0, 1)] == [409, 422]
    assert stack.ask("GET", f"/tasks/{ids[40]}").doc["payload"] == "x" * 5_000


def test_tasks_are_listed_page_by_page(stack: Stack) -> None:
    ids = batch(stack, *some(60, tenant="acme"))
    settle(stack, ids[3], Complete("1"))
    settle(stack, ids[4], DIE)
    found = listed(stack, limit=7)
    assert len(found) == 60
    assert set(found) == set(ids)
    assert found[:2] == [ids[4], ids[3]]
    assert listed(stack, state="dead") == [ids[4]]
    assert listed(stack, state="succeeded", type="a", tenant="acme") == [ids[3]]
    assert listed(stack, tenant="none") == []
    bad = stack.ask("GET", "/tasks?cursor=AAAA&limit=3")
    assert (bad.status, bad.fields) == (422, ["cursor"])


def test_a_task_is_cancelled_once(stack: Stack) -> None:
    (task_id,) = batch(stack, {"type": "a", "payload": 1})
    assert stack.ask("POST", f"/tasks/{task_id}/cancel").doc["state"] == "cancelled"
    assert stack.ask("POST", f"/tasks/{task_id}/cancel").status == 409
    assert stack.ask("POST", "/tasks/nobody/cancel").status == 404


def test_the_dead_are_told_and_redriven(stack: Stack) -> None:
    ids = batch(stack, *some(40))
    stack.messages()
    for task_id in ids[:30]:
        settle(stack, task_id, DIE)
    told = stack.ask("GET", "/dead-letters?window=1h").doc
    assert (told["total"], told["truncated"]) == (30, False)
    assert dig(told, "groups", 0, "fingerprint") == OOPS.fingerprint
    assert ask(stack, "/redrives", dry_run=True, error=OOPS.fingerprint).doc["matched"] == 30
    first = stack.ask("POST", f"/tasks/{ids[0]}/redrive")
    again = stack.ask("POST", f"/tasks/{ids[0]}/redrive")
    assert (first.status, again.status) == (202, 202)
    part = ask(stack, "/redrives", limit=10).doc
    assert (part["redriven"], dig(part, "remaining", "count")) == (10, 19)
    rest = ask(stack, "/redrives", cursor=part["cursor"], rate=100).doc
    assert (rest["redriven"], rest["cursor"]) == (19, None)
    assert {record(stack, each).state for each in ids} == {"queued"}
    assert len(stack.messages()) == 31
    assert stack.ask("POST", f"/tasks/{ids[35]}/redrive").status == 409


def test_the_whole_is_told(stack: Stack) -> None:
    ids = batch(stack, *some(30))
    settle(stack, ids[0], Complete("1"))
    settle(stack, ids[1], DIE)
    note = {"smtp": BreakerNote(Position.OPEN, 1, now() + 5_000)}
    report = Report("d1", "1.0", stack.account.queue_url, now(), now(), 64, 3, breakers=note)
    stack.aws.call(reports.write(stack.table, report))
    told = stack.ask("GET", "/stats").doc
    assert [dig(told, "counts", each) for each in ("queued", "succeeded", "dead")] == [28, 1, 1]
    assert told["exact"] is True
    assert dig(told, "queues", 0, "visible") == 30
    assert dig(told, "breakers", 0, "position") == "open"
    assert dig(told, "daemons", 0, "in_flight") == 3
    assert told["dead_letter_queue"] is None


def test_a_redrive_that_was_killed_half_way_and_begun_again_gives_one_life_each(
    ministack_url: str,
) -> None:
    account = Account.at(ministack_url)
    with (
        served_by(account.settings) as (port, process),
        over_socket(account, port) as stack,
    ):
        ids = died(stack, 1_000)
        asked = {"before": moment(now())}
        # Killed after some 200: in chunks of 25, before the request has had its time.
        with ThreadPoolExecutor(1) as one:
            answer = one.submit(ask, stack, "/redrives", rate=500, **asked)
            while sum(task.state is State.QUEUED for task in records(stack, ids[::10])) < 20:
                assert not answer.done()
            process.kill()
            with pytest.raises((ConnectionError, HTTPException)):
                answer.result()
        begun = [task for task in records(stack, ids) if task.state is State.QUEUED]
        assert 100 < len(begun) < 1_000
    # The worst that can be in between: those lives are over, and end as the ones before.
    live(stack, begun)
    with served(account.settings) as port, over_socket(account, port) as stack:
        again = ask(stack, "/redrives", **asked).doc
        assert (again["redriven"], again["cursor"]) == (1_000 - len(begun), None)
        live(stack, [task for task in records(stack, ids) if task.state is State.QUEUED])
        assert ask(stack, "/redrives", **asked).doc["matched"] == 0
    lives = records(stack, ids)
    assert len(lives) == 1_000
    assert {(task.state, task.claim_no, task.past) for task in lives} == {(State.DEAD, 2, 1)}
    assert {tuple(each.outcome for each in task.history) for task in lives} == {
        ("failed", "redriven", "failed")
    }


def died(stack: Stack, count: int) -> list[str]:
    """Tasks that are dead already, written as a batch."""
    to, at = Statements(stack.table), now() - 1_000
    entry = Entry(1, "d", at, "failed")
    dead = [
        Task(
            id=f"{stack.key}-{n}", type="a", queue=stack.account.queue_url, state=State.DEAD,
            claim_no=1, attempts=1, created_at=at, due_at=at, payload="1", last_error=OOPS,
            history=(entry,),
        )
        for n in range(count)
    ]  # fmt: skip
    write(stack, [to.insert(task) for task in dead])
    return [task.id for task in dead]


def live(stack: Stack, tasks: list[Task]) -> None:
    """Each is claimed once, and dies."""
    to, at = Statements(stack.table), now()
    write(stack, [to.claim(each.id, Claimant("d", each.id, at, at + 60_000)) for each in tasks])
    ends = {"grace": 900_000, "retention": 86_400_000}
    running = records(stack, [each.id for each in tasks])
    write(
        stack,
        [to.settle(each, DIE, Entry(each.claim_no, "d", at, "failed"), **ends) for each in running],
    )


def write(stack: Stack, statements: list[Statement]) -> None:
    for first in range(0, len(statements), STATEMENTS_PER_BATCH):
        chunk = statements[first : first + STATEMENTS_PER_BATCH]
        results = table.read_execute(stack.aws.call(table.execute(chunk)), len(chunk))
        assert all(isinstance(each, Written) for each in results)


def records(stack: Stack, ids: list[str]) -> list[Task]:
    found: list[Task] = []
    for first in range(0, len(ids), KEYS_PER_READ):
        reply = stack.aws.call(table.get_many(stack.table, ids[first : first + KEYS_PER_READ]))
        found += table.read_get_many(reply, stack.table)
    return found
