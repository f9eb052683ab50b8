"""The adaptive limit finds the knee of a dependency, and nothing else moves it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import pytest

from benchmarks.dependency import End, Kind, drive, either, exponential, steady
from ftq.concurrency import Bounds, Concurrency, next_limit

Service = Callable[[random.Random], float]
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Seen:
    """What came of a run."""

    ends: list[End]

    def between(self, start: float, end: float) -> Seen:
        return Seen([each for each in self.ends if start <= each.at < end])

    @property
    def limit(self) -> float:
        return median(each.limit for each in self.ends)

    @property
    def lowest(self) -> float:
        return sorted(each.limit for each in self.ends)[len(self.ends) // 20]

    @property
    def rate(self) -> float:
        return len(self.ends) / (self.ends[-1].at - self.ends[0].at)


def kind(service: Service, name: str = "a", share: float = 1.0) -> Kind:
    return Kind(name, share, service)


def knee(servers: int) -> Callable[[float], int]:
    return lambda _: servers


SERVICES = [
    pytest.param(steady(0.05), id="steady"),
    pytest.param(exponential(0.05), id="exponential"),
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("start", [None, 128], ids=["below", "above"])
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("servers", [5, 20])
def test_it_finds_the_knee_from_below_and_from_above(
    servers: int, service: Service, start: int | None, seed: int
) -> None:
    rule = Concurrency(Bounds(1, 128), start)
    ends = list(drive(rule, [kind(service)], knee(servers), seconds=110, seed=seed))
    late = Seen(ends).between(80, 110)
    assert servers <= late.limit <= 1.7 * servers
    assert late.rate >= 0.9 * servers / 0.05, "it gives throughput away"


@pytest.mark.parametrize("seed", SEEDS)
def test_it_follows_a_knee_that_moves(seed: int) -> None:
    def servers(now: float) -> int:
        return 20 if now < 50 else 8 if now < 100 else 40

    rule = Concurrency(Bounds(1, 128))
    seen = Seen(list(drive(rule, [kind(exponential(0.05))], servers, seconds=150, seed=seed)))
    for start, end, there in ((30, 50, 20), (80, 100, 8), (130, 150, 40)):
        late = seen.between(start, end)
        assert 0.9 * there <= late.limit <= 1.75 * there, there
        assert late.rate >= 0.85 * there / 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dependency_that_never_slows_is_given_the_ceiling(seed: int) -> None:
    rule = Concurrency(Bounds(1, 64))
    ends = list(drive(rule, [kind(exponential(0.05))], knee(10_000), seconds=60, seed=seed))
    late = Seen(ends).between(20, 60)
    assert late.limit == 64
    assert late.lowest >= 0.9 * 64
    assert late.rate >= 0.93 * 64 / 0.05, "its probes cost too much"


@pytest.mark.parametrize("seed", SEEDS)
def test_times_without_a_mean_to_speak_of_do_not_starve_it(seed: int) -> None:
    def heavy(dice: random.Random) -> float:
        return 0.01 * dice.paretovariate(1.3)

    rule = Concurrency(Bounds(1, 64))
    ends = list(drive(rule, [kind(heavy)], knee(10_000), seconds=60, seed=seed))
    assert Seen(ends).between(20, 60).lowest >= 45


@pytest.mark.parametrize("seed", SEEDS)
def test_one_type_with_two_peaks_does_not_starve_it(seed: int) -> None:
    service = either(0.02, 0.4, 0.1)
    rule = Concurrency(Bounds(1, 128))
    ends = list(drive(rule, [kind(service)], knee(20), seconds=120, seed=seed))
    late = Seen(ends).between(60, 120)
    assert 0.8 * 20 <= late.limit <= 1.75 * 20
    assert late.rate >= 0.7 * 20 / 0.058


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mix_of_fast_and_slow_types_finds_the_knee_as_well(seed: int) -> None:
    kinds = [kind(exponential(0.01), "fast", 0.9), kind(exponential(1.0), "slow", 0.1)]
    rule = Concurrency(Bounds(1, 128))
    late = Seen(list(drive(rule, kinds, knee(20), seconds=300, seed=seed))).between(150, 300)
    assert 0.9 * 20 <= late.limit <= 2 * 20
    assert late.rate >= 0.8 * 20 / 0.109


def test_a_change_of_the_mix_is_no_change_of_the_limit() -> None:
    rule = Concurrency(Bounds(1, 64))
    fast, slow = kind(steady(0.01), "fast"), kind(steady(0.5), "slow")
    list(drive(rule, [fast, Kind("slow", 0.02, slow.service)], knee(10_000), seconds=20))
    assert rule.limit == 64
    late = list(drive(rule, [slow, Kind("fast", 0.02, fast.service)], knee(10_000), seconds=60))
    assert min(end.limit for end in late) == 64, "fifty times as slow, but each as ever"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dependency_that_becomes_slower_by_itself_keeps_its_limit(seed: int) -> None:
    rule = Concurrency(Bounds(1, 128))
    ends = list(
        drive(
            rule,
            [kind(exponential(0.05))],
            knee(20),
            seconds=180,
            seed=seed,
            slowdown=lambda now: 1 if now < 60 else 2,
        )
    )
    late = Seen(ends).between(120, 180)
    assert 0.9 * 20 <= late.limit <= 1.75 * 20
    assert late.rate >= 0.85 * 20 / 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_failures_that_come_with_concurrency_lower_it(seed: int) -> None:
    rule = Concurrency(Bounds(1, 128))
    refusing = drive(
        rule,
        [kind(exponential(0.05))],
        knee(10_000),
        seconds=60,
        seed=seed,
        failing=lambda _, running: 0.6 if running > 20 else 0.0,
    )
    assert Seen(list(refusing)).between(30, 60).limit <= 1.25 * 20


def test_failures_that_come_whatever_the_concurrency_do_not() -> None:
    rule = Concurrency(Bounds(1, 64))
    flaky = drive(rule, [kind(steady(0.05))], knee(10_000), seconds=40, failing=lambda _, __: 0.3)
    assert Seen(list(flaky)).between(20, 40).lowest == 64


def test_a_limit_that_is_not_used_is_not_raised() -> None:
    rule = Concurrency(Bounds(4, 64))
    few = drive(rule, [kind(steady(0.05))], knee(10_000), seconds=120, most=lambda _: 6)
    assert max(end.limit for end in few) <= 8


def test_attempts_while_little_of_the_limit_is_used_say_nothing_against_it() -> None:
    rule = Concurrency(Bounds(1, 64))
    ends = drive(
        rule,
        [kind(steady(0.05))],
        knee(10_000),
        seconds=120,
        most=lambda now: 64 if now < 30 else 6,
        slowdown=lambda now: 1 if now < 40 else 5,
    )
    assert min(end.limit for end in ends if end.at > 40) == 64


@pytest.mark.parametrize("seed", SEEDS)
def test_it_stays_within_its_bounds(seed: int) -> None:
    rule = Concurrency(Bounds(8, 24))
    for servers in (1, 1000):
        for end in drive(rule, [kind(exponential(0.05))], knee(servers), seconds=40, seed=seed):
            assert 8 <= end.limit <= 24
            assert 8 <= end.total <= 24


def test_the_rule_is_that_of_its_page() -> None:
    assert next_limit(100, 1.0, 0.0) == 100 + 5
    assert next_limit(100, 2.3, 0.0) == pytest.approx(100 * 1.15 / 2.3 + 5)
    assert next_limit(100, 50.0, 0.0) == 100 * 0.5 + 5, "one window at most halves it"
    assert next_limit(100, 1.0, 0.1) == 105, "so few more failures are noise"
    assert next_limit(100, 1.0, 0.4) == pytest.approx(100 * 0.7 + 5)
    assert next_limit(16, 1.0, 0.0, doubling=True) == 32
    assert next_limit(16, 2.3, 0.0, doubling=True) == pytest.approx(8 + 2), "a queue ends that"


@pytest.mark.parametrize(("least", "most"), [(0, 5), (6, 5)])
def test_bounds_out_of_order_are_refused(least: int, most: int) -> None:
    with pytest.raises(ValueError, match="must be 1 <= least <= most"):
        Bounds(least, most)
