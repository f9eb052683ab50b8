"""Windows of time, and what the deaths in one have in common."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.deaths import HOUR, Death, group, hours_of, read_window, trend_of

NOW = 1_800_000_000_000
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60),
        ("90s", 90),
        ("15m", 900),
        ("24h", 86_400),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("PT24H", 86_400),
        ("P7D", 604_800),
        ("P1DT12H30M5S", 131_405),
        ("P2W", 1_209_600),
        ("90d", 7_776_000),
    ],
)
def test_a_window_is_read_in_each_of_its_forms(text: str, seconds: int) -> None:
    assert read_window(text) == seconds * 1000


@pytest.mark.parametrize(
    "text",
    ["", "59", "0", "91d", "-1h", "1.5h", "h", "24 h", "24H", "P", "PT", "P1H", "PT1D", "P1Y", "٣h",
     "1h\n", "9" * 30],
)  # fmt: skip
def test_other_texts_are_no_windows(text: str) -> None:
    assert read_window(text) is None


@given(st.text(max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    read_window(text)


def died(n: int, at: int, type_: str = "a", class_name: str = "E", print_: str = "f") -> Death:
    return Death(f"t{n}", type_, at, "attempts_spent", "exception", class_name, print_, f"no {n}")


def test_deaths_are_one_group_by_type_class_and_fingerprint() -> None:
    deaths = [
        died(1, NOW),
        died(2, NOW - 1, print_="g"),
        died(3, NOW - 2, class_name="F"),
        died(4, NOW - 3, type_="b"),
        died(5, NOW - 4),
    ]
    first, *others = group(deaths, NOW - DAY, NOW)
    assert (first.count, first.share, first.samples) == (2, 0.4, ("t1", "t5"))
    assert (first.first_seen, first.latest.at, first.latest.message) == (NOW - 4, NOW, "no 1")
    assert first.causes == {"attempts_spent": 2}
    assert [each.samples for each in others] == [("t2",), ("t3",), ("t4",)]


def test_a_group_has_five_samples_at_most() -> None:
    (found,) = group([died(n, NOW - n) for n in range(9)], NOW - DAY, NOW)
    assert found.samples == ("t0", "t1", "t2", "t3", "t4")


def test_hours_are_those_of_the_clock() -> None:
    start = NOW - NOW % HOUR
    deaths = [died(1, start), died(2, start - 1), died(3, start - HOUR), died(4, start - 3 * HOUR)]
    assert hours_of(deaths) == {start - 3 * HOUR: 1, start - HOUR: 2, start: 1}


def test_the_trend_is_the_last_hour_by_the_mean_of_those_before() -> None:
    deaths = [died(n, NOW - n) for n in range(6)]
    deaths += [died(n, NOW - HOUR * (n + 1)) for n in range(1, 23)] + [died(99, NOW - HOUR)]
    trend = trend_of(deaths, NOW - DAY, NOW)
    assert (trend.last_hour, trend.per_hour_before, trend.ratio) == (6, 1.0, 6.0)


def test_there_is_no_trend_without_anything_before() -> None:
    trend = trend_of([died(1, NOW)], NOW - DAY, NOW)
    assert (trend.last_hour, trend.ratio) == (1, None)
    assert trend_of([died(1, NOW)], NOW - HOUR, NOW).ratio is None
    assert trend_of([died(1, NOW - 2 * HOUR)], NOW - 3 * HOUR, NOW).ratio == 0.0
