"""Ticks come when people expect them, and what was missed is made up for as it was said."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq import Registry, RegistryError, Tick
from ftq.schedule import IN_TIME, MOST_MISSED, Missed, Schedule, due, next_after

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


NIGHTLY = Schedule("report", "0 3 * * *", "Europe/Berlin")


def test_ticks_are_meant_in_the_schedules_time_zone() -> None:
    assert next_after(NIGHTLY, at("2026-11-24T01:59:59Z")) == at("2026-11-24T02:00:00Z")
    assert next_after(NIGHTLY, at("2026-07-24T00:59:59Z")) == at("2026-07-24T01:00:00Z")


def test_an_hour_that_is_left_out_or_comes_twice_brings_one_tick() -> None:
    early = Schedule("report", "30 2 * * *", "Europe/Berlin")
    spring = at("2026-03-28T12:00:00Z")
    assert next_after(early, spring) == at("2026-03-29T01:00:00Z")  # as the clock jumps
    autumn = at("2026-10-24T12:00:00Z")
    first = next_after(early, autumn)
    assert first == at("2026-10-25T00:30:00Z")
    assert next_after(early, first) == at("2026-10-26T01:30:00Z")


def test_a_tick_is_due_at_its_very_moment_and_once() -> None:
    tick = at("2026-11-24T02:00:00Z")
    assert due(NIGHTLY, tick - DAY, tick - 1) == []
    assert due(NIGHTLY, tick - DAY, tick) == [tick]
    assert due(NIGHTLY, tick, tick + 1) == []


@pytest.mark.parametrize(
    ("missed", "minutes"), [("latest", [5]), ("all", [1, 2, 3, 4, 5]), ("skip", [])]
)
def test_what_was_missed_is_made_up_for_by_its_policy(missed: Missed, minutes: list[int]) -> None:
    start = at("2026-11-24T12:00:00Z")
    schedule = Schedule("beat", "1-5 12 * * *", missed=missed)
    now = start + 10 * MINUTE
    assert due(schedule, start, now) == [start + n * MINUTE for n in minutes]


def test_a_tick_that_is_a_little_late_is_never_skipped() -> None:
    tick = at("2026-11-24T02:00:00Z")
    schedule = Schedule("report", "0 3 * * *", "Europe/Berlin", missed="skip")
    assert due(schedule, tick - DAY, tick + IN_TIME) == [tick]
    assert due(schedule, tick - DAY, tick + IN_TIME + 1) == []


def test_a_month_without_daemons_makes_up_for_a_bounded_number() -> None:
    now = at("2026-11-24T12:00:30Z")
    schedule = Schedule("beat", "* * * * *", missed="all")
    found = due(schedule, now - 30 * DAY, now)
    assert len(found) == MOST_MISSED
    assert found[-1] == now - 30_000
    assert found == sorted(found)


@given(
    st.integers(min_value=0, max_value=4_000_000_000_000),
    st.integers(min_value=0, max_value=3 * HOUR),
    st.sampled_from(["* * * * *", "*/7 * * * *", "0 3 * * *", "30 2 29 2 *", "15 */2 1 * 1"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
def test_looking_forward_and_looking_back_agree(
    last: int, ahead: int, cron: str, zone: str
) -> None:
    schedule = Schedule("t", cron, zone, missed="all")
    forward = []
    tick = next_after(schedule, last)
    while tick <= last + ahead:
        forward.append(tick)
        tick = next_after(schedule, tick)
    assert due(schedule, last, last + ahead) == forward[-MOST_MISSED:]


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-10-25T01:00:00Z"),
        ("America/New_York", "2026-11-01T06:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),  # by half an hour
    ],
)
@pytest.mark.parametrize(
    "cron", ["* * * * *", "*/30 * * * *", "*/20 1-2 * * *", "30 2 * * *", "45 1 * * *", "0 3 * * *"]
)
def test_as_clocks_change_each_tick_is_due_in_its_minute_and_never_before_now(
    cron: str, zone: str, change: str
) -> None:
    schedule = Schedule("t", cron, zone)
    start, end = at(change) - 3 * HOUR, at(change) + 3 * HOUR
    forward, tick = [], start
    while (tick := next_after(schedule, tick)) <= end:
        forward.append(tick)
    assert forward == sorted({*forward})
    found, last = [], start
    for now in range(start + MINUTE, end + 1, MINUTE):
        assert next_after(schedule, now) > now
        for each in due(schedule, last, now):
            assert now - each < MINUTE
            found.append(last := each)
    assert found == forward


def test_a_tick_of_the_first_of_two_equal_hours_is_found_in_the_second() -> None:
    early = Schedule("report", "30 2 * * *", "Europe/Berlin")
    tick = at("2026-10-25T00:30:00Z")
    assert due(early, tick - DAY, at("2026-10-25T01:10:00Z")) == [tick]


# --- as users declare them --------------------------------------------------------------------


def test_a_handler_may_have_several_schedules_and_their_keys_differ() -> None:
    registry = Registry()

    @registry.every("0 3 * * *", zone="Europe/Berlin")
    @registry.every("0 15 * * *", zone="Europe/Berlin")
    @registry.handler("report")
    async def report(tick: Tick) -> str:
        return tick.scheduled_for.isoformat()

    one, two = registry.schedules
    assert one.key != two.key
    assert one.key.startswith("every#report#")
    moment = at("2026-11-24T14:00:00Z")
    assert one.payload_at(moment) == '{"scheduled_for":"2026-11-24T15:00:00+01:00"}'


def test_a_payload_is_held_against_the_handler_as_it_is_declared() -> None:
    registry = Registry()

    @registry.every("0 3 * * *", payload={"n": 1})
    @registry.handler("count")
    async def count(payload: dict[str, int]) -> None: ...

    (schedule,) = registry.schedules
    assert schedule.payload_at(0) == '{"n":1}'
    with pytest.raises(RegistryError, match=r"count: every '@daily'.*five fields"):
        registry.every("@daily", payload={"n": 1})(count)
    with pytest.raises(RegistryError, match="does not take its payload"):
        registry.every("0 3 * * *", payload={"n": "x"})(count)
    with pytest.raises(RegistryError, match="give a payload otherwise"):
        registry.every("0 3 * * *")(count)


@pytest.mark.parametrize(
    ("cron", "zone", "why"),
    [
        ("61 * * * *", "UTC", "Bad minute"),
        ("*/2 * * * * *", "UTC", "five fields"),
        ("0 0 31 2 *", "UTC", "Bad day-of-month"),
        ("0 3 * * *", "Europe/Nowhere", "no time zone"),
        ("0 3 * * *", "../etc/passwd", "no time zone"),
    ],
)
def test_a_schedule_that_cannot_work_is_refused_with_its_reason(
    cron: str, zone: str, why: str
) -> None:
    registry = Registry()

    @registry.handler("report")
    async def report(_: Tick) -> None: ...

    with pytest.raises(RegistryError, match=why):
        registry.every(cron, zone=zone)(report)


def test_the_order_of_the_decorators_is_told() -> None:
    registry = Registry()

    async def report(_: Tick) -> None: ...

    with pytest.raises(RegistryError, match=r"above @registry\.handler"):
        registry.every("0 3 * * *")(report)


def test_the_moment_of_a_tick_survives_the_way_through_the_payload() -> None:
    tick = Tick.model_validate_json(NIGHTLY.payload_at(at("2026-11-24T02:00:00Z")))
    assert tick.scheduled_for.astimezone(UTC) == datetime(2026, 11, 24, 2, tzinfo=UTC)
    assert tick.scheduled_for.utcoffset() is not None
