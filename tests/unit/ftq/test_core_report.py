"""What daemons say about themselves, and what follows for the fleet."""

from __future__ import annotations

import pytest

from ftq.breaker import Position
from ftq.report import STALE, BreakerNote, Report, fleet, read_report

NOW = 1_800_000_000_000


def said(name: str, at: int = NOW, **breakers: BreakerNote) -> Report:
    return Report(name, "1.0", "https://q/tasks", at, NOW - 5_000, 64, 3, breakers=breakers)


def test_a_report_is_read_as_it_was_written() -> None:
    report = said("d1", smtp=BreakerNote(Position.OPEN, 2, NOW + 1_000))
    assert read_report(report.to_text()) == report


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
