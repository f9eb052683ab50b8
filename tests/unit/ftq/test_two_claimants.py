"""Claim, settle, beat and refuse agree on any interleaving of two claimants over one record.

The real statements run on the in-memory table; beside it a plain model counts what happened.
Requests and replies get lost, leases lapse, operators cancel and redrive what they read a while
ago, dead-letter copies come back, and any statement may be applied once more long after.
"""

from __future__ import annotations

import random
from collections import Counter as Counts
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ftq.errors import IllegalTransition
from ftq.lifecycle import FINAL, State, follow
from ftq.outcome import (
    AskedRetry,
    CancelAsked,
    Interrupted,
    Invalid,
    Outcome,
    Quarantined,
    Raised,
    Rejected,
    Returned,
    TimedOut,
)
from ftq.refusal import Drop, DropDead, Insert, Ours, Refusal, Revive, Yield, refuse
from ftq.retry import RetryPolicy
from ftq.settlement import Complete, Counter, Settlement
from ftq.task import Entry, Task, bucket_of, failure
from ftq.testing.dynamodb import MemoryDynamo
from ftq.verdict import Abandon, Lapse, Settle, admit, judge
from ftq.wire import create
from ftq.wire.claimant import Claimant, claimed, revived
from ftq.wire.item import read_task
from ftq.wire.statements import Statement, Statements
from ftq.wire.table import Duplicate, Refused, Result, Written, execute, put, read_execute

EPOCH = 1_800_000_000_000
LEASE, VISIBILITY = 59_000, 60_000
GRACE, RETENTION = 900_000, 30 * 24 * 3_600_000
POLICY = RetryPolicy(attempts=3, base=1, cap=40)
CRASH_LIMIT = 3
WRITE = Statements("tasks")
FAILED = failure("exception", "KeyError", "'a'")

Fate: TypeAlias = Literal["done", "reply lost", "request lost"]
FATES: list[Fate] = ["done", "done", "reply lost", "request lost"]
# What ends a task for good comes last and once: after it there is little left to go wrong.
OUTCOMES: list[Outcome] = [
    Raised(FAILED),
    TimedOut(FAILED),
    AskedRetry(FAILED, 20, counts=False),
    Rejected(FAILED),
    Invalid(FAILED),
    Interrupted(),
    Quarantined(failure("unknown_type", "UnknownType", "x")),
    Raised(FAILED, permanent=True),
    Returned("1"),
    CancelAsked(),
]
STARTS = ["queued", "delayed", "scheduled", "absent"]
NAMES = ["a", "b"]
SPANS = [0, 1, 1000, 20_000, LEASE - 1, LEASE, LEASE + 1, 900_000]
WALKS = 400
SEEN = ["deaths", "lives after the second", "settles", "crashes", "asked", "succeeded", "cancelled"]
WHICH = st.integers(0, 10_000)


@dataclass(frozen=True)
class Write:
    """A statement, and what it means to the model."""

    kind: str
    statement: Statement
    now: int
    claim_no: int = 0
    token: str = ""
    lease_end: int = 0
    verdict: Settlement | None = None


@dataclass
class Model:
    """What happened, counted without looking at the record."""

    state: State | None = None
    claim_no: int = 0
    token: str = ""
    lease_end: int = 0
    lapsed: int = 0
    failed: int = 0
    settled: set[int] = field(default_factory=set)
    deaths: set[int] = field(default_factory=set)
    reborn: set[int] = field(default_factory=set)
    asked: bool = False
    last: Write | None = None

    def claim(self, write: Write) -> None:
        if self.state is State.RUNNING:
            assert self.lease_end <= write.now, "a claim was taken while it held"
            self.lapsed += 1
        else:
            assert self.state not in FINAL
        self.state, self.token, self.lease_end = State.RUNNING, write.token, write.lease_end
        self.claim_no += 1

    def settle(self, write: Write) -> None:
        assert write.verdict is not None
        assert self.state is State.RUNNING
        assert self.claim_no == write.claim_no, "a claim that was overtaken has settled"
        assert write.claim_no not in self.settled, "a claim has settled twice"
        self.settled.add(write.claim_no)
        counter = getattr(write.verdict, "counter", None)
        self.failed += counter is Counter.ATTEMPTS
        self.state = follow(State.RUNNING, write.verdict.move)
        if self.state is State.DEAD:
            assert self.claim_no not in self.deaths
            self.deaths.add(self.claim_no)

    def reborn_at(self, died_at: int) -> None:
        assert self.state is State.DEAD
        assert died_at == self.claim_no
        assert died_at not in self.reborn, "a death has given two lives"
        self.reborn.add(died_at)
        self.state, self.lapsed, self.failed, self.asked = State.QUEUED, 0, 0, False

    def cancel(self, write: Write) -> None:
        assert self.state not in FINAL
        if self.state is State.RUNNING:
            assert self.lease_end <= write.now, "cancelled under a holder"
            self.lapsed += 1
        self.state = State.CANCELLED

    def hold(self, write: Write) -> None:
        assert (self.state, self.claim_no) == (State.RUNNING, write.claim_no)
        self.lease_end = write.lease_end or self.lease_end
        self.asked |= write.kind == "ask_cancel"

    def insert(self, write: Write) -> None:
        assert self.state is None
        self.state = State.QUEUED
        self.claim(write)

    def revive(self, write: Write) -> None:
        self.reborn_at(write.claim_no)
        self.claim(write)

    def redrive(self, write: Write) -> None:
        self.reborn_at(write.claim_no)

    def sweep(self, write: Write) -> None:
        assert self.state not in FINAL, write
        if self.state is State.SCHEDULED:
            self.state = State.QUEUED

    def apply(self, write: Write) -> None:
        """The statement was applied."""
        held = write.kind in ("beat", "progress", "ask_cancel")
        moves = {
            "insert": self.insert,
            "claim": self.claim,
            "settle": self.settle,
            "cancel": self.cancel,
            "redrive": self.redrive,
            "revive": self.revive,
            "sweep": self.sweep,
        }
        (self.hold if held else moves[write.kind])(write)
        self.last = write


@dataclass
class Side:
    """One claimant: what it holds, and what it does not know the end of."""

    name: str
    holds: Task | None = None
    doubt: Write | None = None
    cancel_asked: bool = False


class TwoClaimants(RuleBasedStateMachine):
    """Two claimants, an API and a sweeper on one record."""

    def __init__(self) -> None:
        super().__init__()
        self.now = EPOCH
        self.dynamo = MemoryDynamo(lambda: self.now)
        self.dynamo.apply(create.table("tasks"))
        self.model = Model()
        self.sides = {name: Side(name) for name in ("a", "b")}
        self.seen: Task | None = None
        self.past: list[Write] = []
        self.tokens = 0
        self.stored = True

    # --- the world -------------------------------------------------------------------------

    @initialize(start=st.sampled_from(STARTS))
    def a_task_is_submitted_or_only_sent(self, start: str) -> None:
        self.stored = start != "absent"
        if not self.stored:
            return
        state = State.SCHEDULED if start == "scheduled" else State.QUEUED
        free_at = 0 if start == "queued" else self.now + 30_000
        task = Task("t1", "a", "q", state, free_at=free_at, due_at=self.now + 30_000)
        self.dynamo.apply(put("tasks", task))
        self.model.state = state

    @rule(ms=st.sampled_from(SPANS))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    def record(self) -> Task | None:
        return read_task(self.dynamo.tables["tasks"].get("t1"))

    def apply(self, write: Write) -> Result:
        """Run a statement, hold it against the model, and give its result."""
        before = self.dynamo.tables["tasks"].get("t1")
        [result] = read_execute(self.dynamo.apply(execute([write.statement])), 1)
        if isinstance(result, Written):
            was_final = self.model.state in FINAL
            self.model.apply(write)
            assert not was_final or write.kind in ("redrive", "revive"), "final was not final"
        else:
            assert isinstance(result, Refused | Duplicate), result
            assert self.dynamo.tables["tasks"].get("t1") == before
        self.past.append(write)
        return result

    def ask(self, side: Side, write: Write, fate: Fate) -> Result | None:
        """Send a statement; None if it is not known what became of it."""
        if fate == "request lost":
            side.doubt = write
            return None
        result = self.apply(write)
        side.doubt = write if fate == "reply lost" else None
        return None if fate == "reply lost" else result

    @precondition(lambda self: self.past)
    @rule(which=WHICH)
    def a_request_arrives_once_more_long_after(self, which: int) -> None:
        self.apply(self.past[which % len(self.past)])

    # --- the claimants ---------------------------------------------------------------------

    def idle(self, name: str = "a") -> Side | None:
        """The side of that name if it has nothing to do, else the other one if it has not."""
        sides = sorted(self.sides.values(), key=lambda side: side.name != name)
        return next((side for side in sides if side.holds is None and side.doubt is None), None)

    def holder(self, name: str = "a") -> tuple[Side, Task] | None:
        """The side of that name if it has a claim, else the other one if it has."""
        sides = sorted(self.sides.values(), key=lambda side: side.name != name)
        held = ((side, side.holds) for side in sides if side.doubt is None)
        return next(((side, task) for side, task in held if task is not None), None)

    def doubtful(self, name: str = "a") -> Side | None:
        """The side of that name if it waits for a reply, else the other one if it does."""
        sides = sorted(self.sides.values(), key=lambda side: side.name != name)
        return next((side for side in sides if side.doubt is not None), None)

    def claimant(self, name: str) -> Claimant:
        self.tokens += 1
        return Claimant(name, f"{name}{self.tokens}", self.now, self.now + LEASE)

    def claim_write(self, who: Claimant) -> Write:
        statement = WRITE.claim("t1", who)
        return Write("claim", statement, who.now, token=who.token, lease_end=who.lease_end)

    @precondition(lambda self: self.idle() is not None)
    @rule(name=st.sampled_from(NAMES), fate=st.sampled_from(FATES), carried=st.booleans())
    def one_claims(self, name: str, fate: Fate, carried: bool) -> None:
        side = self.idle(name)
        assert side is not None
        who = self.claimant(side.name)
        result = self.ask(side, self.claim_write(who), fate)
        if result is not None:
            self.answered(side, who, result, self.a_death(carried), fresh=True)

    def a_death(self, carried: bool) -> int | None:
        """A dead-letter copy of the latest death, or an ordinary message."""
        return max(self.model.deaths, default=None) if carried else None

    def answered(
        self, side: Side, who: Claimant, result: Result, carried: int | None, *, fresh: bool
    ) -> None:
        """A claimant reads the answer to its claim, and goes on as it says."""
        if isinstance(result, Written):
            assert result.old is not None
            self.granted(side, claimed(result.old, who))
            return
        if isinstance(result, Duplicate):
            # Somebody has inserted it, perhaps we ourselves: a claim with our token will say.
            self.answered(side, who, self.apply(self.claim_write(who)), carried, fresh=fresh)
            return
        assert isinstance(result, Refused)
        refusal = refuse(
            result.current,
            token=who.token,
            stored=self.stored,
            carried=carried,
            visibility=VISIBILITY,
            now=self.now,
            dice=0.5,
        )
        ours = self.model.state is State.RUNNING and self.model.token == who.token
        assert isinstance(refusal, Ours) is ours
        assert not (fresh and ours)
        self.refused(side, who, result.current, refusal)

    def refused(self, side: Side, who: Claimant, current: Task | None, refusal: Refusal) -> None:
        match refusal:
            case Ours():
                assert current is not None
                self.granted(side, current)
            case Insert():
                assert self.model.state is None
                self.insert(side, who, "done")
            case Revive(dead):
                assert dead == current
                write = self.revive_write(dead, who)
                result = self.apply(write)
                assert isinstance(result, Written)
                assert result.old is not None
                self.granted(side, revived(result.old, who, GRACE))
            case DropDead(claim_no):
                assert self.model.state is State.DEAD
                assert claim_no == self.model.claim_no
            case Drop():
                assert self.model.state in (State.SUCCEEDED, State.CANCELLED)
            case Yield(until):
                assert self.model.state not in FINAL
                assert until >= self.now
            case other:
                raise AssertionError(other)

    def insert(self, side: Side, who: Claimant, fate: Fate) -> None:
        fresh = Task("t1", "a", "q", State.QUEUED, due_at=who.now + GRACE)
        statement = WRITE.insert(fresh, who)
        write = Write("insert", statement, who.now, token=who.token, lease_end=who.lease_end)
        result = self.ask(side, write, fate)
        if isinstance(result, Written):
            self.granted(side, claimed(fresh, who))
        elif result is not None:
            self.answered(side, who, result, None, fresh=False)

    @precondition(lambda self: not self.stored and self.idle() is not None)
    @rule(name=st.sampled_from(NAMES), fate=st.sampled_from(FATES))
    def one_inserts(self, name: str, fate: Fate) -> None:
        side = self.idle(name)
        assert side is not None
        self.insert(side, self.claimant(side.name), fate)

    def revive_write(self, dead: Task, who: Claimant) -> Write:
        statement = WRITE.revive(dead, GRACE, who)
        return Write("revive", statement, who.now, dead.claim_no, who.token, who.lease_end)

    @precondition(lambda self: self.model.deaths and self.idle() is not None)
    @rule(name=st.sampled_from(NAMES), fate=st.sampled_from(FATES), which=WHICH)
    def one_revives_any_death_that_ever_was(self, name: str, fate: Fate, which: int) -> None:
        side = self.idle(name)
        assert side is not None
        died_at = sorted(self.model.deaths)[which % len(self.model.deaths)]
        who = self.claimant(side.name)
        dead = self.record()
        assert dead is not None
        write = self.revive_write(replace(dead, claim_no=died_at), who)
        result = self.ask(side, write, fate)
        if isinstance(result, Written):
            assert result.old == dead
            self.granted(side, revived(dead, who, GRACE))
        elif result is not None:
            # A revival is refused as a claim is.
            self.answered(side, who, result, None, fresh=True)

    def granted(self, side: Side, task: Task) -> None:
        """A claimant takes the record for its own: what it believes is what is stored."""
        assert self.model.state is State.RUNNING
        assert task == self.record()
        assert (task.claim_no, task.claim_token) == (self.model.claim_no, self.model.token)
        assert task.claimed_by == side.name
        side.holds, side.doubt, side.cancel_asked = task, None, False

    @precondition(lambda self: self.doubtful() is not None)
    @rule(name=st.sampled_from(NAMES))
    def one_that_does_not_know_asks_again(self, name: str) -> None:
        side = self.doubtful(name)
        assert side is not None
        write, side.doubt = side.doubt, None
        assert write is not None
        result = self.apply(write)
        if write.kind == "settle":
            self.settle_answered(side, write, result)
            return
        who = Claimant(side.name, write.token, write.now, write.lease_end)
        if isinstance(result, Written) and write.kind != "claim":
            task = self.record()
            assert task is not None
            self.granted(side, task)
        else:
            self.answered(side, who, result, None, fresh=False)

    def ours(self, task: Task) -> bool:
        """Whether the model says that this claim is the one that holds."""
        return self.model.state is State.RUNNING and self.model.claim_no == task.claim_no

    @precondition(lambda self: self.holder() is not None)
    @rule(name=st.sampled_from(NAMES))
    def one_beats(self, name: str) -> None:
        held = self.holder(name)
        assert held is not None
        side, task = held
        end = self.now + LEASE
        statement = WRITE.beat("t1", task.claim_no, end)
        holds = self.ours(task)
        result = self.apply(Write("beat", statement, self.now, task.claim_no, lease_end=end))
        assert isinstance(result, Written) is holds
        if isinstance(result, Written):
            assert result.old is not None
            assert bool(result.old.cancel_requested) is self.model.asked
            side.cancel_asked = bool(result.old.cancel_requested)
        else:
            side.holds = None

    @precondition(lambda self: self.holder() is not None)
    @rule(name=st.sampled_from(NAMES))
    def one_reports_progress(self, name: str) -> None:
        held = self.holder(name)
        assert held is not None
        _, task = held
        holds = self.ours(task)
        statement = WRITE.progress("t1", task.claim_no, '"half"', self.now)
        result = self.apply(Write("progress", statement, self.now, task.claim_no))
        assert isinstance(result, Written) is holds

    @precondition(lambda self: self.holder() is not None)
    @rule(
        name=st.sampled_from(NAMES), outcome=st.sampled_from(OUTCOMES), fate=st.sampled_from(FATES)
    )
    def one_settles(self, name: str, outcome: Outcome, fate: Fate) -> None:
        held = self.holder(name)
        assert held is not None
        side, task = held
        admission = admit(task, CRASH_LIMIT)
        if self.ours(task):
            assert task.attempts == self.model.failed
            assert task.crashes == self.model.lapsed
        if isinstance(admission, Settle):
            outcome = admission.outcome
        verdict = judge(
            outcome,
            attempts=task.attempts,
            policy=POLICY,
            cancel_asked=side.cancel_asked,
            now=self.now,
            dice=0.5,
        )
        assert not isinstance(verdict, Abandon | Lapse)
        entry = Entry(task.claim_no, side.name, self.now, "ended")
        statement = WRITE.settle(task, verdict, entry, grace=GRACE, retention=RETENTION)
        write = Write("settle", statement, self.now, task.claim_no, verdict=verdict)
        holds = self.ours(task)
        result = self.ask(side, write, fate)
        if result is not None:
            assert isinstance(result, Written) is holds
            side.holds = None

    def settle_answered(self, side: Side, write: Write, result: Result) -> None:
        """A settle was repeated: written now, or before, or never."""
        assert write.verdict is not None
        side.holds = None
        if isinstance(result, Written):
            return
        assert isinstance(result, Refused)
        current = result.current
        assert current is not None
        before = write.claim_no in self.model.settled
        state = follow(State.RUNNING, write.verdict.move)
        shows = current.claim_no == write.claim_no and current.state is state
        if shows:
            # Ours, or cancelled from outside once our lease was over, which is the same end.
            assert before or state is State.CANCELLED
        if self.model.last is write:
            assert shows, "our own settle was not known again"

    # --- an operator and the sweeper, who read first and write later -----------------------

    @rule()
    def somebody_reads(self) -> None:
        self.seen = self.record()

    @precondition(lambda self: self.seen is not None)
    @rule()
    def what_was_read_is_cancelled(self) -> None:
        assert self.seen is not None
        seen = self.seen
        held = seen.state is State.RUNNING and seen.free_at > self.now
        try:
            if held:
                statement = WRITE.ask_cancel(seen, self.now)
            else:
                statement = WRITE.cancel(seen, "api", self.now, RETENTION)
        except IllegalTransition:
            assert seen.final
            return
        kind = "ask_cancel" if held else "cancel"
        result = self.apply(Write(kind, statement, self.now, seen.claim_no))
        if isinstance(result, Refused):
            # Not for nothing: somebody has moved it meanwhile.
            assert result.current != seen

    @precondition(lambda self: self.seen is not None and self.seen.state is State.DEAD)
    @rule()
    def what_was_read_as_dead_is_redriven(self) -> None:
        assert self.seen is not None
        died_at = self.seen.claim_no
        due = self.model.state is State.DEAD and self.model.claim_no == died_at
        statement = WRITE.redrive(self.seen, "api", self.now, GRACE)
        result = self.apply(Write("redrive", statement, self.now, died_at))
        assert isinstance(result, Written) is due

    @precondition(lambda self: self.seen is not None and self.seen.due_at <= self.now)
    @rule()
    def what_was_read_as_overdue_is_swept(self) -> None:
        assert self.seen is not None
        bucket = bucket_of("t1", State.QUEUED)
        statement = WRITE.sweep(self.seen, bucket, self.now, self.now + GRACE, sends=True)
        self.apply(Write("sweep", statement, self.now))

    # --- what always holds -----------------------------------------------------------------

    @invariant()
    def the_record_says_what_happened(self) -> None:
        task, model = self.record(), self.model
        if task is None:
            assert model.state is None
            return
        assert (task.state, task.claim_no) == (model.state, model.claim_no)
        assert (task.attempts, task.crashes) == (model.failed, model.lapsed)
        assert bool(task.cancel_requested) is model.asked

    @invariant()
    def expires_at_and_free_at_tell_final_from_open(self) -> None:
        item = self.dynamo.tables["tasks"].get("t1")
        if item is None:
            return
        final = self.model.state in FINAL
        assert ("expires_at" in item) is final
        assert ("free_at" in item) is not final
        assert item["bucket"]["S"].startswith("open#") is not final

    @invariant()
    def one_side_at_most_holds_the_latest_claim(self) -> None:
        holders = [side for side in self.sides.values() if side.holds and self.ours(side.holds)]
        assert len(holders) <= 1


TwoClaimants.TestCase.settings = settings(max_examples=150, stateful_step_count=60)
TestTwoClaimants = TwoClaimants.TestCase


def a_step(world: TwoClaimants, dice: random.Random) -> None:
    """One thing happens, whichever can."""
    name, fate, which = dice.choice(NAMES), dice.choice(FATES), dice.randrange(10_000)
    outcome = dice.choice(OUTCOMES if dice.random() < 0.25 else OUTCOMES[:-2])
    dead = world.seen is not None and world.seen.state is State.DEAD
    asks = world.seen is not None and world.now < world.seen.free_at == world.model.lease_end
    overdue = world.seen is not None and world.seen.due_at <= world.now
    idle, holds = world.idle() is not None, world.holder() is not None
    can: list[tuple[int, bool, Callable[[], None]]] = [
        (6, True, lambda: world.time_passes(dice.choice(SPANS))),
        (6, idle, lambda: world.one_claims(name, fate, dice.random() < 0.3)),
        (1, idle and not world.stored, lambda: world.one_inserts(name, fate)),
        (
            2,
            idle and bool(world.model.deaths),
            lambda: world.one_revives_any_death_that_ever_was(name, fate, which),
        ),
        (4, world.doubtful() is not None, lambda: world.one_that_does_not_know_asks_again(name)),
        (2, holds, lambda: world.one_beats(name)),
        (1, holds, lambda: world.one_reports_progress(name)),
        (4, holds, lambda: world.one_settles(name, outcome, fate)),
        (3, bool(world.past), lambda: world.a_request_arrives_once_more_long_after(which)),
        (3, True, world.somebody_reads),
        (
            1,
            world.seen is not None and (asks or which < 1000),
            world.what_was_read_is_cancelled,
        ),
        (2, dead, world.what_was_read_as_dead_is_redriven),
        (1, overdue, world.what_was_read_as_overdue_is_swept),
    ]
    able = [(weight, step) for weight, possible, step in can if possible]
    [step] = dice.choices([step for _, step in able], [weight for weight, _ in able])
    step()
    world.the_record_says_what_happened()
    world.expires_at_and_free_at_tell_final_from_open()
    world.one_side_at_most_holds_the_latest_claim()


def test_long_random_walks_keep_every_invariant_and_see_everything_happen() -> None:
    seen: Counts[str] = Counts()
    for seed in range(WALKS):
        world, dice = TwoClaimants(), random.Random(seed)
        world.a_task_is_submitted_or_only_sent(STARTS[seed % len(STARTS)])
        left = 120
        while left > 0:
            a_step(world, dice)
            over = world.model.state in (State.SUCCEEDED, State.CANCELLED)
            left -= 10 if over else 1
        seen["deaths"] += len(world.model.deaths)
        seen["lives after the second"] += max(0, len(world.model.reborn) - 1)
        seen["settles"] += len(world.model.settled)
        seen["crashes"] += world.model.lapsed
        seen["asked"] += world.model.asked
        seen[str(world.model.state)] += 1
    # A walk that never gets there would prove nothing.
    assert all(seen[name] >= WALKS // 20 for name in SEEN), seen


def test_a_settle_of_a_claim_that_was_overtaken_would_be_noticed() -> None:
    world = TwoClaimants()
    world.a_task_is_submitted_or_only_sent("queued")
    world.one_claims("a", "done", False)
    world.time_passes(LEASE)
    world.one_claims("b", "done", False)
    [lost, held] = [side.holds for side in world.sides.values()]
    assert lost is not None
    assert held is not None
    verdict = judge(
        Returned("1"), attempts=0, policy=POLICY, cancel_asked=False, now=EPOCH, dice=0.5
    )
    assert isinstance(verdict, Complete)
    entry = Entry(1, "a", world.now, "ended")
    # What the loser would write if it were not fenced: the winner's number in its place.
    statement = WRITE.settle(held, verdict, entry, grace=GRACE, retention=RETENTION)
    with pytest.raises(AssertionError, match="overtaken"):
        world.apply(Write("settle", statement, world.now, lost.claim_no, verdict=verdict))
