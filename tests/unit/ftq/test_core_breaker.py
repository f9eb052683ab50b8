"""`ftq.breaker`: a circuit breaker as a pure state machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ftq.breaker import BUCKETS, ROW_LASTS, Breaker, BreakerPolicy, Permit, Position, Row

POLICY = BreakerPolicy(
    window=10, minimum=4, failures=2, rate=0.5, in_a_row=6, tasks=2, base=1, cap=8
)
WINDOW = 10_000
# How long an attempt lasts at most.
LASTS = 5_000
DICE = st.floats(0, 1, exclude_max=True)


@dataclass
class Attempt:
    """One attempt under way."""

    probe: int | None
    began: int
    task: str


class BreakerMachine(RuleBasedStateMachine):
    """Attempts that come and go while time passes, and a plain count of what they did."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now = 1_800_000_000_000
        self.running: list[Attempt] = []
        self.ended: list[tuple[int, bool]] = []
        self.row: list[tuple[int, str]] = []
        self.openings = 0

    @initialize(now=st.integers(0, 2**42))
    def starts(self, now: int) -> None:
        self.now = now

    @rule(ms=st.sampled_from([0, 1, 300, 999, 1000, 4000, 5000, 9999, 20_000]))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(task=st.sampled_from("abc"))
    def an_attempt_asks(self, task: str) -> None:
        before = self.breaker
        self.breaker, permit = before.permit(LASTS, self.now)
        probing = [each for each in self.running if each.probe == before.until]
        if before.position is Position.CLOSED:
            assert permit is Permit.RUN
            assert self.breaker == before
        elif before.position is Position.OPEN:
            assert permit is (Permit.NO if self.now < before.until else Permit.PROBE)
        elif permit is Permit.PROBE:
            # Only in place of one that was not heard of for the time that a probe has.
            assert all(self.now - each.began >= LASTS for each in probing)
        else:
            assert permit is Permit.NO
            assert any(self.now - each.began < LASTS for each in probing)
        if permit is Permit.PROBE:
            assert self.breaker.position is Position.HALF_OPEN
        if permit is not Permit.NO:
            probe = self.breaker.until if permit is Permit.PROBE else None
            self.running.append(Attempt(probe, self.now, task))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), ok=st.booleans(), dice=DICE)
    def an_attempt_ends(self, data: st.DataObject, ok: bool, dice: float) -> None:
        attempt = data.draw(st.sampled_from(self.running))
        self.running.remove(attempt)
        before = self.breaker
        self.breaker = before.record(POLICY, attempt.task, attempt.probe, ok, self.now, dice)
        if before.position is Position.CLOSED:
            self._counted(attempt, ok)
        elif attempt.probe is not None and ok:
            # Late or not: the dependency is back.
            assert self.breaker == Breaker()
            self._clear()
        elif before.position is Position.HALF_OPEN and attempt.probe == before.until:
            assert self.breaker.position is Position.OPEN
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
            assert self.breaker.permit(LASTS, self.now)[1] is Permit.PROBE
        else:
            assert self.breaker == before

    def _counted(self, attempt: Attempt, ok: bool) -> None:
        if attempt.probe is not None:
            # A probe given up, heard of when another had closed the breaker long since.
            assert self.breaker.position is Position.CLOSED
            return
        self.ended.append((self.now, ok))
        self.row = [] if ok else [*self.row, (self.now, attempt.task)]
        # Slices make the window fuzzy at its old end by one slice.
        width = WINDOW // BUCKETS
        surely = [good for at, good in self.ended if at > self.now - WINDOW + width]
        perhaps = [good for at, good in self.ended if at > self.now - WINDOW - width]
        opened = self.breaker.position is Position.OPEN
        if self._in_a_row():
            assert opened
        elif opened:
            assert len(perhaps) >= POLICY.minimum
            assert perhaps.count(False) >= POLICY.failures
        if surely == perhaps and not self._in_a_row():
            failed = surely.count(False)
            enough = len(surely) >= POLICY.minimum and failed >= POLICY.failures
            assert opened is (enough and failed >= POLICY.rate * len(surely))

    def _in_a_row(self) -> bool:
        if len(self.row) < POLICY.in_a_row or len({task for _, task in self.row}) < POLICY.tasks:
            return False
        return self.now - self.row[0][0] >= ROW_LASTS

    def _clear(self) -> None:
        self.ended.clear()
        self.row = []

    def _opened(self) -> None:
        ceiling = min(8_000, 1_000 * 2**self.openings)
        wait = self.breaker.until - self.now
        assert ceiling / 2 <= wait <= ceiling
        self.openings += 1
        self._clear()
        assert self.breaker.openings == self.openings

    @invariant()
    def memory_is_bounded(self) -> None:
        buckets = self.breaker.buckets
        assert len(buckets) <= BUCKETS + 1
        assert len(self.breaker.row.tasks) <= POLICY.tasks
        starts = [bucket.start for bucket in buckets]
        assert starts == sorted(set(starts))

    @invariant()
    def nothing_runs_before_an_opening_is_over(self) -> None:
        if self.breaker.position is not Position.CLOSED:
            assert self.breaker.permit(LASTS, self.now)[1] is not Permit.RUN


BreakerMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40)
TestBreaker = BreakerMachine.TestCase


def after(breaker: Breaker, results: str, now: int = 0, dice: float = 0.5) -> Breaker:
    """The breaker after successes (.) and failures (x) of attempts that it let run."""
    for result in results:
        breaker = breaker.record(POLICY, "t", None, result == ".", now, dice)
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
    assert breaker.permit(LASTS, breaker.until - 1) == (breaker, Permit.NO)
    probing, permit = breaker.permit(LASTS, breaker.until)
    assert permit is Permit.PROBE
    assert [probing.permit(LASTS, breaker.until + ms)[1] for ms in (0, 1, 4999)] == [Permit.NO] * 3


def test_a_probe_that_succeeds_closes_it_with_a_clean_slate() -> None:
    probing, _ = opened().permit(LASTS, 10_000)
    closed = probing.record(POLICY, "t", probing.until, True, 10_000, 0.5)
    assert closed == Breaker()
    assert after(closed, "xxx", now=10_000).position is Position.CLOSED


def test_a_probe_that_fails_opens_it_for_longer_up_to_the_cap() -> None:
    breaker, now, waits = opened(dice=0.0), 0, []
    for _ in range(8):
        waits.append(breaker.until - now)
        now = breaker.until
        probing, _ = breaker.permit(LASTS, now)
        breaker = probing.record(POLICY, "t", probing.until, False, now, 0.0)
    assert waits == [500, 1000, 2000, 4000, 4000, 4000, 4000, 4000]


def test_a_forgotten_probe_is_replaced() -> None:
    probing, _ = opened().permit(LASTS, 10_000)
    assert probing.permit(LASTS, 14_999)[1] is Permit.NO
    assert probing.permit(LASTS, 15_000)[1] is Permit.PROBE


def test_what_began_before_the_opening_changes_nothing_after_it() -> None:
    breaker = opened()
    probing, _ = breaker.permit(LASTS, breaker.until)
    for each in (breaker, probing):
        for ok in (True, False):
            assert each.record(POLICY, "t", None, ok, 600, 0.5) == each


def test_a_probe_that_ends_without_a_word_leaves_its_place_to_another() -> None:
    probing, _ = opened().permit(LASTS, 10_000)
    freed = probing.release(probing.until, 10_001)
    assert freed.permit(LASTS, 10_001)[1] is Permit.PROBE
    assert replace(freed, until=0, position=Position.HALF_OPEN) == replace(probing, until=0)


def test_an_attempt_released_in_normal_times_changes_nothing() -> None:
    breaker = after(Breaker(), "x.x")
    assert breaker.release(None, 5) == breaker
    assert opened().release(None, 5) == opened()


@given(DICE, st.integers(1, 60), st.integers(0, 600), st.integers(0, 200))
def test_an_opening_lasts_from_half_its_ceiling_to_all_of_it(
    dice: float, base: int, extra: int, openings: int
) -> None:
    policy = BreakerPolicy(minimum=1, failures=1, base=base, cap=base + extra)
    breaker = Breaker(openings=openings).record(policy, "t", None, False, 0, dice)
    ceiling = 1000 * min(base + extra, base * 2 ** min(openings, 60))
    assert ceiling / 2 <= breaker.until <= ceiling


def test_a_clock_that_steps_back_makes_no_slice_out_of_order() -> None:
    breaker = after(after(Breaker(), "x", now=50_000), "x", now=49_000)
    assert [bucket.failed for bucket in breaker.buckets] == [2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": 0.5},
        {"window": 3601},
        {"window": float("nan")},
        {"minimum": 0},
        {"failures": 0},
        {"in_a_row": 0},
        {"in_a_row": 10**7},
        {"tasks": 0},
        {"tasks": 101},
        {"rate": 0.0},
        {"rate": 1.1},
        {"rate": float("nan")},
        {"base": 0},
        {"base": 10, "cap": 9},
        {"cap": 3601},
        {"cap": float("nan")},
        {"counts": "ConnectionError"},
        {"counts": (ConnectionError("down"),)},
        {"counts": [ConnectionError]},
    ],
)
def test_a_policy_out_of_bounds_is_refused_by_name_value_and_limit(
    wrong: dict[str, object],
) -> None:
    key = next(iter(wrong))
    with pytest.raises(ValueError, match=rf"^{key}=.*: must be "):
        BreakerPolicy(**wrong)  # type: ignore[arg-type]  # what no checker would let through


def test_the_success_of_a_probe_that_was_given_up_closes_all_the_same() -> None:
    first, _ = opened().permit(LASTS, 10_000)
    second, permit = first.permit(LASTS, first.until)
    assert permit is Permit.PROBE
    late = first.until
    reopened = second.record(POLICY, "t", second.until, False, 20_000, 0.5)
    for each in (second, reopened):
        assert each.record(POLICY, "t", late, True, 20_001, 0.5) == Breaker()


def test_the_failure_of_a_probe_that_was_given_up_decides_nothing_and_frees_no_place() -> None:
    first, _ = opened().permit(LASTS, 10_000)
    second, _ = first.permit(LASTS, first.until)
    late = first.until
    assert second.record(POLICY, "t", late, False, 20_000, 0.5) == second
    assert second.release(late, 20_000) == second
    assert second.record(POLICY, "t", second.until, True, 20_000, 0.5) == Breaker()


SPARSE = BreakerPolicy(in_a_row=4, tasks=2)


def in_a_row(tasks: str, every: int = 3_600_000) -> Breaker:
    """The breaker after failures of these tasks, one each hour; a dot is a success."""
    breaker = Breaker()
    for n, task in enumerate(tasks):
        breaker = breaker.record(SPARSE, task, None, task == ".", n * every, 0.5)
    return breaker


@pytest.mark.parametrize("tasks", ["abab", "aaab", "a.abab", "aaaaaab"])
def test_failures_in_a_row_of_several_tasks_open_it_however_rare_they_are(tasks: str) -> None:
    assert in_a_row(tasks[:-1]).position is Position.CLOSED
    assert in_a_row(tasks).position is Position.OPEN


@pytest.mark.parametrize("tasks", ["aba", "aaaaaaaaaaaa", "aba.ab.bab"])
def test_one_task_that_fails_for_ever_or_a_success_between_does_not(tasks: str) -> None:
    assert in_a_row(tasks).position is Position.CLOSED


def test_failures_in_a_row_within_a_moment_are_chance() -> None:
    assert in_a_row("abababab", every=100).position is Position.CLOSED
    assert in_a_row("abab" + "a" * 12, every=100).position is Position.OPEN


def test_what_fails_in_a_row_is_remembered_within_bounds() -> None:
    breaker = Breaker()
    for n in range(3):
        breaker = breaker.record(BreakerPolicy(tasks=2), str(n), None, False, n, 0.5)
    assert breaker.row == Row(3, 0, ("0", "1"))


def test_word_from_elsewhere_opens_it_until_the_probe_is_due_there() -> None:
    adopted = Breaker().adopt(POLICY, 3, 12_000, 10_000)
    assert adopted == Breaker(Position.OPEN, openings=3, until=12_000)
    assert opened().adopt(POLICY, 3, 12_000, 10_000) == opened()


@pytest.mark.parametrize(("openings", "until"), [(3, 10**9), (0, 10**9), (-5, -1), (10**9, 10**9)])
def test_no_word_keeps_it_open_for_longer_than_an_opening_may_last(
    openings: int, until: int
) -> None:
    adopted = Breaker().adopt(POLICY, openings, until, 10_000)
    assert adopted.openings >= 1
    assert 10_000 <= adopted.until <= 10_000 + min(8_000, POLICY.ceiling(max(0, openings - 1)))


def is_network(kind: type[BaseException]) -> bool:
    return kind.__name__.startswith("Connection")


def breaks(_: type[BaseException]) -> bool:
    raise ZeroDivisionError


def test_a_policy_says_which_errors_count_by_their_classes_or_a_function_of_them() -> None:
    assert BreakerPolicy().counted(ValueError)
    assert BreakerPolicy().counted(SystemExit)
    listed = BreakerPolicy(counts=(ConnectionError, TimeoutError))
    assert [listed.counted(each) for each in (ConnectionResetError, TimeoutError)] == [True] * 2
    assert not listed.counted(ValueError)
    asked = BreakerPolicy(counts=is_network)
    assert asked.counted(ConnectionError)
    assert not asked.counted(TimeoutError)


def test_a_function_that_breaks_is_taken_to_count_the_error() -> None:
    assert BreakerPolicy(counts=breaks).counted(ValueError)
