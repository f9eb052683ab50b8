"""The client commands: what they print, for people and for scripts, and how they end."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from ftq.client import Hour
from ftq.settlement import Complete, Settlement
from ftq.task import failure
from ftq.text import parse
from ftq_cli.__main__ import COMMANDS, cli
from ftq_cli.exits import CommandError, Exit
from ftq_cli.speaking import Connector
from ftq_cli.tables import ago, sparkline
from tests.unit.api.door import Door, dig
from tests.unit.api.dying import DIE, dead, settle, submitted
from tests.unit.cli.asking import ftq
from tests.unit.client.bridge import Bridge, refused, says

OOPS = failure("exception", "OSError", "disk full")
NARROW = 80


def test_a_task_is_submitted_and_shown(bridge: Bridge, door: Door) -> None:
    ran = ftq(bridge, "submit", "a.b", '{"n": 1}', "--key", "k", "--tenant", "acme", "--json")
    assert (ran.code, ran.doc["type"], ran.doc["state"]) == (0, "a.b", "queued")
    shown = ftq(bridge, "get", str(ran.doc["id"]), "--json")
    assert shown.doc == door.get(str(ran.doc["id"])).doc
    assert (shown.doc["payload"], shown.doc["tenant"]) == ({"n": 1}, "acme")
    people = ftq(bridge, "get", str(ran.doc["id"]))
    assert f"id               {ran.doc['id']}" in people.out
    assert "\x1b" not in people.out, "no colours where there is no terminal"


def test_a_payload_comes_from_standard_input(bridge: Bridge, door: Door) -> None:
    ran = ftq(bridge, "submit", "a", "-", "--json", stdin='{"text": "日本語 ü"}')
    assert door.get(str(ran.doc["id"])).doc["payload"] == {"text": "日本語 ü"}
    assert "日本語 ü" in ftq(bridge, "get", str(ran.doc["id"])).out


@pytest.mark.parametrize(
    ("verdict", "state", "code"), [(Complete('"done"'), "succeeded", 0), (DIE, "dead", 1)]
)
def test_waiting_ends_as_the_task_does(
    bridge: Bridge, door: Door, verdict: Settlement, state: str, code: int
) -> None:
    task_id = door.post({"type": "a", "payload": 1}, key="k").id
    settle(door, task_id, verdict)
    # The very submission again: by its key it is that task.
    ran = ftq(bridge, "submit", "a", "1", "--key", "k", "--wait", "--json")
    assert (ran.code, ran.doc["id"], ran.doc["state"]) == (code, task_id, state)


@pytest.mark.parametrize(
    ("verdict", "state", "code"), [(Complete('"done"'), "succeeded", 0), (DIE, "dead", 1)]
)
def test_a_task_is_waited_for_after_a_redrive_too(
    bridge: Bridge, door: Door, verdict: Settlement, state: str, code: int
) -> None:
    task_id = door.post({"type": "a", "payload": 1}, key="k").id
    waited = ftq(bridge, "get", task_id, "--wait", "--timeout", "5")
    assert waited.code == 1
    assert "is still queued after 5 s" in waited.err
    settle(door, task_id, verdict)
    ran = ftq(bridge, "get", task_id, "--wait", "--json")
    assert (ran.code, ran.doc["id"], ran.doc["state"]) == (code, task_id, state)
    assert ftq(bridge, "get", task_id).code == 0, "to look is no failure"
    assert "--timeout goes with --wait" in ftq(bridge, "get", task_id, "--timeout", "5").err


def test_a_wait_that_takes_too_long_fails(bridge: Bridge) -> None:
    ran = ftq(bridge, "submit", "a", "1", "--wait", "--timeout", "5")
    assert ran.code == 1
    assert "is still queued after 5 s" in ran.err
    again = ftq(bridge, "submit", "a", "1", "--wait", "--timeout", "5", "--json")
    assert (again.code, again.doc["state"]) == (1, "queued"), "its id is told all the same"


def test_a_submission_without_an_answer_says_how_to_repeat_it(bridge: Bridge) -> None:
    bridge.faults = deque([refused] * 12)
    ran = ftq(bridge, "submit", "a", "1")
    assert ran.code == 3
    assert "to repeat it safely: --key " in ran.err


def test_a_list_has_whole_ids_and_says_when_there_is_more(bridge: Bridge, door: Door) -> None:
    ids = []
    for n in range(5):
        ids.append(submitted(door, n, "a.type"))
        door.clock.now += 1_000
    ran = ftq(bridge, "ls", "--limit", "3")
    assert [line.split()[0] for line in ran.out.splitlines()[1:4]] == ids[:1:-1]
    assert "and more: --limit 6" in ran.out
    said = ftq(bridge, "ls", "--state", "queued", "--type", "a.type", "--json").doc
    assert said["more"] is False
    assert dig(said, "tasks", 4, "id") == ids[0]
    assert ftq(bridge, "ls", "--state", "dead").out == "no tasks\n"


def test_tables_fit_eighty_columns(
    bridge: Bridge, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftq_cli.speaking.PIPE_COLUMNS", NARROW)
    long = "a-type.of-some-length." * 3
    for n in range(3):
        dead(door, n, long, failure("exception", "shop.errors.OutOfStockError", "x" * 200))
    submitted(door, 7, long)
    for command in (["ls"], ["dead"], ["stats"], ["watch", "--looks", "1"]):
        out = ftq(bridge, *command).out
        widest = max(map(len, out.splitlines()))
        assert widest <= NARROW or command[0] == "watch", (command, out)
    assert door.get(ftq(bridge, "ls").out.splitlines()[1].split()[0]).status == 200


def test_cancelling_says_what_becomes_of_it(bridge: Bridge, door: Door) -> None:
    waits, runs = submitted(door, 1), submitted(door, 2)
    door.claim(runs)
    assert ftq(bridge, "cancel", waits).out == f"{waits} is cancelled\n"
    assert "stops it at its next beat" in ftq(bridge, "cancel", runs).out
    again = ftq(bridge, "cancel", waits, "--json")
    assert (again.code, again.doc["type"]) == (1, "urn:ftq:problem:already-final")
    assert (again.doc["status"], again.doc["state"]) == (409, "cancelled")
    assert again.err.startswith("409 ")


def test_one_dead_task_is_redriven(bridge: Bridge, door: Door) -> None:
    task_id = dead(door)
    ran = ftq(bridge, "redrive", task_id, "--json")
    assert (ran.code, ran.doc["redriven"], ran.doc["state"]) == (0, 1, "queued")
    settle(door, task_id, Complete("1"))
    assert ftq(bridge, "redrive", task_id).code == 1


def test_a_redrive_that_names_its_death_gives_no_life_to_a_later_one(
    bridge: Bridge, door: Door
) -> None:
    task_id = dead(door)
    assert ftq(bridge, "redrive", task_id, "--claim-no", "1").code == 0
    settle(door, task_id, DIE)
    assert ftq(bridge, "redrive", task_id, "--claim-no", "1").code == 0, "done already"
    assert door.get(task_id).doc["state"] == "dead"
    assert ftq(bridge, "redrive", task_id).code == 0, "the death that it reads: another life"
    assert door.get(task_id).doc["state"] == "queued"
    sent = [each.read() for each in bridge.seen if each.url.path.endswith("/redrive")]
    assert sent == [b'{"claim_no":1}', b'{"claim_no":1}', b'{"claim_no":2}']


def test_all_that_fit_are_counted_then_redriven(bridge: Bridge, door: Door) -> None:
    for n in range(3):
        dead(door, n, "a", OOPS)
    dead(door, 9, "b", OOPS)
    counted = ftq(bridge, "redrive", "--all", "--type", "a", "--dry-run")
    assert counted.out == "3 dead tasks fit; nothing was changed\n"
    done = ftq(bridge, "redrive", "--all", "--error", OOPS.fingerprint, "--rate", "50", "--json")
    assert {**done.doc, "before": None} == {
        "matched": 4,
        "redriven": 4,
        "failed": 0,
        "dry_run": False,
        "before": None,
    }


def test_a_redrive_that_breaks_off_says_how_to_go_on(bridge: Bridge, door: Door) -> None:
    dead(door)
    bridge.faults = deque([None, *[refused] * 6])
    ran = ftq(bridge, "redrive", "--all")
    assert ran.code == 3
    assert "redriven 0; go on with --before 2027-01-15T08:00:00.000Z" in ran.err
    bridge.faults = deque([None, *[refused] * 6])
    told = ftq(bridge, "redrive", "--all", "--json").doc
    assert told.keys() >= PROBLEM
    assert (told["redriven"], told["before"]) == (0, "2027-01-15T08:00:03.875000Z")
    assert ftq(bridge, "redrive", "--all", "--before", "2027-01-15T08:00:00.000Z").code == 0


def test_a_redrive_says_before_its_first_write_how_to_go_on_if_it_is_killed(
    bridge: Bridge, door: Door
) -> None:
    dead(door)
    ran = ftq(bridge, "redrive", "--all", "--json")
    assert ran.err == "if this is cut short, go on with --before 2027-01-15T08:00:00.000Z\n"
    assert ran.doc["redriven"] == 1
    assert ftq(bridge, "redrive", "--all", "--dry-run").err == ""


HOSTILE = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202eabc\u2066\x00"


def test_nothing_of_a_task_can_command_the_terminal(bridge: Bridge, door: Door) -> None:
    why = failure("exception", f"Bad{HOSTILE}", HOSTILE)
    task_id = dead(door, {HOSTILE: f"{HOSTILE}\n👩‍👧 é"}, "a", why)
    for arguments in (["get", task_id], ["get", task_id, "--json"], ["dead"], ["dead", "--json"]):
        ran = ftq(bridge, *arguments)
        assert not {*ran.out} & {*"\x1b\x07\u009b\u202e\u2066\x00"}
        assert "\\u001b]0;owned\\u0007" in ran.out.replace(" ", "").replace("\n", "")
    assert "👩‍👧 é" in ftq(bridge, "get", task_id).out
    assert ftq(bridge, "get", task_id, "--json").doc == door.get(task_id).doc


def test_the_dead_are_shown_in_groups(bridge: Bridge, door: Door) -> None:
    for n in range(3):
        dead(door, n, "a.b", OOPS)
    dead(door, 9, "c")
    ran = ftq(bridge, "dead", "--window", "2h")
    assert f"3    75%    0s  {OOPS.fingerprint}" in ran.out
    assert "OSError" in ran.out
    assert ftq(bridge, "dead", "--json").doc["total"] == 4
    assert ftq(bridge, "dead", "--window", "soon").code == 2


def test_stats_are_shown(bridge: Bridge, door: Door) -> None:
    submitted(door)
    ran = ftq(bridge, "stats")
    assert "queued" in ran.out
    assert "no daemon has reported" in ran.out
    assert dig(ftq(bridge, "stats", "--json").doc, "counts", "queued") == 1


def test_watching_prints_a_line_for_each_look(
    bridge: Bridge, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted(door)

    def three_arrive(seconds: float) -> None:
        door.clock.now += round(seconds * 1000)
        for n in range(3):
            submitted(door, n)

    monkeypatch.setattr("ftq_cli.operating.sleep", three_arrive)
    ran = ftq(bridge, "watch", "--looks", "2")
    first, second = ran.out.splitlines()
    assert first.endswith("arrive ?/s  end ?/s  queued 1  oldest 0s")
    assert "arrive 1.0/s  end 0.0/s  queued 4  oldest 3s" in second
    moved = ftq(bridge, "watch", "--json").doc["pace"]
    assert moved == {"seconds": 3, "ended_per_second": 0, "arrived_per_second": 1}


def test_watching_goes_on_over_an_outage_and_ends_on_ctrl_c(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps = 0

    def nap(seconds: float) -> None:
        nonlocal naps
        naps += 1
        if naps == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("ftq_cli.operating.sleep", nap)
    bridge.faults = deque([None, *[refused] * 6])
    ran = ftq(bridge, "watch")
    lines = ran.out.splitlines()
    assert (ran.code, len(lines)) == (0, 3)
    assert "cannot be reached" in lines[1]


# What every problem document has, whoever made it.
PROBLEM = {"type", "title", "status", "detail"}


@pytest.mark.parametrize(
    ("arguments", "says_what"),
    [
        (["redrive"], "name one ID, or say --all"),
        (["redrive", "a", "--all"], "name one ID, or say --all"),
        (["redrive", "a", "--dry-run"], "go with --all"),
        (["redrive", "--all", "--before", "noon"], "must be ISO 8601"),
        (["redrive", "--all", "--before", "2026-11-24T12:00"], "must say its time zone"),
        (["redrive", "--all", "--error", "short"], "error"),
        (["ls", "--state", "resting"], "--state"),
        (["ls", "--limit", "0"], "--limit"),
        (["ls", "--type", "#"], "type"),
        (["submit", "a b", "1"], "type: must match"),
        (["submit", "a", "1", "--tenant", "#"], "tenant: must match"),
        (["submit", "a", "1", "--timeout", "1"], "--timeout goes with --wait"),
        (["submit", "a", "1", "--key", ""], "idempotency_key: must match"),
        (["completion", "csh"], "csh"),
    ],
)
def test_bad_usage_exits_with_2(bridge: Bridge, arguments: list[str], says_what: str) -> None:
    ran = ftq(bridge, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says_what in ran.err
    if arguments[0] != "completion":
        document = ftq(bridge, *arguments, "--json").doc
        assert document.keys() >= PROBLEM
        assert document["type"] in ("urn:ftq:problem:usage", "urn:ftq:problem:invalid")
        assert says_what in str(document["detail"])


@pytest.mark.parametrize(
    "arguments",
    [["get", "a"], ["ls"], ["cancel", "a"], ["redrive", "a"], ["redrive", "--all"], ["dead"],
     ["stats"], ["watch"], ["submit", "a", "1"]],
    ids=" ".join,
)  # fmt: skip
def test_an_api_that_is_not_there_exits_with_3(bridge: Bridge, arguments: list[str]) -> None:
    bridge.faults = deque([refused] * 12)
    ran = ftq(bridge, *arguments, "--json")
    assert (ran.code, ran.doc["type"]) == (3, "urn:ftq:problem:unreachable")
    assert ran.doc.keys() >= PROBLEM
    assert "cannot be reached" in str(ran.doc["detail"])
    assert ("idempotency_key" in ran.doc) is (arguments[0] == "submit")
    assert "cannot be reached" in ran.err


def test_a_caller_that_is_refused_exits_with_1(bridge: Bridge) -> None:
    bridge.faults = deque([says(403, '{"message": "Forbidden"}')])
    ran = ftq(bridge, "ls", "--json")
    assert (ran.code, ran.doc["status"], ran.doc["title"]) == (1, 403, "Forbidden")
    assert ran.doc.keys() >= PROBLEM


@pytest.mark.parametrize("arguments", [["get", "nobody"], ["cancel", "nobody"], ["redrive", "no"]])
def test_what_the_api_says_no_to_is_handed_on_as_its_document(
    bridge: Bridge, arguments: list[str]
) -> None:
    ran = ftq(bridge, *arguments, "--json")
    assert ran.code == 1
    assert (ran.doc["type"], ran.doc["status"]) == ("urn:ftq:problem:no-such-task", 404)
    assert ran.doc.keys() >= PROBLEM


def test_an_interrupted_command_prints_its_document_too(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ftq_cli.operating.sleep", interrupt)
    out = CliRunner().invoke(
        cli, ["watch", "--json"], obj=Connector(lambda url: bridge.client()), standalone_mode=False
    )
    document = parse(out.stdout)
    assert isinstance(document, dict)
    assert document["type"] == "urn:ftq:problem:interrupted"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize(
    "arguments", [["completion", "bash"], ["ls", "--json", "--api", "http://h:0"]], ids=" ".join
)
def test_output_that_cannot_be_written_is_one_line_and_exit_1(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ftq_cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "the output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize("url", ["http://h:99999", "http://h:0", "http://h:x", "ftp://h", "h", ""])
def test_an_api_that_no_url_can_name_is_bad_usage(url: str) -> None:
    for command in (["ls"], ["doctor"]):
        with pytest.raises(CommandError) as caught:
            cli.main([*command, "--api", url], standalone_mode=False)
        assert caught.value.code is Exit.USAGE
        assert "is not an HTTP URL" in str(caught.value)


def test_every_command_is_listed_and_loads() -> None:
    listed = CliRunner().invoke(cli, ["--help"]).output
    for name in COMMANDS:
        assert f"\n  {name} " in listed
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_a_shell(bridge: Bridge, shell: str) -> None:
    out = ftq(bridge, "completion", shell).out
    assert "_FTQ_COMPLETE" in out


def test_getting_a_task_loads_none_of_the_other_programs() -> None:
    program = (
        "import sys\n"
        "from ftq_cli.__main__ import cli\n"
        "import ftq.client\n"
        "cli.get_command(None, 'get')\n"
        "heavy = {'aiohttp', 'aiobotocore', 'botocore', 'ftq_daemon', 'api_lambda', 'structlog'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "says_what"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (7_199, "1h"), (90_000, "1d"), (-3_600, "+1h")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: int, says_what: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == says_what
    assert ago(None, NOW) == ""


def test_a_sparkline_has_a_bar_for_each_hour_and_a_blank_for_none() -> None:
    since = NOW - timedelta(hours=4)
    hours = [
        Hour(at=since.replace(minute=0) + timedelta(hours=n), count=c) for n, c in ((1, 1), (3, 8))
    ]
    assert sparkline(hours, since, NOW) == "▁ █ "
    assert sparkline([], since, NOW) == "    "
    assert len(sparkline(hours, NOW - timedelta(days=90), NOW)) == 24
