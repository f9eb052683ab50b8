"""`ftq.breaker`: a circuit breaker as a pure state machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ftq.breaker import BUCKETS, Breaker, BreakerPolicy, Permit, Position

POLICY = BreakerPolicy(
    window=10_000,
    minimum=4,
    failures=2,
    rate=0.5,
    open_base=1000,
    open_cap=8000,
    probe=5000,
)
DICE = st.floats(0, 1, exclude_max=True)


@dataclass
class Attempt:
    """One attempt under way."""

    probe: int | None
    began: int


class BreakerMachine(RuleBasedStateMachine):
    """Attempts that come and go while time passes, and a plain count of what they did."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now = 1_800_000_000_000
        self.running: list[Attempt] = []
        self.ended: list[tuple[int, bool]] = []
        self.opened_at = 0
        self.openings = 0

    @initialize(now=st.integers(0, 2**42))
    def starts(self, now: int) -> None:
        self.now = now

    @rule(ms=st.sampled_from([0, 1, 300, 999, 1000, 4000, 5000, 9999, 20_000]))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule()
    def an_attempt_asks(self) -> None:
        before = self.breaker
        self.breaker, permit = before.permit(POLICY, self.now)
        probing = [each for each in self.running if each.probe == before.until]
        if before.position is Position.CLOSED:
            assert permit is Permit.RUN
            assert self.breaker == before
        elif before.position is Position.OPEN:
            assert permit is (Permit.NO if self.now < before.until else Permit.PROBE)
        elif permit is Permit.PROBE:
            # Only in place of one that was not heard of for the time that a probe has.
            assert all(self.now - each.began >= POLICY.probe for each in probing)
        else:
            assert permit is Permit.NO
            assert any(self.now - each.began < POLICY.probe for each in probing)
        if permit is Permit.PROBE:
            assert self.breaker.position is Position.HALF_OPEN
        if permit is not Permit.NO:
            probe = self.breaker.until if permit is Permit.PROBE else None
            self.running.append(Attempt(probe, self.now))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), ok=st.booleans(), dice=DICE)
    def an_attempt_ends(self, data: st.DataObject, ok: bool, dice: float) -> None:
        attempt = data.draw(st.sampled_from(self.running))
        self.running.remove(attempt)
        before = self.breaker
        self.breaker = before.record(POLICY, attempt.probe, ok, self.now, dice)
        if before.position is Position.CLOSED:
            self._counted(attempt, ok)
        elif before.position is Position.HALF_OPEN and attempt.probe == before.until:
            assert (self.breaker.position is Position.CLOSED) is ok
            self.ended.clear()
        else:
            assert self.breaker == before
        if self.breaker.position is Position.OPEN and self.breaker != before:
            self._opened()
        if self.breaker.position is Position.CLOSED:
            self.openings = 0

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def an_attempt_ends_without_a_word(self, data: st.DataObject) -> None:
        attempt = data.draw(st.sampled_from(self.running))
        self.running.remove(attempt)
        before = self.breaker
        self.breaker = before.release(attempt.probe, self.now)
        if before.position is Position.HALF_OPEN and attempt.probe == before.until:
            # The probe's place is free at once.
            assert self.breaker.permit(POLICY, self.now)[1] is Permit.PROBE
        else:
            assert self.breaker == before

    def _counted(self, attempt: Attempt, ok: bool) -> None:
        if attempt.probe is not None:
            # A probe given up, heard of when another had closed the breaker long since.
            assert self.breaker.position is Position.CLOSED
            return
        self.ended.append((self.now, ok))
        # Slices make the window fuzzy at its old end by one slice.
        width = POLICY.window // BUCKETS
        surely = [good for at, good in self.ended if at > self.now - POLICY.window + width]
        perhaps = [good for at, good in self.ended if at > self.now - POLICY.window - width]
        if self.breaker.position is Position.OPEN:
            assert len(perhaps) >= POLICY.minimum
            assert perhaps.count(False) >= POLICY.failures
        elif surely == perhaps:
            failed = surely.count(False)
            enough = len(surely) >= POLICY.minimum and failed >= POLICY.failures
            assert not (enough and failed >= POLICY.rate * len(surely))
        if surely == perhaps and self.breaker.position is Position.OPEN:
            assert surely.count(False) >= POLICY.rate * len(surely)

    def _opened(self) -> None:
        ceiling = min(POLICY.open_cap, POLICY.open_base * 2**self.openings)
        wait = self.breaker.until - self.now
        assert ceiling / 2 <= wait <= ceiling
        self.openings += 1
        self.ended.clear()
        assert self.breaker.openings == self.openings

    @invariant()
    def memory_is_bounded(self) -> None:
        buckets = self.breaker.buckets
        assert len(buckets) <= BUCKETS + 1
        starts = [bucket.start for bucket in buckets]
        assert starts == sorted(set(starts))

    @invariant()
    def nothing_runs_before_an_opening_is_over(self) -> None:
        if self.breaker.position is not Position.CLOSED:
            assert self.breaker.permit(POLICY, self.now)[1] is not Permit.RUN


BreakerMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40)
TestBreaker = BreakerMachine.TestCase


def after(breaker: Breaker, results: str, now: int = 0, dice: float = 0.5) -> Breaker:
    """The breaker after successes (.) and failures (x) of attempts that it let run."""
    for result in results:
        breaker = breaker.record(POLICY, None, result == ".", now, dice)
    return breaker


@pytest.mark.parametrize("results", ["xxx", "x.......", "...x..x...", "......."])
def test_it_stays_closed_below_the_minimum_the_failures_or_the_rate(results: str) -> None:
    assert after(Breaker(), results).position is Position.CLOSED


@pytest.mark.parametrize("results", ["xxxx", "..xx", "xx..", "x.x.", ".....xxxxx"])
def test_it_opens_at_the_minimum_the_failures_and_the_rate(results: str) -> None:
    assert after(Breaker(), results[:-1]).position is Position.CLOSED
    assert after(Breaker(), results).position is Position.OPEN


def test_failures_that_have_left_the_window_do_not_count() -> None:
    old = after(Breaker(), "xxx", now=0)
    assert after(old, "x", now=9_000).position is Position.OPEN
    assert after(old, "x", now=11_000).position is Position.CLOSED


def opened(now: int = 0, dice: float = 0.5) -> Breaker:
    return after(Breaker(), "xxxx", now, dice)


def test_while_open_nothing_runs_and_then_one_probe_does() -> None:
    breaker = opened()
    assert breaker.permit(POLICY, breaker.until - 1) == (breaker, Permit.NO)
    probing, permit = breaker.permit(POLICY, breaker.until)
    assert permit is Permit.PROBE
    assert [probing.permit(POLICY, breaker.until + ms)[1] for ms in (0, 1, 4999)] == [Permit.NO] * 3


def test_a_probe_that_succeeds_closes_it_with_a_clean_slate() -> None:
    probing, _ = opened().permit(POLICY, 10_000)
    closed = probing.record(POLICY, probing.until, True, 10_000, 0.5)
    assert closed == Breaker()
    assert after(closed, "xxx", now=10_000).position is Position.CLOSED


def test_a_probe_that_fails_opens_it_for_longer_up_to_the_cap() -> None:
    breaker, now, waits = opened(dice=0.0), 0, []
    for _ in range(8):
        waits.append(breaker.until - now)
        now = breaker.until
        probing, _ = breaker.permit(POLICY, now)
        breaker = probing.record(POLICY, probing.until, False, now, 0.0)
    assert waits == [500, 1000, 2000, 4000, 4000, 4000, 4000, 4000]


def test_a_forgotten_probe_is_replaced() -> None:
    probing, _ = opened().permit(POLICY, 10_000)
    assert probing.permit(POLICY, 14_999)[1] is Permit.NO
    assert probing.permit(POLICY, 15_000)[1] is Permit.PROBE


def test_what_began_before_the_opening_changes_nothing_after_it() -> None:
    breaker = opened()
    probing, _ = breaker.permit(POLICY, breaker.until)
    for each in (breaker, probing):
        for ok in (True, False):
            assert each.record(POLICY, None, ok, 600, 0.5) == each


def test_a_probe_that_ends_without_a_word_leaves_its_place_to_another() -> None:
    probing, _ = opened().permit(POLICY, 10_000)
    freed = probing.release(probing.until, 10_001)
    assert freed.permit(POLICY, 10_001)[1] is Permit.PROBE
    assert replace(freed, until=0, position=Position.HALF_OPEN) == replace(probing, until=0)


def test_an_attempt_released_in_normal_times_changes_nothing() -> None:
    breaker = after(Breaker(), "x.x")
    assert breaker.release(None, 5) == breaker
    assert opened().release(None, 5) == opened()


@given(DICE, st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 200))
def test_an_opening_lasts_from_half_its_ceiling_to_all_of_it(
    dice: float, base: int, extra: int, openings: int
) -> None:
    policy = BreakerPolicy(minimum=1, failures=1, open_base=base, open_cap=base + extra)
    breaker = Breaker(openings=openings).record(policy, None, False, 0, dice)
    ceiling = min(policy.open_cap, base * 2 ** min(openings, 60))
    assert ceiling / 2 <= breaker.until <= ceiling


def test_a_clock_that_steps_back_makes_no_slice_out_of_order() -> None:
    breaker = after(after(Breaker(), "x", now=50_000), "x", now=49_000)
    assert [bucket.failed for bucket in breaker.buckets] == [2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": 9},
        {"minimum": 0},
        {"failures": 0},
        {"probe": 0},
        {"rate": 0.0},
        {"rate": 1.1},
        {"rate": float("nan")},
        {"open_base": 0},
        {"open_base": 10, "open_cap": 9},
    ],
)
def test_a_policy_out_of_bounds_is_refused_by_name(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BreakerPolicy(**wrong)


def test_a_probe_that_was_given_up_decides_nothing_and_frees_no_place() -> None:
    first, _ = opened().permit(POLICY, 10_000)
    second, permit = first.permit(POLICY, first.until)
    assert permit is Permit.PROBE
    late = first.until
    for ok in (True, False):
        assert second.record(POLICY, late, ok, 20_000, 0.5) == second
    assert second.release(late, 20_000) == second
    assert second.record(POLICY, second.until, True, 20_000, 0.5) == Breaker()
