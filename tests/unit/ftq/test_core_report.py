"""What daemons say about themselves, and what follows for the fleet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ftq.breaker import Position
from ftq.report import ADOPTED, STALE, BreakerNote, Report, fleet, read_report, troubled

NOW = 1_800_000_000_000


def said(name: str, at: int = NOW, **breakers: BreakerNote) -> Report:
    return Report(name, "1.0", "https://q/tasks", at, NOW - 5_000, 64, 3, breakers=breakers)


def test_a_report_is_read_as_it_was_written() -> None:
    report = said("d1", smtp=BreakerNote(Position.OPEN, 2, NOW + 1_000))
    assert read_report(report.to_text()) == report
    assert read_report(replace(report, stopped=True).to_text()) == replace(report, stopped=True)


@pytest.mark.parametrize("stored", ["", "{", "[]", "3"])
def test_what_is_no_report_is_none(stored: str) -> None:
    assert read_report(stored) is None


def test_a_report_of_another_version_is_read_as_far_as_it_is_known() -> None:
    report = read_report('{"name":"d1","at":"x","breakers":{"a":{"position":"odd"},"b":1},"x":1}')
    assert report is not None
    assert (report.name, report.at, report.in_flight) == ("d1", 0, 0)
    assert report.breakers == {"a": BreakerNote(Position.CLOSED)}


def test_a_report_is_stale_after_three_missed_ones_and_never_younger_than_now() -> None:
    report = said("d1")
    assert not report.stale(NOW + STALE)
    assert report.stale(NOW + STALE + 1)
    assert report.age(NOW - 60_000) == 0


def test_a_breaker_of_the_fleet_is_as_bad_as_the_worst_that_a_live_daemon_sees() -> None:
    old = said("d0", NOW - STALE - 1, pay=BreakerNote(Position.OPEN, 9))
    closed = said("d1", smtp=BreakerNote(Position.CLOSED), pay=BreakerNote(Position.CLOSED))
    half = said("d2", smtp=BreakerNote(Position.HALF_OPEN, 3))
    found = fleet([old, closed, half], NOW)
    assert list(found) == ["pay", "smtp"]
    assert found["pay"].position is Position.CLOSED
    smtp = found["smtp"]
    assert (smtp.position, smtp.openings) == (Position.HALF_OPEN, 3)
    assert smtp.daemons == {Position.OPEN: 0, Position.HALF_OPEN: 1, Position.CLOSED: 1}


OPEN = BreakerNote(Position.OPEN, 2, NOW + 5_000)
LATER = BreakerNote(Position.HALF_OPEN, 3, NOW + 9_000)


def test_what_is_open_is_the_newest_word_of_the_same_queues_daemons() -> None:
    reports = [
        said("d2", NOW - 1_000, smtp=LATER),
        said("d1", NOW - 60_000, smtp=OPEN, pay=OPEN),
        said("d3", NOW, pay=BreakerNote(Position.CLOSED)),
        replace(said("d4", NOW, other=OPEN), queue="https://q/others"),
        replace(said("d5", NOW - 90_000, stripe=OPEN), stopped=True),
    ]
    assert troubled(reports, "https://q/tasks", NOW) == {"smtp": LATER, "pay": OPEN, "stripe": OPEN}


def test_an_old_word_opens_nothing() -> None:
    fresh, old = said("d1", NOW - ADOPTED, smtp=OPEN), said("d1", NOW - ADOPTED - 1, smtp=OPEN)
    assert troubled([fresh], fresh.queue, NOW) == {"smtp": OPEN}
    assert troubled([old], old.queue, NOW) == {}
