"""The client and its commands against a whole ftq on this machine."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftq.client import AsyncClient, Client, Conflict, NewTask, StillOpen, TaskFailed
from tests.e2e.stage import Up, document, ftq, up
from tests.unit.api.door import dig

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Up]]:
    directory = tmp_path_factory.mktemp("client")
    with up(directory) as running:
        yield directory, running


def test_what_is_submitted_ends_and_can_be_asked_for(place: tuple[Path, Up]) -> None:
    with Client(place[1].api) as client:
        accepted = client.submit("demo.echo", {"n": "ü"}, key="echo")
        task = client.wait(accepted.id, 30)
        assert (task.succeeded, task.result) == (True, {"n": "ü"})
        assert client.submit("demo.echo", {"n": "ü"}, key="echo").id == accepted.id
        many = client.submit_many(NewTask("demo.echo", n) for n in range(120))
        assert not any(isinstance(each, Exception) for each in many)
        assert len([*client.list(type="demo.echo")]) == 121


def test_what_dies_is_shown_and_redriven_once(place: tuple[Path, Up]) -> None:
    with Client(place[1].api) as client:
        task_id = client.submit("demo.fail", {"message": "on purpose"}).id
        with pytest.raises(TaskFailed):
            client.wait(task_id, 30, raise_on_failure=True)
        [group] = client.dead_letters("1h").groups
        assert (group.type, group.samples) == ("demo.fail", (task_id,))
        assert client.redrive_all(error=group.fingerprint).redriven == 1
        again = client.wait(task_id, 30)
        assert (again.state, again.claim_no) == ("dead", 2)


async def test_what_waits_is_cancelled_and_says_so(place: tuple[Path, Up]) -> None:
    async with AsyncClient(place[1].api) as client:
        task_id = (await client.submit("demo.echo", 1, delay_seconds=600)).id
        with pytest.raises(StillOpen):
            await client.wait(task_id, 0.2)
        assert (await client.cancel(task_id)).state == "cancelled"
        with pytest.raises(Conflict):
            await client.cancel(task_id)


def test_the_commands_agree_with_the_client(place: tuple[Path, Up]) -> None:
    directory, _ = place

    def said(*arguments: str) -> object:
        done = ftq(*arguments, "--json", cwd=directory)
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)

    failed = document(json.dumps(said("submit", "demo.fail", '{"message": "m"}', "--wait")))
    assert failed["state"] == "dead"
    assert dig(document(json.dumps(said("ls", "--state", "dead"))), "tasks", 0, "state") == "dead"
    assert document(json.dumps(said("redrive", "--all", "--dry-run")))["redriven"] == 0
    checked = document(json.dumps(said("doctor")))
    faults = [each for each in _checks(checked) if each["ok"] is False]
    assert faults == [], "a local ftq is as it should be"
    names = {str(each["name"]) for each in _checks(checked)}
    assert names >= {"API", "clock", "queue", "table", "index", "time to live", "somebody sweeps"}


def _checks(said: dict[str, object] | object) -> list[dict[str, object]]:
    assert isinstance(said, dict)
    found = said["checks"]
    assert isinstance(found, list)
    return found


def test_watching_prints_lines_into_a_pipe(place: tuple[Path, Up]) -> None:
    done = ftq("watch", "--looks", "2", "--interval", "0.5", cwd=place[0])
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_the_ftq_beside_it_goes_down_in_order(place: tuple[Path, Up]) -> None:
    assert place[1].end(signal.SIGTERM)[0] == 0
