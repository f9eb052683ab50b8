"""The scaling policy of deploy/ecs/scaling.yaml over shapes of load, on virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from benchmarks.fleet import Minute, turns
from benchmarks.scaling import SHAPES, follow


def late(minutes: Sequence[Minute]) -> float:
    """The share of tasks that waited longer than is acceptable."""
    return sum(each.late for each in minutes) / sum(each.arrived for each in minutes)


@pytest.mark.parametrize("name", ["steady", "a day", "a campaign"])
def test_a_fleet_that_has_what_it_needs_stays_as_it_is(name: str) -> None:
    assert turns(follow(SHAPES[name])) <= 1


def test_what_grows_slowly_is_met_before_anybody_waits_too_long() -> None:
    assert late(follow(SHAPES["a day"])) == 0


def test_what_jumps_is_met_within_minutes_and_the_wait_stays_acceptable_then() -> None:
    shape = SHAPES["a campaign"]

    minutes = follow(shape)

    jump = next(n for n, each in enumerate(minutes) if each.arrived > 2000)
    assert max(each.longest for each in minutes[jump + 10 :]) <= shape.policy.acceptable


@pytest.mark.parametrize("name", ["steady", "a campaign"])
def test_a_policy_that_is_blind_to_work_under_way_flaps(name: str) -> None:
    shape = SHAPES[name]
    blind = replace(shape, policy=replace(shape.policy, counts_busy=False))

    assert turns(follow(blind)) > 10 > 1 >= turns(follow(shape))


def test_a_fleet_of_none_starts_for_the_first_task_and_ends_after_the_last() -> None:
    minutes = follow(SHAPES["a batch each hour, from zero"])

    assert any(each.running for each in minutes[:4])
    assert minutes[-1].desired == 0
    assert sum(each.running > 0 for each in minutes) < len(minutes) / 2
