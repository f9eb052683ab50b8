"""GET /dead-letters: what died, why, how often, and what was not looked at."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from api_lambda import dead_letters as module
from ftq.task import failure
from ftq.text import Json
from tests.unit.api.door import Door, Got, dig
from tests.unit.api.dying import OOPS, dead

HOUR = 3_600_000


def ask(door: Door, window: str | None = None) -> Got:
    query = f"?window={quote(window)}" if window is not None else ""
    got = door.ask("GET", f"/dead-letters{query}")
    assert got.status == 200, got.body
    return got


def no(n: int) -> str:
    return f"no row {n}"


def test_nothing_dead_is_said_so(door: Door) -> None:
    assert ask(door).doc == {
        "window_seconds": 86_400,
        "since": "2027-01-14T08:00:00.000Z",
        "until": "2027-01-15T08:00:00.000Z",
        "total": 0,
        "truncated": False,
        "covered_since": "2027-01-14T08:00:00.000Z",
        "trend": {"last_hour": 0, "per_hour_before": 0.0, "ratio": None},
        "hours": [],
        "groups": [],
        "more_groups": 0,
    }


def test_deaths_are_grouped_with_all_that_helps(door: Door) -> None:
    ids: list[str] = []
    for n in range(7):
        why = failure("exception", "KeyError", no(n))
        ids.append(dead(door, n, type_="mail", why=why))
        door.clock.now += HOUR // 2
    other = dead(door, type_="pay")
    doc = ask(door).doc
    assert (doc["total"], doc["truncated"]) == (8, False)
    assert dig(doc, "groups", 0) == {
        "type": "mail",
        "class": "KeyError",
        "fingerprint": failure("exception", "KeyError", no(3)).fingerprint,
        "kind": "exception",
        "message": "no row 6",
        "causes": {"permanent": 7},
        "count": 7,
        "share": 0.875,
        "first_seen": "2027-01-15T08:00:00.000Z",
        "last_seen": "2027-01-15T11:00:00.000Z",
        "samples": ids[:1:-1],
        "hours": [
            {"at": f"2027-01-15T{hour:02}:00:00.000Z", "count": 1 if hour == 11 else 2}
            for hour in range(8, 12)
        ],
        "trend": {
            "last_hour": 1,
            "per_hour_before": round(6 / 23, 6),
            "ratio": round(23 / 6, 6),
        },
    }
    assert dig(doc, "groups", 1, "samples") == [other]
    assert dig(doc, "trend", "last_hour") == 2


def test_a_window_leaves_out_what_died_before_it(door: Door) -> None:
    dead(door)
    door.clock.now += 2 * HOUR
    dead(door)
    assert ask(door, "1h").doc["total"] == 1
    assert ask(door, "PT3H").doc["total"] == 2
    assert ask(door, "7200").doc["total"] == 2


def test_what_was_redriven_is_no_death_any_more(door: Door) -> None:
    task_id = dead(door)
    dead(door)
    door.ask("POST", f"/tasks/{task_id}/redrive")
    assert ask(door).doc["total"] == 1


def test_what_was_redriven_unknown_to_the_index_is_none_either(door: Door) -> None:
    task_id = dead(door)
    door.lag(60_000)
    door.ask("POST", f"/tasks/{task_id}/redrive")
    assert ask(door).doc["total"] == 0


def test_its_fingerprint_is_the_one_that_redrives_take(door: Door) -> None:
    dead(door)
    print_ = dig(ask(door).doc, "groups", 0, "fingerprint")
    got = door.ask("POST", "/redrives", f'{{"error": "{print_}"}}')
    assert got.doc["redriven"] == 1


def test_what_is_too_much_is_cut_at_the_older_end_and_said_so(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ", 200)
    for n in range(260):
        dead(door, n)
        door.clock.now += 1_000
    doc = ask(door).doc
    assert (doc["total"], doc["truncated"]) == (200, True)
    assert doc["covered_since"] == "2027-01-15T08:01:00.000Z"
    assert dig(doc, "groups", 0, "first_seen") == "2027-01-15T08:01:00.000Z"
    assert ask(door, "60").doc["truncated"] is False


def test_what_it_costs_is_bounded(door: Door) -> None:
    for n in range(600):
        dead(door, n)
    door.port.calls.clear()
    assert ask(door).doc["total"] == 600
    assert len(door.port.calls) <= 16 * 2 + 7


def test_many_groups_are_told_as_far_as_they_fit(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUPS", 3)
    for name in "abcde":
        dead(door, type_=name, why=OOPS)
    doc = ask(door).doc
    groups: Json = doc["groups"]
    assert isinstance(groups, list)
    assert (len(groups), doc["more_groups"]) == (3, 2)


@pytest.mark.parametrize("query", ["window=1y", "window=", "window=59", "window=91d"])
def test_a_bad_window_is_named_with_its_limits(door: Door, query: str) -> None:
    got = door.ask("GET", f"/dead-letters?{query}")
    assert (got.status, got.fields) == (422, ["window"])
    assert "60 seconds to 90 days" in str(dig(got.doc, "errors", 0, "message"))


def test_another_parameter_is_refused(door: Door) -> None:
    assert door.ask("GET", "/dead-letters?since=1").fields == ["since"]
