"""`ftq.retry`: exponential backoff with full jitter."""

from __future__ import annotations

import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.limits import SQS_VISIBILITY_SECONDS
from ftq.retry import RetryPolicy

CAPS = st.floats(0, SQS_VISIBILITY_SECONDS)
POLICIES = st.builds(
    lambda cap, share, attempts: RetryPolicy(attempts, cap * share, cap),
    CAPS,
    st.floats(0, 1),
    st.integers(1, 1000),
)
DICE = st.floats(0, 1, exclude_max=True)


@given(POLICIES, st.integers(1, 100_000), DICE)
def test_a_delay_is_within_the_cap_and_within_the_exponential_bound(
    policy: RetryPolicy, failed: int, dice: float
) -> None:
    delay = policy.delay(failed, dice)
    assert 0 <= delay <= policy.cap
    assert delay <= policy.base * 2.0 ** min(failed - 1, 900)


@given(POLICIES, st.integers(1, 5000))
def test_the_ceiling_never_falls_from_one_failure_to_the_next(
    policy: RetryPolicy, failed: int
) -> None:
    assert policy.ceiling(failed) <= policy.ceiling(failed + 1) <= policy.cap


def test_the_ceilings_of_the_default_policy_double_up_to_the_cap() -> None:
    ceilings = [RetryPolicy().ceiling(failed) for failed in range(1, 12)]
    assert ceilings == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_the_mean_delay_is_half_the_ceiling() -> None:
    policy, dice = RetryPolicy(base=4, cap=64), random.Random(20)
    for failed in (1, 3, 9):
        mean = fmean(policy.delay(failed, dice.random()) for _ in range(4000))
        assert mean == pytest.approx(policy.ceiling(failed) / 2, rel=0.05)


def test_delays_reach_both_ends_of_their_range() -> None:
    policy = RetryPolicy(base=1, cap=100)
    assert policy.delay(4, 0.0) == 0
    assert policy.delay(4, 0.999_999) == pytest.approx(8, rel=1e-4)


def test_the_number_of_failures_cannot_overflow() -> None:
    assert RetryPolicy(base=1e-9, cap=43_200).ceiling(10**9) == 43_200


@pytest.mark.parametrize(
    ("attempts", "base", "cap", "named"),
    [
        (0, 1, 300, "attempts=0"),
        (-1, 1, 300, "attempts=-1"),
        (1001, 1, 300, "attempts=1001"),
        (3, -1, 300, "base=-1"),
        (3, 301, 300, "base=301"),
        (3, float("nan"), 300, "base=nan"),
        (3, 0, -1, "cap=-1"),
        (3, 1, 43_201, "cap=43201"),
        (3, 1, float("inf"), "cap=inf"),
        (3, 1, float("nan"), "cap=nan"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(
    attempts: int, base: float, cap: float, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        RetryPolicy(attempts, base, cap)


def test_the_default_policy_is_the_documented_one() -> None:
    assert RetryPolicy() == RetryPolicy(attempts=3, base=1, cap=300)
