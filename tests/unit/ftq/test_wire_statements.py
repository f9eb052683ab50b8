"""`ftq.wire.statements`: one builder for each legal write of a record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.errors import IllegalTransition
from ftq.lifecycle import FINAL, OPEN, TRANSITIONS, Move, State
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
from ftq.task import Entry, Task, bucket_of, failure
from ftq.testing.dynamodb import MemoryDynamo
from ftq.wire import create
from ftq.wire.claimant import Claimant, claimed, revived
from ftq.wire.item import Value, number, read_task, text, to_item
from ftq.wire.statements import Statement, Statements
from ftq.wire.table import Duplicate, Refused, Result, Written, execute, put, read_execute

NOW = 1_800_000_000_000
GRACE, RETENTION = 900_000, 30 * 24 * 3_600_000
WRITE = Statements("tasks")
WHO = Claimant("d1", "k1", NOW, NOW + 59_000)
FAILED = failure("exception", "KeyError", "'a'")
ENTRY = Entry(3, "d1", NOW, "ended", "KeyError", 12)
VERDICTS: dict[str, Settlement] = {
    "complete": Complete('{"ok":1}'),
    "retry": RetryAt(NOW + 5000, Counter.ATTEMPTS, FAILED),
    "retry, uncounted": RetryAt(NOW + 5000, Counter.RELEASES, FAILED),
    "dead letter": DeadLetter(Cause.REJECTED, Counter.ATTEMPTS, FAILED),
    "quarantine": DeadLetter(Cause.CRASH_LOOP, Counter.RELEASES, FAILED),
    "release": Release(),
    "cancel": Cancel(),
}


def record(state: State, task_id: str = "t1") -> Task:
    """A record in some state; one that runs does so on a lease that is over."""
    return Task(
        task_id,
        "email.send",
        "https://queue",
        state,
        claim_no=3,
        attempts=1,
        free_at=0 if state in FINAL else NOW - 10,
        claimed_by="d0",
        claim_token="k0",
        due_at=NOW - 5,
        sent_at=NOW - 900_000,
        sweeps=1,
        expires_at=NOW // 1000 + 9 if state in FINAL else 0,
        payload="{}",
        last_error=FAILED,
        history=(Entry(2, "d0", 7, "raised"),),
    )


def settled(verdict: Settlement) -> Callable[[Task], Statement]:
    return lambda task: WRITE.settle(task, verdict, ENTRY, grace=GRACE, retention=RETENTION)


# Each builder as a caller uses it that has read this record.
BUILDERS: dict[str, Callable[[Task], Statement]] = {
    "claim": lambda task: WRITE.claim(task.id, WHO),
    "insert": lambda task: WRITE.insert(task, WHO),
    "revive": lambda task: WRITE.revive(task, GRACE, WHO),
    "redrive": lambda task: WRITE.redrive(task, "api", NOW, GRACE),
    "beat": lambda task: WRITE.beat(task.id, task.claim_no, NOW + 59_000),
    "lapse": lambda task: WRITE.lapse(task, ENTRY),
    "disown": lambda task: WRITE.disown(task.id, task.claim_token, NOW),
    "beat, history": lambda task: WRITE.beat(task.id, task.claim_no, NOW + 59_000, task.history),
    "progress": lambda task: WRITE.progress(task.id, task.claim_no, '"half"', NOW),
    "cancel": lambda task: WRITE.cancel(task, "api", NOW, RETENTION),
    "ask_cancel": lambda task: WRITE.ask_cancel(task, NOW),
    "sweep, sends": lambda task: WRITE.sweep(
        task, bucket_of(task.id, task.state), NOW, NOW + 9, sends=True
    ),
    "sweep": lambda task: WRITE.sweep(
        task, bucket_of(task.id, task.state), NOW, NOW + 9, sends=False
    ),
    "hurry": lambda task: WRITE.hurry(task, NOW),
    "renew_beside": lambda task: WRITE.renew_beside(task.id, 5, 9),
    **{f"settle, {name}": settled(verdict) for name, verdict in VERDICTS.items()},
}
UPDATES = [name for name in BUILDERS if name != "insert"]

# The moves of each builder that moves at all: everything else leaves the state as it is.
MOVES: dict[str, Move] = {
    "claim": Move.CLAIM,
    "revive": Move.REVIVE,
    "redrive": Move.REDRIVE,
    "disown": Move.RELEASE,
    "cancel": Move.CANCEL,
    "sweep, sends": Move.PROMOTE,
    **{f"settle, {name}": verdict.move for name, verdict in VERDICTS.items()},
}


def built(name: str, task: Task) -> Statement | None:
    """The statement, or None where the builder itself refuses."""
    try:
        return BUILDERS[name](task)
    except IllegalTransition:
        return None


def words(statement: Statement) -> str:
    return str(statement.request["Statement"])


def parameters(statement: Statement) -> list[Value]:
    values = statement.request["Parameters"]
    assert isinstance(values, list)
    return values


@dataclass(frozen=True)
class Applied:
    """What a statement did to a table that held one record."""

    result: Result
    before: dict[str, Value]
    after: dict[str, Value]

    @property
    def written(self) -> bool:
        return isinstance(self.result, Written)

    @property
    def task(self) -> Task:
        task = read_task(self.after)
        assert task is not None
        return task


def applied(statement: Statement, stored: Task) -> Applied:
    dynamo = MemoryDynamo(lambda: NOW)
    dynamo.apply(create.table("tasks"))
    dynamo.apply(put("tasks", stored))
    [result] = read_execute(dynamo.apply(execute([statement])), 1)
    after = dynamo.tables["tasks"].get(stored.id)
    assert after is not None
    return Applied(result, to_item(stored), after)


# --- their form ------------------------------------------------------------------------------


def test_every_builder_is_among_the_cases() -> None:
    public = {name for name in vars(Statements) if not name.startswith("_")} - {"table"}
    assert {name.partition(",")[0] for name in BUILDERS} == public


CASES = [(name, state) for name, state in product(BUILDERS, State) if built(name, record(state))]


@pytest.mark.parametrize(("name", "state"), CASES)
def test_a_statement_has_as_many_parameters_as_places_for_them(name: str, state: State) -> None:
    statement = BUILDERS[name](record(state))
    assert words(statement).count("?") == len(parameters(statement))


WORDS = {"UPDATE", "SET", "REMOVE", "WHERE", "AND", "INSERT", "INTO", "VALUE"}
RETURNING = " RETURNING ALL OLD *"


@pytest.mark.parametrize(("name", "state"), CASES)
def test_a_statement_is_quoted_names_the_words_that_all_backends_share_and_places(
    name: str, state: State
) -> None:
    text_ = words(BUILDERS[name](record(state))).removesuffix(RETURNING)
    bare = re.sub(r'"[a-z_]+"|\'[a-z_]+\'', "", text_)
    assert set(re.findall(r"[A-Za-z_]+", bare)) <= WORDS
    assert re.fullmatch(r"[A-Z{}:,=<?+1 ]+", bare)


@pytest.mark.parametrize(("name", "state"), [case for case in CASES if case[0] != "insert"])
def test_an_update_names_its_one_item_by_the_key(name: str, state: State) -> None:
    statement = BUILDERS[name](record(state))
    head, _, where = words(statement).partition(' WHERE "id"=?')
    assert where == "" or where.startswith((" AND ", RETURNING))
    assert parameters(statement)[head.count("?")] == text("t1") == text(statement.key)
    assert '"id"' not in head
    assert statement.request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


HOSTILE = "x\"='?--; DROP {}"


@pytest.mark.parametrize(("name", "state"), CASES)
def test_no_value_gets_into_the_words(name: str, state: State) -> None:
    plain = record(state)
    hostile = replace(
        plain, id=HOSTILE, type=HOSTILE, queue=HOSTILE, claimed_by=HOSTILE, claim_token=HOSTILE
    )
    assert words(BUILDERS[name](hostile)) == words(BUILDERS[name](plain))
    assert applied(BUILDERS[name](hostile), hostile).result is not None


def test_the_claim_is_pinned() -> None:
    statement = WRITE.claim("t1", WHO)
    assert words(statement) == (
        'UPDATE "tasks" SET "claim_no"="claim_no"+1 SET "state"=? SET "free_at"=? '
        'SET "claimed_by"=? SET "claim_token"=? SET "updated_at"=? '
        'WHERE "id"=? AND "free_at"<=? RETURNING ALL OLD *'
    )
    assert parameters(statement) == [
        text("running"),
        number(NOW + 59_000),
        text("d1"),
        text("k1"),
        number(NOW),
        text("t1"),
        number(NOW),
    ]


@pytest.mark.parametrize(
    ("name", "state", "condition"),
    [
        ("beat", State.RUNNING, '"claim_no"=? AND "state"=? RETURNING ALL OLD *'),
        ("progress", State.RUNNING, '"claim_no"=? AND "state"=?'),
        *((f"settle, {each}", State.RUNNING, '"claim_no"=? AND "state"=?') for each in VERDICTS),
        ("redrive", State.DEAD, '"state"=? AND "claim_no"=?'),
        ("revive", State.DEAD, '"state"=? AND "claim_no"=? RETURNING ALL OLD *'),
        ("cancel", State.QUEUED, '"claim_no"=? AND "state"=?'),
        ("cancel", State.RUNNING, '"claim_no"=? AND "state"=? AND "free_at"<=?'),
        ("ask_cancel", State.RUNNING, '"claim_no"=? AND "state"=?'),
        ("sweep", State.QUEUED, '"bucket"=? AND "due_at"=? AND "state"=?'),
        ("sweep, sends", State.QUEUED, '"bucket"=? AND "due_at"=? AND "state"=?'),
        ("hurry", State.QUEUED, '"claim_no"=? AND "state"=? AND "due_at"=?'),
    ],
)
def test_the_condition_of_each_write_is_pinned(name: str, state: State, condition: str) -> None:
    text_ = words(BUILDERS[name](record(state)))
    assert text_.partition('WHERE "id"=? AND ')[2] == condition


# --- what they do ----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "stored"), list(product(UPDATES, State)))
def test_no_statement_makes_a_transition_that_the_table_does_not_have(
    name: str, stored: State
) -> None:
    # What was read may be older than what is stored, at the same claim.
    for statement in filter(None, (built(name, record(read)) for read in State)):
        done = applied(statement, record(stored))
        if not done.written:
            assert isinstance(done.result, Refused)
            assert done.result.current == record(stored)
            assert done.after == done.before
            continue
        move = MOVES.get(name)
        after = TRANSITIONS.get((stored, move), stored) if move else stored
        assert done.task.state is after
        if move and move is not Move.PROMOTE:
            assert (stored, move) in TRANSITIONS


@pytest.mark.parametrize(
    ("name", "state"),
    [
        *(("claim", state) for state in sorted(OPEN)),
        *((f"settle, {name}", State.RUNNING) for name in VERDICTS),
        ("revive", State.DEAD),
        ("redrive", State.DEAD),
        *(("cancel", state) for state in sorted(OPEN)),
        ("sweep, sends", State.SCHEDULED),
        ("beat", State.RUNNING),
        ("beat, history", State.RUNNING),
        ("progress", State.RUNNING),
        ("ask_cancel", State.RUNNING),
        ("sweep", State.QUEUED),
        ("hurry", State.QUEUED),
    ],
)
def test_each_write_is_made_where_it_is_meant_to_be(name: str, state: State) -> None:
    assert applied(BUILDERS[name](record(state)), record(state)).written


def test_every_transition_of_the_table_has_its_statement() -> None:
    made = {
        (state, move)
        for (name, move), state in product(MOVES.items(), State)
        if (statement := built(name, record(state)))
        and applied(statement, record(state)).written
        and (state, move) in TRANSITIONS
    }
    assert made == set(TRANSITIONS)


WRITES = [
    (name, state)
    for name, state in CASES
    if name != "insert" and applied(BUILDERS[name](record(state)), record(state)).written
]


@pytest.mark.parametrize(("name", "state"), WRITES)
def test_expires_at_and_free_at_tell_final_from_open(name: str, state: State) -> None:
    done = applied(BUILDERS[name](record(state)), record(state))
    assert ("expires_at" in done.after) is done.task.final
    assert ("free_at" in done.after) is not done.task.final
    assert done.after["bucket"] == text(bucket_of("t1", done.task.state))


@pytest.mark.parametrize(("name", "state"), WRITES)
def test_due_at_is_written_by_those_that_r2_names_and_by_no_other(name: str, state: State) -> None:
    due_at = applied(BUILDERS[name](record(state)), record(state)).task.due_at
    expected = {
        "settle, retry": NOW + 5000 + GRACE,
        "settle, retry, uncounted": NOW + 5000 + GRACE,
        "settle, complete": NOW,
        "settle, dead letter": NOW,
        "settle, quarantine": NOW,
        "settle, cancel": NOW,
        "cancel": NOW,
        "redrive": NOW + GRACE,
        "revive": NOW + GRACE,
        "sweep": NOW + 9,
        "sweep, sends": NOW + 9,
        "hurry": NOW,
    }
    assert due_at == expected.get(name, NOW - 5)


@pytest.mark.parametrize(("name", "state"), WRITES)
def test_the_claim_number_only_grows_and_only_by_a_claim(name: str, state: State) -> None:
    grown = applied(BUILDERS[name](record(state)), record(state)).task.claim_no - 3
    assert grown == (name in ("claim", "revive"))


@pytest.mark.parametrize("name", UPDATES)
def test_an_update_creates_no_record(name: str) -> None:
    dynamo = MemoryDynamo(lambda: NOW)
    dynamo.apply(create.table("tasks"))
    for state in State:
        if (statement := built(name, record(state))) is not None:
            [result] = read_execute(dynamo.apply(execute([statement])), 1)
            assert result == Refused(None, absent=True)
    assert dynamo.tables["tasks"].items() == {}


FENCED = ["beat", "progress", "cancel", "ask_cancel", "redrive", "revive", "hurry"]
FENCED += [f"settle, {name}" for name in VERDICTS]


@pytest.mark.parametrize("name", FENCED)
@pytest.mark.parametrize("claims", [2, 4])
def test_a_write_at_another_claim_than_the_records_is_refused(name: str, claims: int) -> None:
    for state in State:
        read = replace(record(state), claim_no=claims)
        if (statement := built(name, read)) is not None:
            assert not applied(statement, record(state)).written


@pytest.mark.parametrize("state", sorted(OPEN))
def test_a_record_that_is_not_free_yet_is_not_claimed(state: State) -> None:
    for free_at, granted in ((NOW, True), (NOW + 1, False)):
        stored = replace(record(state), free_at=free_at)
        assert applied(WRITE.claim("t1", WHO), stored).written is granted


def test_a_running_task_is_not_cancelled_under_its_holder() -> None:
    stored = replace(record(State.RUNNING), free_at=NOW + 1)
    assert not applied(WRITE.cancel(record(State.RUNNING), "api", NOW, 1), stored).written


@pytest.mark.parametrize("state", sorted(FINAL))
def test_what_has_ended_cannot_be_cancelled(state: State) -> None:
    with pytest.raises(IllegalTransition):
        WRITE.cancel(record(state), "api", NOW, RETENTION)
    with pytest.raises(IllegalTransition):
        WRITE.ask_cancel(record(state), NOW)


@pytest.mark.parametrize(
    "now_stored",
    [replace(record(State.QUEUED), due_at=1), replace(record(State.QUEUED), state=State.RUNNING)],
)
def test_a_sweep_of_what_has_moved_on_is_refused(now_stored: Task) -> None:
    seen = record(State.QUEUED)
    sweep = WRITE.sweep(seen, bucket_of("t1", State.QUEUED), NOW, NOW + 9, sends=True)
    assert applied(sweep, seen).written
    assert not applied(sweep, now_stored).written


# --- what is known of a record after its claim -------------------------------------------------


@pytest.mark.parametrize("state", sorted(OPEN))
def test_the_record_after_a_claim_is_what_the_claimant_takes_it_for(state: State) -> None:
    done = applied(WRITE.claim("t1", WHO), record(state))
    assert done.result == Written(record(state))
    assert done.task == claimed(record(state), WHO)


def test_the_record_after_a_revival_is_what_the_claimant_takes_it_for() -> None:
    dead = replace(record(State.DEAD), cancel_requested=7, past=1)
    done = applied(WRITE.revive(dead, GRACE, WHO), dead)
    assert done.result == Written(dead)
    assert done.task == revived(dead, WHO, GRACE)
    assert (done.task.crashes, done.task.attempts, done.task.past) == (0, 0, 3)


def test_an_inserted_record_is_what_the_claimant_takes_it_for() -> None:
    dynamo = MemoryDynamo(lambda: NOW)
    dynamo.apply(create.table("tasks"))
    fresh = Task("t1", "email.send", "https://queue", State.QUEUED, due_at=NOW, payload="{}")
    [result] = read_execute(dynamo.apply(execute([WRITE.insert(fresh, WHO)])), 1)
    assert result == Written(None)
    inserted = read_task(dynamo.tables["tasks"].get("t1"))
    assert inserted == claimed(fresh, WHO)
    assert (inserted.claim_no, inserted.crashes) == (1, 0)
    other = WRITE.insert(fresh, replace(WHO, token="k2"))
    assert read_execute(dynamo.apply(execute([other])), 1) == [Duplicate()]
    assert read_task(dynamo.tables["tasks"].get("t1")) == inserted


def test_a_claim_of_what_has_ended_cannot_be_imagined() -> None:
    for state in FINAL:
        with pytest.raises(IllegalTransition):
            claimed(record(state), WHO)


@pytest.mark.parametrize("name", sorted(VERDICTS))
def test_a_settle_writes_its_verdict_and_how_it_came_to_it(name: str) -> None:
    stored = replace(record(State.RUNNING), last_error=None)
    task = applied(settled(VERDICTS[name])(stored), stored).task
    assert task.history == (*stored.history, ENTRY)
    assert task.updated_at == NOW
    failed = "retry" in name or name in ("dead letter", "quarantine")
    assert task.last_error == (FAILED if failed else None)
    assert task.result == ('{"ok":1}' if name == "complete" else "")
    frees = {"release": 0, "retry": NOW + 5000, "retry, uncounted": NOW + 5000}
    assert task.free_at == frees.get(name, 0)
    if task.final:
        assert task.expires_at == (NOW + RETENTION) // 1000


def test_a_redrive_begins_a_new_life_and_says_who_did_it() -> None:
    dead = replace(record(State.DEAD), cancel_requested=7)
    task = applied(WRITE.redrive(dead, "api", NOW, GRACE), dead).task
    assert (task.past, task.attempts, task.releases, task.sweeps, task.crashes) == (3, 0, 0, 0, 0)
    assert (task.free_at, task.sent_at, task.cancel_requested) == (0, NOW, 0)
    assert task.history[-1] == Entry(3, "api", NOW, "redriven")


def test_a_lapse_ends_the_lease_counts_nothing_and_says_why() -> None:
    stored = record(State.RUNNING)
    task = applied(WRITE.lapse(stored, ENTRY), stored).task
    assert task == replace(
        stored, free_at=ENTRY.at, updated_at=ENTRY.at, history=(*stored.history, ENTRY)
    )


def test_a_claim_is_disowned_by_its_token_and_counts_as_given_back() -> None:
    stored = record(State.RUNNING)
    task = applied(WRITE.disown("t1", stored.claim_token, NOW), stored).task
    assert (task.state, task.free_at) == (State.QUEUED, 0)
    assert (task.releases, task.crashes) == (stored.releases + 1, stored.crashes)
    refused = applied(WRITE.disown("t1", "another", NOW), stored)
    assert isinstance(refused.result, Refused)
    assert refused.task == stored


def test_orphaned_claims_are_given_back_with_the_one_that_finds_them() -> None:
    stored = record(State.RUNNING)
    task = applied(settled(Release(claims=3))(stored), stored).task
    assert (task.state, task.releases) == (State.QUEUED, stored.releases + 3)


def test_a_beat_renews_the_lease_and_brings_the_record() -> None:
    stored = replace(record(State.RUNNING), cancel_requested=7)
    history = (Entry(2, "d0", 5, "crashed"),)
    done = applied(WRITE.beat("t1", 3, NOW + 7, history), stored)
    assert done.result == Written(stored)
    assert done.task == replace(stored, free_at=NOW + 7, history=history)


@given(st.sampled_from(sorted(BUILDERS)), st.sampled_from(list(State)), st.from_type(Task))
def test_any_record_at_all_gives_legal_parameters(name: str, state: State, task: Task) -> None:
    statement = built(name, replace(task, state=state))
    if statement is None:
        return
    assert words(statement).count("?") == len(parameters(statement))
    for value in parameters(statement):
        [(kind, held)] = value.items()
        assert kind == "S" or str(int(held)) == held
