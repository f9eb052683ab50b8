"""`ftq.lease`: a claim's lease and its message's visibility are one."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ftq.lease import (
    BREAKER_YIELD,
    beat_interval,
    hide_seconds,
    is_stale,
    lease_end,
    needs_extension,
    zombie_after,
)

NOW = 1_800_000_000_000
HOURS_12 = 43_200_000
MOMENTS = st.integers(NOW - HOURS_12, NOW + 400 * 24 * 3_600_000)
# The least visibility that the settings allow is three beats of a second and five seconds.
VISIBILITIES = st.integers(8_000, HOURS_12)


@given(MOMENTS, st.integers(0, HOURS_12))
def test_a_hide_stays_a_minute_below_twelve_hours_after_receipt(until: int, age: int) -> None:
    seconds = hide_seconds(until, NOW, NOW - age)
    assert 1 <= seconds <= max(1, 43_140 - age / 1000)


@given(MOMENTS, st.integers(0, HOURS_12))
def test_a_hide_lasts_until_the_moment_asked_for_or_as_long_as_it_may(until: int, age: int) -> None:
    seconds = hide_seconds(until, NOW, NOW - age)
    longest = max(1, 43_140 - -(-age // 1000))
    assert seconds == longest or NOW + seconds * 1000 >= until
    assert seconds == 1 or NOW + (seconds - 1) * 1000 < until


@pytest.mark.parametrize(
    ("ahead", "seconds"), [(-5000, 1), (0, 1), (1, 1), (1000, 1), (1001, 2), (60_000, 60)]
)
def test_a_hide_is_in_whole_seconds_rounded_up_and_at_least_one(ahead: int, seconds: int) -> None:
    assert hide_seconds(NOW + ahead, NOW, NOW) == seconds


def test_a_receipt_ahead_of_our_clock_counts_as_just_received() -> None:
    assert hide_seconds(NOW + HOURS_12, NOW, NOW + 5000) == 43_140


@given(st.integers(0, NOW), VISIBILITIES)
def test_the_lease_ends_before_the_message_comes_back(seen: int, visibility: int) -> None:
    assert seen < lease_end(seen, visibility) == seen + visibility - 1000


@given(st.integers(0, NOW), VISIBILITIES)
def test_a_cut_off_holder_stops_before_its_lease_ends(renewed: int, visibility: int) -> None:
    assert renewed < renewed + zombie_after(visibility) < lease_end(renewed, visibility)


@given(VISIBILITIES)
def test_three_beats_and_five_seconds_fit_into_one_visibility(visibility: int) -> None:
    assert beat_interval(visibility) >= 1000
    assert 3 * beat_interval(visibility) + 5000 <= visibility


@given(VISIBILITIES)
def test_one_beat_may_fail_before_a_holder_takes_itself_for_cut_off(visibility: int) -> None:
    assume(visibility >= 20_000)
    assert 2 * beat_interval(visibility) < zombie_after(visibility)


@given(st.integers(0, 2 * HOURS_12), VISIBILITIES)
def test_a_message_is_claimed_extended_or_left_alone_by_its_age(age: int, visibility: int) -> None:
    assert needs_extension(age, visibility) is (age > visibility // 2)
    assert is_stale(age, visibility) is (age >= visibility)
    # What is stale would need an extension too: nothing stale is claimed as it is.
    assert needs_extension(age, visibility) or not is_stale(age, visibility)


@given(st.integers(0, HOURS_12), VISIBILITIES)
def test_a_claim_on_a_message_not_too_old_holds_for_almost_half_its_visibility(
    age: int, visibility: int
) -> None:
    assume(not needs_extension(age, visibility))
    assert lease_end(NOW - age, visibility) >= NOW + visibility // 2 - 1000


def test_a_breaker_hides_a_message_for_five_minutes_at_most() -> None:
    assert BREAKER_YIELD == 5 * 60 * 1000
