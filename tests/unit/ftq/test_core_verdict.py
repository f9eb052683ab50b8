"""`ftq.verdict`: every outcome, admission and refusal has its answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.lifecycle import FINAL, OPEN, Move, State, follow
from ftq.outcome import (
    AskedRetry,
    CancelAsked,
    Crashed,
    Interrupted,
    Invalid,
    Lost,
    Orphaned,
    Outcome,
    Quarantined,
    Raised,
    Rejected,
    Returned,
    TimedOut,
)
from ftq.refusal import YIELD_JITTER, Drop, DropDead, Forget, Insert, Ours, Revive, Yield, refuse
from ftq.retry import RetryPolicy
from ftq.settlement import Cancel, Cause, Complete, Counter, DeadLetter, Release, RetryAt
from ftq.task import Entry, Task, failure
from ftq.verdict import (
    ORPHANS,
    Abandon,
    Lapse,
    Run,
    Settle,
    Verdict,
    admit,
    judge,
    lapsed,
    stay_apart,
)
from ftq.wire.statements import Statements

NOW = 1_800_000_000_000
FAILED = failure("exception", "ValueError", "no")
ATTEMPTS, RELEASES = Counter.ATTEMPTS, Counter.RELEASES
TASK = Task("t1", "email.send", "https://queue", State.RUNNING, claim_no=3, attempts=1)

# Each way a claim can end, and what R6 says it adds to.
COUNTED: list[tuple[Outcome, Counter | None]] = [
    (Returned('{"ok":true}'), None),
    (Raised(FAILED), ATTEMPTS),
    (Raised(FAILED, permanent=True), ATTEMPTS),
    (TimedOut(FAILED), ATTEMPTS),
    (AskedRetry(FAILED, None, counts=True), ATTEMPTS),
    (AskedRetry(FAILED, 0, counts=True), ATTEMPTS),
    (AskedRetry(FAILED, 7.5, counts=True), ATTEMPTS),
    (AskedRetry(FAILED, None, counts=False), RELEASES),
    (AskedRetry(FAILED, 0, counts=False), RELEASES),
    (AskedRetry(FAILED, 86_400, counts=False), RELEASES),
    (Rejected(FAILED), ATTEMPTS),
    (Invalid(FAILED), ATTEMPTS),
    (Interrupted(), RELEASES),
    (CancelAsked(), RELEASES),
    (Quarantined(failure("crash_loop", "CrashLoop", "x")), RELEASES),
    (Quarantined(failure("unknown_type", "UnknownType", "x")), RELEASES),
    (Quarantined(failure("payload_lost", "PayloadLost", "x")), RELEASES),
    (Orphaned(1), RELEASES),
    (Orphaned(3), RELEASES),
    (Crashed(FAILED), None),
    (Lost(), None),
]
POLICIES = [
    RetryPolicy(),
    RetryPolicy(attempts=1),
    RetryPolicy(attempts=1000, base=0, cap=0),
    RetryPolicy(attempts=5, base=2, cap=43_200),
]
CASES = list(product(COUNTED, [0, 1, 2, 4, 999, 5000], POLICIES, [False, True], [0.0, 0.9999]))


def judged(
    outcome: Outcome, attempts: int, policy: RetryPolicy, cancel_asked: bool, dice: float
) -> Verdict:
    return judge(
        outcome, attempts=attempts, policy=policy, cancel_asked=cancel_asked, now=NOW, dice=dice
    )


def test_every_kind_of_outcome_is_among_the_cases() -> None:
    assert {type(outcome) for outcome, _ in COUNTED} == set(get_args(Outcome))


def test_every_settle_but_complete_adds_one_for_each_claim_and_follows_the_table() -> None:
    for (outcome, counter), attempts, policy, asked, dice in CASES:
        verdict = judged(outcome, attempts, policy, asked, dice)
        if isinstance(verdict, Abandon):
            assert isinstance(outcome, Lost)
            continue
        if isinstance(verdict, Lapse):
            # It settles nothing: the crash is what no counter knows of.
            assert isinstance(outcome, Crashed)
            continue
        task = replace(TASK, attempts=attempts)
        entry = Entry(3, "d1", NOW, "x")
        statement = Statements("tasks").settle(task, verdict, entry, grace=1, retention=1)
        text = str(statement.request["Statement"])
        added = [each for each in Counter if f'SET "{each}"="{each}"+1' in text]
        if isinstance(verdict, Release) and isinstance(outcome, Orphaned):
            assert (added, verdict.claims) == ([], outcome.claims + 1)
            summed = {"N": str(task.releases + verdict.claims)}
            assert str(summed) in str(statement.request["Parameters"])
            continue
        cancelled = isinstance(verdict, Cancel)
        expected = RELEASES if cancelled else counter
        assert added == ([] if expected is None else [expected]), (outcome, verdict)
        assert text.count("+1") == len(added)
        assert not any(f'SET "{each}"=?' in text for each in Counter)
        assert follow(State.RUNNING, verdict.move) is not State.RUNNING


def test_a_returned_value_completes_whatever_was_asked_meanwhile() -> None:
    for attempts, policy, asked in product([0, 999], POLICIES, [False, True]):
        assert judged(Returned("7"), attempts, policy, asked, 0.5) == Complete("7")


def test_what_is_not_ours_any_more_is_abandoned_whatever_was_asked_meanwhile() -> None:
    for attempts, policy, asked in product([0, 999], POLICIES, [False, True]):
        assert judged(Lost(), attempts, policy, asked, 0.5) == Abandon()


FAILURES: list[Outcome] = [
    Raised(FAILED),
    TimedOut(FAILED),
    AskedRetry(FAILED, None, counts=True),
    AskedRetry(FAILED, 5, counts=True),
]


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_failure_is_retried_until_the_attempts_are_spent(outcome: Outcome) -> None:
    policy = RetryPolicy(attempts=3)
    verdicts = [judged(outcome, attempts, policy, False, 0.5) for attempts in range(4)]
    spent = DeadLetter(Cause.ATTEMPTS_SPENT, ATTEMPTS, FAILED)
    assert all(isinstance(verdict, RetryAt) for verdict in verdicts[:2])
    assert verdicts[2:] == [spent, spent]


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_policy_of_one_attempt_never_retries(outcome: Outcome) -> None:
    assert isinstance(judged(outcome, 0, RetryPolicy(attempts=1), False, 0.5), DeadLetter)


@given(
    st.integers(0, 998),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(POLICIES),
    st.booleans(),
)
def test_a_retry_comes_within_the_jitter_of_its_policy(
    attempts: int, dice: float, policy: RetryPolicy, counts: bool
) -> None:
    outcome = AskedRetry(FAILED, None, counts=False) if counts else Raised(FAILED)
    verdict = judged(outcome, attempts, policy, False, dice)
    if isinstance(verdict, RetryAt):
        assert NOW <= verdict.at <= NOW + 1000 * policy.ceiling(attempts + 1)
        assert verdict.failure is FAILED


@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize(("after", "ms"), [(0, 0), (7.5, 7500), (0.0004, 0), (86_400, 86_400_000)])
def test_a_retry_asked_for_comes_when_it_was_asked_for(counts: bool, after: float, ms: int) -> None:
    verdict = judged(AskedRetry(FAILED, after, counts), 0, RetryPolicy(), False, 0.9)
    assert verdict == RetryAt(NOW + ms, ATTEMPTS if counts else RELEASES, FAILED)


def test_an_uncounted_retry_never_runs_out() -> None:
    verdict = judged(AskedRetry(FAILED, 1, counts=False), 10**6, RetryPolicy(), False, 0.5)
    assert verdict == RetryAt(NOW + 1000, RELEASES, FAILED)


@pytest.mark.parametrize(
    ("outcome", "cause", "counter"),
    [
        (Raised(FAILED, permanent=True), Cause.PERMANENT, ATTEMPTS),
        (Rejected(FAILED), Cause.REJECTED, ATTEMPTS),
        (Invalid(FAILED), Cause.INVALID_PAYLOAD, ATTEMPTS),
    ],
)
@pytest.mark.parametrize("asked", [False, True])
def test_what_no_further_attempt_can_help_is_dead_at_once(
    outcome: Outcome, cause: Cause, counter: Counter, asked: bool
) -> None:
    verdict = judged(outcome, 0, RetryPolicy(attempts=1000), asked, 0.5)
    assert verdict == DeadLetter(cause, counter, FAILED)


@pytest.mark.parametrize("kind", ["crash_loop", "unknown_type", "payload_lost"])
def test_a_quarantine_is_dead_with_its_kind_as_the_cause(kind: str) -> None:
    why = failure(kind, "X", "x")
    verdict = judged(Quarantined(why), 0, RetryPolicy(), False, 0.5)
    assert verdict == DeadLetter(Cause(kind), RELEASES, why)


@pytest.mark.parametrize(
    "outcome", [Raised(FAILED), AskedRetry(FAILED, 9, counts=False), Interrupted(), CancelAsked()]
)
def test_a_cancellation_asked_for_ends_what_would_have_run_again(outcome: Outcome) -> None:
    assert judged(outcome, 0, RetryPolicy(), True, 0.5) == Cancel()


def test_an_interruption_releases_and_a_cancellation_cancels() -> None:
    assert judged(Interrupted(), 0, RetryPolicy(), False, 0.5) == Release()
    assert judged(CancelAsked(), 0, RetryPolicy(), False, 0.5) == Cancel()


# --- admit -----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [2, 3, 7])
@pytest.mark.parametrize("crashes", range(9))
def test_a_claim_runs_runs_alone_or_is_quarantined_by_its_crashes(limit: int, crashes: int) -> None:
    task = replace(TASK, claim_no=crashes + 1, attempts=0)
    assert task.crashes == crashes
    admission = admit(task, limit)
    if crashes < limit:
        assert admission == Run(suspect=crashes == limit - 1)
    else:
        assert isinstance(admission, Settle)
        assert isinstance(admission.outcome, Quarantined)
        assert admission.outcome.failure.kind == Cause.CRASH_LOOP
        assert str(crashes) in admission.outcome.failure.message


@pytest.mark.parametrize("crashes", [0, 2, 9])
def test_a_task_whose_cancellation_was_asked_for_does_not_run(crashes: int) -> None:
    task = replace(TASK, claim_no=crashes + 1, attempts=0, cancel_requested=NOW)
    assert admit(task, 2) == Settle(CancelAsked())


# --- lapsed ----------------------------------------------------------------------------------

BEFORE = replace(TASK, claim_no=2, attempts=0, claimed_by="d7", free_at=NOW - 5)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_a_claim_taken_over_from_a_running_one_is_written_down_as_a_crash(state: State) -> None:
    entry = lapsed(TASK, replace(BEFORE, state=state), 3)
    crash = Entry(2, "d7", NOW - 5, "crashed")
    assert entry == (crash if state is State.RUNNING else None)


def test_after_a_lost_reply_the_crash_is_found_by_arithmetic() -> None:
    crashed = replace(TASK, attempts=0, releases=1, history=(Entry(1, "d1", 1, "released"),))
    assert crashed.crashes == 1
    entry = lapsed(crashed, None, 3)
    assert entry is not None
    assert (entry.claim_no, entry.outcome) == (2, "crashed")


def test_after_a_lost_reply_a_crash_already_written_down_is_not_written_again() -> None:
    history = (Entry(1, "d1", 1, "crashed"), Entry(2, "d1", 2, "released"))
    assert lapsed(replace(TASK, attempts=0, releases=1, history=history), None, 3) is None
    assert lapsed(replace(TASK, claim_no=1, attempts=0), None, 3) is None


def test_a_suspect_whose_daemon_died_is_orphaned_and_given_back_with_the_claim_that_finds_it() -> (
    None
):
    suspect = replace(TASK, claim_no=4, attempts=0)
    before = replace(BEFORE, claim_no=3, state=State.RUNNING)
    entry = lapsed(suspect, before, 3)
    assert entry == Entry(3, "d7", NOW - 5, "orphaned")
    found = replace(suspect, history=(entry,))
    assert admit(found, 3) == Settle(Orphaned(1))
    # Whoever found that may have died in turn.
    assert admit(replace(found, claim_no=5), 3) == Settle(Orphaned(2))


def test_a_suspect_whose_own_process_died_is_guilty_whatever_follows() -> None:
    told = Entry(3, "d7", NOW - 5, "crashed", "ProcessDied", 100)
    found = replace(TASK, claim_no=4, attempts=0, history=(told,))
    before = replace(BEFORE, claim_no=3, state=State.RUNNING)
    assert lapsed(found, before, 3) is None
    assert isinstance(admit(found, 3), Settle)
    next_one = lapsed(replace(found, claim_no=5), replace(before, claim_no=4), 3)
    assert next_one is not None
    assert next_one.outcome == "crashed"


def test_a_suspect_is_orphaned_so_often_and_not_for_ever() -> None:
    before = replace(BEFORE, claim_no=30, state=State.RUNNING)
    old = [Entry(n, "d", 1, "orphaned") for n in range(1, 1 + ORPHANS)]
    for past, outcome in ((0, "crashed"), (1, "orphaned")):
        releases = 28 - past
        history = tuple(old)
        suspect = replace(
            TASK, claim_no=31, past=past, attempts=0, releases=releases - 1, history=history
        )
        assert suspect.crashes == 3
        entry = lapsed(suspect, before, 3)
        assert entry is not None
        assert entry.outcome == outcome


def test_an_orphan_stays_apart_for_longer_each_time_within_bounds() -> None:
    history: tuple[Entry, ...] = ()
    waits: list[int] = []
    for n in range(1, 9):
        history += (Entry(n, "d", 1, "orphaned"),)
        waits.append(stay_apart(replace(TASK, history=history), 60_000, 0.5))
    assert waits == [60_000, 120_000, 240_000, 480_000, 900_000, 900_000, 900_000, 900_000]
    assert stay_apart(replace(TASK, history=history[:1]), 60_000, 0.0) == 30_000


# --- refuse ----------------------------------------------------------------------------------


def answer(
    record: Task | None,
    token: str = "mine",
    stored: bool = True,
    carried: int | None = None,
    dice: float = 0.5,
) -> object:
    return refuse(
        record,
        token=token,
        stored=stored,
        carried=carried,
        visibility=60_000,
        now=NOW,
        dice=dice,
    )


GRID = list(product(State, ["mine", "theirs"], [False, True], [None, 2, 3, 4]))


@pytest.mark.parametrize(("state", "token", "stored", "carried"), GRID)
def test_every_record_that_stands_in_the_way_has_its_answer(
    state: State, token: str, stored: bool, carried: int | None
) -> None:
    record = Task(
        "t1",
        "email.send",
        "https://queue",
        state,
        claim_no=3,
        claim_token=token,
        free_at=0 if state in FINAL else NOW + 10_000,
        cause="rejected",
        last_error=failure("rejected", "Reject", "no"),
    )
    expected: object
    if state is State.DEAD:
        died = DropDead(3, "rejected", record.last_error)
        expected = Revive(record) if carried == 3 else died
    elif state in FINAL:
        expected = Drop()
    elif state is State.RUNNING and token == "mine":
        expected = Ours()
    else:
        expected = Yield(NOW + 10_000 + YIELD_JITTER // 2)
    assert answer(record, "mine", stored, carried) == expected


@pytest.mark.parametrize(
    ("stored", "carried", "expected"),
    [
        (False, None, Insert()),
        (True, None, Forget(expired=False)),
        (False, 3, Forget(expired=True)),
        (True, 3, Forget(expired=True)),
    ],
)
def test_without_a_record_only_a_direct_producers_message_makes_one(
    stored: bool, carried: int | None, expected: object
) -> None:
    assert answer(None, stored=stored, carried=carried) == expected


@given(
    st.sampled_from(sorted(OPEN)),
    st.integers(0, NOW + 10**12),
    st.floats(0, 1, exclude_max=True),
)
def test_a_yield_waits_for_the_record_and_on_a_running_one_at_most_one_visibility(
    state: State, free_at: int, dice: float
) -> None:
    record = replace(TASK, state=state, free_at=free_at, claim_token="theirs")
    refusal = answer(record, dice=dice)
    assert isinstance(refusal, Yield)
    assert NOW <= refusal.until <= max(NOW, free_at + YIELD_JITTER)
    if state is State.RUNNING:
        assert refusal.until <= NOW + 60_000
    else:
        assert refusal.until >= free_at


def test_yields_are_spread_over_their_jitter() -> None:
    record = replace(TASK, state=State.RETRYING, free_at=NOW + 10)
    assert answer(record, dice=0.0) == Yield(NOW + 10)
    assert answer(record, dice=0.999) == Yield(NOW + 10 + 1998)


def test_a_dead_record_without_an_error_is_dropped_with_its_number_all_the_same() -> None:
    assert answer(replace(TASK, state=State.DEAD)) == DropDead(3, "", None)


def test_every_verdict_names_a_move_of_the_table() -> None:
    moves = [Complete("").move, RetryAt(0, ATTEMPTS, FAILED).move, Release().move, Cancel().move]
    moves.append(DeadLetter(Cause.REJECTED, ATTEMPTS, FAILED).move)
    assert moves == [Move.COMPLETE, Move.RETRY, Move.RELEASE, Move.CANCEL, Move.DEAD_LETTER]
    assert [follow(State.RUNNING, move) for move in moves] == [
        State.SUCCEEDED,
        State.RETRYING,
        State.QUEUED,
        State.CANCELLED,
        State.DEAD,
    ]
