"""What is done about what happened. The rules of routing are here, and only here.

Three questions, each a pure function; the fourth, why a claim was refused, is `ftq.refusal`'s:

* `judge`: a claim of ours ended with this outcome: what do we write, where does the message go?
* `lapsed`: we just got a claim: how did the one before it end, if nobody wrote that down?
* `admit`: does it run, and where?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from ftq.lifecycle import State
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
from ftq.retry import RetryPolicy
from ftq.settlement import (
    Cancel,
    Cause,
    Complete,
    Counter,
    DeadLetter,
    Release,
    RetryAt,
    Settlement,
)
from ftq.task import Entry, Failure, Task, failure
from ftq.value import value

# --- verdicts on a claim of ours -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lapse:
    """End the lease and count nothing: the next claim finds one more crash. Show the message."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Abandon:
    """The claim is not ours any more: write nothing, delete nothing."""


Verdict: TypeAlias = Settlement | Lapse | Abandon


def judge(
    outcome: Outcome,
    *,
    attempts: int,
    policy: RetryPolicy,
    cancel_asked: bool,
    now: int,
    dice: float,
) -> Verdict:
    """What is done about the end of a claim of ours.

    Args:
        outcome: How the claim ended.
        attempts: Failed attempts counted before this one.
        policy: The handler's retry policy.
        cancel_asked: Whether a beat brought word that the task is to be cancelled.
        now: Milliseconds since the epoch.
        dice: Drawn from [0, 1), for the jitter.
    """
    verdict = _judge(outcome, attempts=attempts, policy=policy, now=now, dice=dice)
    if cancel_asked and isinstance(verdict, RetryAt | Release):
        return Cancel()
    return verdict


def _judge(
    outcome: Outcome, *, attempts: int, policy: RetryPolicy, now: int, dice: float
) -> Verdict:
    match outcome:
        case Returned(result):
            return Complete(result)
        case Raised(failed, permanent=True):
            return DeadLetter(Cause.PERMANENT, Counter.ATTEMPTS, failed)
        case Raised() | TimedOut() | AskedRetry():
            return _again(outcome, attempts=attempts, policy=policy, now=now, dice=dice)
        case Rejected() | Invalid() | Quarantined():
            return _given_up(outcome)
        case Interrupted():
            return Release()
        case Orphaned(claims):
            return Release(claims=claims + 1)
        case Crashed(failed):
            return Lapse(failed)
        case CancelAsked():
            return Cancel()
        case Lost():
            return Abandon()
        case _:
            assert_never(outcome)


def _given_up(outcome: Rejected | Invalid | Quarantined) -> DeadLetter:
    match outcome:
        case Rejected(failed):
            return DeadLetter(Cause.REJECTED, Counter.ATTEMPTS, failed)
        case Invalid(failed):
            return DeadLetter(Cause.INVALID_PAYLOAD, Counter.ATTEMPTS, failed)
        case Quarantined(failed):
            return DeadLetter(Cause(failed.kind), Counter.RELEASES, failed)


def _again(
    outcome: Raised | TimedOut | AskedRetry,
    *,
    attempts: int,
    policy: RetryPolicy,
    now: int,
    dice: float,
) -> Verdict:
    counts, after = True, None
    if isinstance(outcome, AskedRetry):
        counts, after = outcome.counts, outcome.after
    spent = attempts + 1
    if counts and spent >= policy.attempts:
        return DeadLetter(Cause.ATTEMPTS_SPENT, Counter.ATTEMPTS, outcome.failure)
    wait = policy.delay(spent, dice) if after is None else after
    counter = Counter.ATTEMPTS if counts else Counter.RELEASES
    return RetryAt(now + round(wait * 1000), counter, outcome.failure)


# --- a claim that was granted ----------------------------------------------------------------


@value(frozen=True, slots=True)
class Run:
    """Run the handler; a suspect (PROTOCOL R4) in a process of its own.

    Attributes:
        suspect: One more crash quarantines the task, so it must not take others along, nor be
            blamed for a neighbour.
    """

    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Settle:
    """Do not run the handler: settle the claim with this outcome."""

    outcome: CancelAsked | Quarantined | Orphaned


Admission: TypeAlias = Run | Settle


def admit(task: Task, crash_limit: int) -> Admission:
    """Whether a claim that was just granted runs.

    Args:
        task: The record with our claim in it, and with how the one before it `lapsed`.
        crash_limit: Lapsed claims at which a task is quarantined; at least 2.
    """
    if task.cancel_requested:
        return Settle(CancelAsked())
    if task.crashes < crash_limit:
        return Run(suspect=task.crashes >= crash_limit - 1)
    if task.history and task.history[-1].outcome == ORPHANED:
        return Settle(Orphaned(task.crashes - (crash_limit - 1)))
    text = f"{task.crashes} claims of this task lapsed without a word from their daemons"
    return Settle(Quarantined(failure(Cause.CRASH_LOOP, "CrashLoop", text)))


def lapsed(task: Task, before: Task | None, crash_limit: int) -> Entry | None:
    """How the claim before ours ended, if nobody wrote it down (R17).

    In silence: it crashed, and its task may be why. But a suspect runs in a process of its own, of
    whose death its daemon tells. If the daemon itself died, that was somebody else's doing, and the
    claim is orphaned; a task that kills more than its process is found out when that has
    happened ``ORPHANS`` times.

    Args:
        task: The record with our claim in it.
        before: The record before our claim; None if the reply that had it was lost.
        crash_limit: Lapsed claims at which a task is quarantined; at least 2.
    """
    claim_no = task.claim_no - 1
    ended = before is not None and before.state is not State.RUNNING
    if ended or not task.crashes or any(entry.claim_no == claim_no for entry in task.history):
        return None
    by, at = (before.claimed_by, before.free_at) if before else ("", task.updated_at)
    life = [entry for entry in task.history if entry.claim_no > task.past]
    # Only the daemon that outlived a suspect's process names the class of its end.
    guilty = any(entry.outcome == CRASHED and entry.class_name for entry in life)
    spared = sum(entry.outcome == ORPHANED for entry in life) < ORPHANS
    orphaned = task.crashes >= crash_limit and spared and not guilty
    return Entry(claim_no, by, at, ORPHANED if orphaned else CRASHED)


CRASHED: Final = Crashed.word
ORPHANED: Final = "orphaned"
ORPHANS: Final = 8
# Whoever killed the daemon comes back when its message does: keep out of each other's way.
_LONGEST_APART: Final = 900_000


def stay_apart(task: Task, visibility: int, dice: float) -> int:
    """Milliseconds for which an orphaned task waits: longer each time, and jittered."""
    life = (entry for entry in task.history if entry.claim_no > task.past)
    times = sum(entry.outcome == ORPHANED for entry in life)
    return min(_LONGEST_APART, round((visibility << max(0, times - 1)) * (0.5 + dice)))
