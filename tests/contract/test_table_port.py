"""What every table does, by the statements and calls of `ftq.wire`: the rules of the protocol
that the table itself enforces."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from ftq.errors import CallRefused
from ftq.lifecycle import FINAL, State
from ftq.ports import Call
from ftq.refusal import Ours, refuse
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
from ftq.wire import table
from ftq.wire.claimant import Claimant
from ftq.wire.item import read_task, text
from ftq.wire.statements import Statement, Statements
from ftq.wire.table import Duplicate, Failed, Refused, Written
from tests.contract.stages import Backend, TableStage, on_tables

NOW: Final = 1_800_000_000_000
LEASE: Final = 59_000
GRACE: Final = 900_000
RETENTION: Final = 30 * 24 * 3600 * 1000
OOPS: Final = failure("exception", "ValueError", "it is “broken” 😀")

SETTLEMENTS: Final[dict[str, Settlement]] = {
    "complete": Complete('{"sent":true}'),
    "retry, counted": RetryAt(NOW + 5_000, Counter.ATTEMPTS, OOPS),
    "retry, not counted": RetryAt(NOW + 5_000, Counter.RELEASES, OOPS),
    "dead, counted": DeadLetter(Cause.ATTEMPTS_SPENT, Counter.ATTEMPTS, OOPS),
    "dead, not counted": DeadLetter(Cause.CRASH_LOOP, Counter.RELEASES, OOPS),
    "release": Release(),
    "cancel": Cancel(),
}
ENDINGS: Final[dict[State, Settlement]] = {
    State.SUCCEEDED: Complete("1"),
    State.DEAD: DeadLetter(Cause.PERMANENT, Counter.ATTEMPTS, OOPS),
    State.CANCELLED: Cancel(),
}


def queued(task_id: str = "t1", **changes: object) -> Task:
    task = Task(
        id=task_id,
        type="email.send",
        queue="https://queue.example/q",
        state=State.QUEUED,
        fingerprint="f" * 64,
        correlation_id="c1",
        created_at=NOW - 1_000,
        updated_at=NOW - 1_000,
        sent_at=NOW - 1_000,
        due_at=NOW + GRACE,
        payload='{"to":"ä€😀"}',
    )
    return replace(task, **changes)  # type: ignore[arg-type]  # fields of several types


def claimant(by: str = "d1", now: int = NOW, token: str = "") -> Claimant:
    return Claimant(by, token or f"token-{by}-{now}", now, now + LEASE)


def entry(task: Task, outcome: str = "ended", at: int = NOW + 100) -> Entry:
    return Entry(task.claim_no, task.claimed_by, at, outcome, "", 100)


def settle(to: Statements, task: Task, verdict: Settlement, at: int = NOW + 100) -> Statement:
    return to.settle(task, verdict, entry(task, at=at), grace=GRACE, retention=RETENTION)


async def running(
    stage: TableStage, who: Claimant | None = None, before: Task | None = None
) -> Task:
    """A record with a claim in it, as its holder knows it."""
    task = before or queued()
    await stage.put(task)
    await stage.written(stage.statements.claim(task.id, who or claimant()))
    return await stage.record(task.id)


async def ended(stage: TableStage, state: State, before: Task | None = None) -> Task:
    """A final record."""
    task = await running(stage, before=before)
    await stage.written(settle(stage.statements, task, ENDINGS[state]))
    return await stage.record(task.id)


# --- put and get -----------------------------------------------------------------------------


@on_tables
async def test_a_record_comes_back_as_it_was_put(stage: TableStage) -> None:
    history = (Entry(1, "d1", NOW, "retry", "ValueError", 12),)
    task = queued(tenant="acme", past=3, claim_no=4, attempts=1, last_error=OOPS, history=history)
    await stage.put(task)
    assert await stage.get("t1") == task


@on_tables
async def test_a_trace_is_kept_through_every_write_and_absent_where_there_is_none(
    stage: TableStage,
) -> None:
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    task = await ended(stage, State.DEAD, before=queued(trace=header))
    assert task.trace == header
    await stage.written(stage.statements.redrive(task, "operator", NOW + 200, GRACE))
    again = await running(stage, before=queued(id="t2"))
    assert ((await stage.record("t1")).trace, again.trace) == (header, "")


@on_tables
async def test_a_record_that_is_not_there_is_none(stage: TableStage) -> None:
    assert await stage.get("nothing") is None


@on_tables
async def test_a_second_put_is_refused_and_brings_the_stored_record(stage: TableStage) -> None:
    first = queued()
    await stage.put(first)
    with pytest.raises(CallRefused) as refused:
        await stage.put(queued(fingerprint="other"))
    assert refused.value.code == table.CONDITION_FAILED
    assert read_task(refused.value.item) == first == await stage.get("t1")


@on_tables
async def test_racing_puts_have_one_winner(stage: TableStage) -> None:
    puts = [stage.put(queued(fingerprint=str(n))) for n in range(8)]
    answers = await asyncio.gather(*puts, return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1
    assert sum(isinstance(answer, CallRefused) for answer in answers) == 7


@on_tables
async def test_a_large_item_is_stored_whole_and_a_larger_one_not_at_all(stage: TableStage) -> None:
    large = "ä" * 50_000 + "x" * 300_000
    await stage.put(queued("large", payload=large))
    assert (await stage.record("large")).payload == large
    with pytest.raises(CallRefused) as refused:
        # Bytes of UTF-8 count, not characters.
        await stage.put(queued("larger", payload=large + "ä" * 10_000))
    assert refused.value.code == "ValidationException"
    assert await stage.get("larger") is None


@on_tables
async def test_an_update_that_makes_an_item_too_large_is_not_applied(stage: TableStage) -> None:
    task = await running(stage)
    (result,) = await stage.execute(settle(stage.statements, task, Complete("x" * 420_000)))
    assert isinstance(result, Failed)
    assert not result.transient
    assert await stage.get("t1") == task


@on_tables
async def test_a_large_payload_is_kept_beside_the_record(stage: TableStage) -> None:
    key, payload = "t1#payload#ffff", '"' + "x" * 250_000 + '"'
    await stage.port.call(table.put_beside(stage.table, key, payload, 1_900_000_000))
    found = table.read_beside(await stage.port.call(table.get(stage.table, key)))
    assert found == table.Beside(payload, 1_900_000_000)
    with pytest.raises(CallRefused) as refused:
        await stage.port.call(table.put_beside(stage.table, key, payload, 1_900_000_001))
    assert refused.value.code == table.CONDITION_FAILED
    assert await stage.get(key) is None


@on_tables
async def test_a_large_payload_is_renewed_by_who_saw_it_last(stage: TableStage) -> None:
    await stage.port.call(table.put_beside(stage.table, "k#payload#f", "1", 100))
    renew = stage.statements.renew_beside("k#payload#f", 100, 200)
    assert isinstance(await stage.one(renew), Written)
    again = await stage.one(stage.statements.renew_beside("k#payload#f", 100, 300))
    assert again == Refused(None, absent=False)
    found = table.read_beside(await stage.port.call(table.get(stage.table, "k#payload#f")))
    assert found == table.Beside("1", 200)


@on_tables
async def test_an_index_key_is_never_empty(stage: TableStage) -> None:
    call = table.put(stage.table, queued())
    item = call.request["Item"]
    assert isinstance(item, dict)
    request = {**call.request, "Item": {**item, "bucket": text("")}}
    with pytest.raises(CallRefused):
        await stage.port.call(Call("dynamodb", "PutItem", request))


# --- R5: claim -------------------------------------------------------------------------------


@on_tables
async def test_a_claim_brings_the_record_as_it_was(stage: TableStage) -> None:
    task = queued()
    await stage.put(task)
    assert await stage.written(stage.statements.claim("t1", claimant())) == task


@on_tables
async def test_a_claim_is_numbered_and_says_who_holds_it_and_until_when(stage: TableStage) -> None:
    task = await running(stage, who=claimant("d7", token="secret"))
    assert (task.state, task.claim_no, task.free_at) == (State.RUNNING, 1, NOW + LEASE)
    assert (task.claimed_by, task.claim_token) == ("d7", "secret")
    assert (task.attempts, task.releases, task.crashes) == (0, 0, 0)
    assert task.due_at == NOW + GRACE


@on_tables
async def test_a_task_is_not_claimed_before_its_time(stage: TableStage) -> None:
    await stage.put(queued(free_at=NOW + 1))
    found = await stage.refused(stage.statements.claim("t1", claimant()))
    assert (found.state, found.free_at, found.claim_no) == (State.QUEUED, NOW + 1, 0)


@on_tables
async def test_a_task_is_claimed_in_the_very_millisecond_it_is_free(stage: TableStage) -> None:
    await stage.put(queued(free_at=NOW))
    await stage.written(stage.statements.claim("t1", claimant()))


@on_tables
async def test_times_are_compared_as_numbers_and_not_as_texts(stage: TableStage) -> None:
    await stage.put(queued(free_at=999))
    await stage.written(stage.statements.claim("t1", claimant(now=1_000)))


@on_tables
async def test_a_second_claimant_is_refused_and_sees_the_first(stage: TableStage) -> None:
    await running(stage, who=claimant("d1"))
    found = await stage.refused(stage.statements.claim("t1", claimant("d2", NOW + 10)))
    assert (found.claimed_by, found.free_at, found.claim_no) == ("d1", NOW + LEASE, 1)


@on_tables
async def test_a_claim_whose_reply_was_lost_is_known_by_its_token(stage: TableStage) -> None:
    await stage.put(queued())
    claim = stage.statements.claim("t1", claimant("d1", token="fresh"))
    await stage.written(claim)
    found = await stage.refused(claim)
    answer = refuse(
        found, token="fresh", stored=True, carried=None, visibility=LEASE, now=NOW, dice=0.0
    )
    assert answer == Ours()


@on_tables
async def test_a_lapsed_claim_is_taken_over_and_shows_who_lost_it(stage: TableStage) -> None:
    lost = await running(stage, who=claimant("d1"))
    old = await stage.written(stage.statements.claim("t1", claimant("d2", NOW + LEASE)))
    assert old == lost
    task = await stage.record("t1")
    assert (task.claim_no, task.claimed_by, task.crashes) == (2, "d2", 1)


@on_tables
async def test_a_claim_of_nothing_is_refused_and_creates_nothing(stage: TableStage) -> None:
    result = await stage.one(stage.statements.claim("nothing", claimant()))
    assert result == Refused(None, absent=True)
    assert await stage.get("nothing") is None


@on_tables
async def test_an_item_that_is_no_record_refuses_a_claim_and_is_not_absent(
    stage: TableStage,
) -> None:
    await stage.port.call(table.put_beside(stage.table, "t1", "1", 100))
    result = await stage.one(stage.statements.claim("t1", claimant()))
    assert result == Refused(None, absent=False)


@on_tables
async def test_racing_claims_have_one_winner_each(stage: TableStage) -> None:
    ids = [f"t{n}" for n in range(25)]
    await asyncio.gather(*(stage.put(queued(each)) for each in ids))
    racers = [
        stage.execute(*(stage.statements.claim(each, claimant(f"d{n}")) for each in ids))
        for n in range(8)
    ]
    answers = await asyncio.gather(*racers)
    for results in zip(*answers, strict=True):
        assert sum(isinstance(result, Written) for result in results) == 1
        assert sum(isinstance(result, Refused) for result in results) == 7


# --- R9: insert ------------------------------------------------------------------------------


@on_tables
async def test_a_first_claim_inserts_its_record_running(stage: TableStage) -> None:
    await stage.written(stage.statements.insert(queued(), claimant("d1", token="tk")))
    task = await stage.record("t1")
    assert (task.state, task.claim_no, task.claim_token) == (State.RUNNING, 1, "tk")
    assert (task.claimed_by, task.free_at) == ("d1", NOW + LEASE)
    await stage.refused(stage.statements.claim("t1", claimant("d2", NOW + 1)))


@on_tables
async def test_a_second_insert_is_a_duplicate_and_changes_nothing(stage: TableStage) -> None:
    task = await running(stage)
    result = await stage.one(stage.statements.insert(queued(), claimant("d2")))
    assert result == Duplicate()
    assert await stage.get("t1") == task


@on_tables
async def test_racing_inserts_have_one_winner(stage: TableStage) -> None:
    inserts = [stage.one(stage.statements.insert(queued(), claimant(f"d{n}"))) for n in range(8)]
    results = await asyncio.gather(*inserts)
    assert sum(isinstance(result, Written) for result in results) == 1
    assert sum(result == Duplicate() for result in results) == 7


# --- settle ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETTLEMENTS)
def test_a_settle_writes_its_verdict(table_backend: Backend, name: str) -> None:
    async def story(stage: TableStage) -> None:
        held = await running(stage)
        await stage.written(settle(stage.statements, held, SETTLEMENTS[name]))
        task = await stage.record("t1")
        assert task.history == (entry(held),)
        assert task.updated_at == NOW + 100
        assert (task.claim_no, task.payload) == (1, held.payload)
        match SETTLEMENTS[name]:
            case Complete(result):
                assert (task.state, task.result) == (State.SUCCEEDED, result)
            case RetryAt(at, _, failed):
                assert (task.state, task.free_at) == (State.RETRYING, at)
                assert (task.due_at, task.last_error) == (at + GRACE, failed)
            case DeadLetter(_, _, failed):
                assert (task.state, task.last_error) == (State.DEAD, failed)
            case Release():
                assert (task.state, task.free_at, task.due_at) == (State.QUEUED, 0, held.due_at)
            case Cancel():
                assert task.state is State.CANCELLED

    table_backend.play_table(story)


@pytest.mark.parametrize("name", SETTLEMENTS)
def test_each_settle_but_complete_adds_exactly_one(table_backend: Backend, name: str) -> None:
    async def story(stage: TableStage) -> None:
        await running(stage, who=claimant("crashed"))
        await stage.written(stage.statements.claim("t1", claimant("d2", NOW + LEASE)))
        held = await stage.record("t1")
        await stage.written(settle(stage.statements, held, SETTLEMENTS[name]))
        task = await stage.record("t1")
        added = (task.attempts - held.attempts) + (task.releases - held.releases)
        assert added == (0 if isinstance(SETTLEMENTS[name], Complete) else 1)
        assert task.crashes == held.crashes == 1

    table_backend.play_table(story)


@pytest.mark.parametrize("name", SETTLEMENTS)
def test_only_the_latest_claim_settles(table_backend: Backend, name: str) -> None:
    async def story(stage: TableStage) -> None:
        lost = await running(stage, who=claimant("d1"))
        await stage.written(stage.statements.claim("t1", claimant("d2", NOW + LEASE)))
        found = await stage.refused(settle(stage.statements, lost, SETTLEMENTS[name]))
        assert (found.claim_no, found.claimed_by) == (2, "d2")

    table_backend.play_table(story)


@pytest.mark.parametrize("name", SETTLEMENTS)
def test_a_settle_whose_reply_was_lost_finds_its_own_write(
    table_backend: Backend, name: str
) -> None:
    async def story(stage: TableStage) -> None:
        held = await running(stage)
        statement = settle(stage.statements, held, SETTLEMENTS[name])
        await stage.written(statement)
        found = await stage.refused(statement)
        assert found.claim_no == held.claim_no
        assert found.state is not State.RUNNING

    table_backend.play_table(story)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_record_is_never_free_and_has_an_end(table_backend: Backend, state: State) -> None:
    async def story(stage: TableStage) -> None:
        await ended(stage, state)
        reply = await stage.port.call(table.get(stage.table, "t1"))
        item = reply["Item"]
        assert isinstance(item, dict)
        assert "free_at" not in item
        assert item["expires_at"] == {"N": str((NOW + 100 + RETENTION) // 1000)}
        assert item["due_at"] == {"N": str(NOW + 100)}
        assert item["bucket"] == {"S": bucket_of("t1", state)}

    table_backend.play_table(story)


@pytest.mark.parametrize("name", ["retry, counted", "retry, not counted", "release"])
def test_an_open_record_never_has_an_end(table_backend: Backend, name: str) -> None:
    async def story(stage: TableStage) -> None:
        held = await running(stage)
        await stage.written(settle(stage.statements, held, SETTLEMENTS[name]))
        reply = await stage.port.call(table.get(stage.table, "t1"))
        item = reply["Item"]
        assert isinstance(item, dict)
        assert "expires_at" not in item
        assert item["bucket"] == {"S": bucket_of("t1", State.QUEUED)}

    table_backend.play_table(story)


@on_tables
async def test_a_released_task_is_claimed_at_once_and_a_retrying_one_in_time(
    stage: TableStage,
) -> None:
    held = await running(stage, before=queued("released"))
    await stage.written(settle(stage.statements, held, Release()))
    await stage.written(stage.statements.claim("released", claimant("d2", 1)))
    held = await running(stage, before=queued("retrying"))
    await stage.written(settle(stage.statements, held, SETTLEMENTS["retry, counted"]))
    await stage.refused(stage.statements.claim("retrying", claimant("d2", NOW + 4_999)))
    await stage.written(stage.statements.claim("retrying", claimant("d2", NOW + 5_000)))


# --- final is final --------------------------------------------------------------------------


def late_writes(to: Statements, held: Task, final: Task) -> list[Statement]:
    """Every write that somebody with an older view of the record, or the present one, may try."""
    writes = [
        to.claim(held.id, claimant("late", NOW + 10 * LEASE)),
        to.beat(held.id, held.claim_no, NOW + 10 * LEASE),
        to.progress(held.id, held.claim_no, "1", NOW),
        to.cancel(held, "op", NOW + 10 * LEASE, RETENTION),
        to.ask_cancel(held, NOW),
        to.hurry(held, NOW),
        to.hurry(queued(), NOW),
        to.sweep(held, bucket_of(held.id, held.state), NOW, NOW + 1, sends=True),
        to.sweep(queued(), bucket_of(held.id, State.QUEUED), NOW, NOW + 1, sends=False),
        *(settle(to, held, verdict) for verdict in SETTLEMENTS.values()),
    ]
    if final.state is not State.DEAD:
        writes.append(to.redrive(final, "op", NOW, GRACE))
        writes.append(to.revive(final, GRACE, claimant("late")))
    return writes


@pytest.mark.parametrize("state", sorted(FINAL))
def test_nothing_but_a_redrive_changes_a_final_record(table_backend: Backend, state: State) -> None:
    async def story(stage: TableStage) -> None:
        held = await running(stage)
        await stage.written(settle(stage.statements, held, ENDINGS[state]))
        final = await stage.record("t1")
        for statement in late_writes(stage.statements, held, final):
            assert await stage.refused(statement) == final, statement
        insert = await stage.one(stage.statements.insert(queued(), claimant("late")))
        assert insert == Duplicate()
        assert await stage.get("t1") == final

    table_backend.play_table(story)


# --- R3: redrive -----------------------------------------------------------------------------


@on_tables
async def test_a_redrive_gives_one_fresh_life(stage: TableStage) -> None:
    dead = await ended(stage, State.DEAD, queued(claim_no=4, attempts=1, releases=2, sweeps=3))
    later = NOW + 50_000
    await stage.written(stage.statements.redrive(dead, "op", later, GRACE))
    task = await stage.record("t1")
    assert (task.state, task.free_at, task.claim_no) == (State.QUEUED, 0, 5)
    assert (task.attempts, task.releases, task.sweeps, task.past) == (0, 0, 0, 5)
    assert (task.sent_at, task.due_at, task.expires_at) == (later, later + GRACE, 0)
    assert task.crashes == 0
    assert task.history[-1] == Entry(5, "op", later, "redriven")
    assert task.last_error == OOPS
    await stage.written(stage.statements.claim("t1", claimant("d2", later)))


@on_tables
async def test_a_redrive_forgets_that_it_was_to_be_cancelled(stage: TableStage) -> None:
    held = await running(stage)
    await stage.written(stage.statements.ask_cancel(held, NOW))
    await stage.written(settle(stage.statements, held, ENDINGS[State.DEAD]))
    dead = await stage.record("t1")
    assert dead.cancel_requested == NOW
    await stage.written(stage.statements.redrive(dead, "op", NOW, GRACE))
    assert (await stage.record("t1")).cancel_requested == 0


@on_tables
async def test_a_death_is_redriven_once(stage: TableStage) -> None:
    dead = await ended(stage, State.DEAD)
    redrive = stage.statements.redrive(dead, "op", NOW, GRACE)
    await stage.written(redrive)
    found = await stage.refused(redrive)
    assert (found.state, found.claim_no) == (State.QUEUED, dead.claim_no)
    # It dies again: the older death is still not to be redriven.
    await stage.written(stage.statements.claim("t1", claimant("d2")))
    held = await stage.record("t1")
    await stage.written(settle(stage.statements, held, ENDINGS[State.DEAD]))
    found = await stage.refused(redrive)
    assert (found.state, found.claim_no) == (State.DEAD, dead.claim_no + 1)
    await stage.refused(stage.statements.revive(dead, GRACE, claimant()))
    await stage.written(stage.statements.redrive(found, "op", NOW, GRACE))


@on_tables
async def test_racing_redrives_and_revivals_of_a_death_have_one_winner(stage: TableStage) -> None:
    dead = await ended(stage, State.DEAD)
    statements = [
        *(stage.statements.redrive(dead, f"op{n}", NOW, GRACE) for n in range(4)),
        *(stage.statements.revive(dead, GRACE, claimant(f"d{n}")) for n in range(4)),
    ]
    results = await asyncio.gather(*(stage.one(statement) for statement in statements))
    assert sum(isinstance(result, Written) for result in results) == 1
    assert sum(isinstance(result, Refused) for result in results) == 7


@on_tables
async def test_a_dead_letter_that_comes_back_is_claimed_at_its_death(stage: TableStage) -> None:
    dead = await ended(stage, State.DEAD, queued(claim_no=4, attempts=1, releases=2, sweeps=3))
    who = claimant("d2", NOW + 50_000, token="tk")
    old = await stage.written(stage.statements.revive(dead, GRACE, who))
    assert old == dead
    task = await stage.record("t1")
    assert (task.state, task.claim_no, task.free_at) == (State.RUNNING, 6, who.lease_end)
    assert (task.claimed_by, task.claim_token) == ("d2", "tk")
    assert (task.attempts, task.releases, task.sweeps, task.past) == (0, 0, 0, 5)
    assert task.crashes == 0
    assert (task.expires_at, task.due_at) == (0, who.now + GRACE)
    assert task.history == (*dead.history, Entry(5, "d2", who.now, "redriven"))
    await stage.refused(stage.statements.redrive(dead, "op", NOW, GRACE))


@on_tables
async def test_a_revival_at_another_death_is_refused(stage: TableStage) -> None:
    dead = await ended(stage, State.DEAD)
    for claim_no in (dead.claim_no - 1, dead.claim_no + 1):
        other = replace(dead, claim_no=claim_no)
        await stage.refused(stage.statements.revive(other, GRACE, claimant()))


@on_tables
async def test_a_redrive_of_nothing_creates_nothing(stage: TableStage) -> None:
    dead = queued(state=State.DEAD, claim_no=1)
    redrive = stage.statements.redrive(dead, "op", NOW, GRACE)
    assert await stage.one(redrive) == Refused(None, absent=True)
    revive = stage.statements.revive(dead, GRACE, claimant())
    assert await stage.one(revive) == Refused(None, absent=True)
    assert await stage.get("t1") is None


# --- R13, R17: beat --------------------------------------------------------------------------


@on_tables
async def test_a_beat_renews_the_lease_and_brings_the_record(stage: TableStage) -> None:
    held = await running(stage)
    old = await stage.written(stage.statements.beat("t1", 1, NOW + 2 * LEASE))
    assert old == held
    task = await stage.record("t1")
    assert task == replace(held, free_at=NOW + 2 * LEASE)
    await stage.refused(stage.statements.claim("t1", claimant("d2", NOW + LEASE)))


@on_tables
async def test_a_beat_of_a_claim_that_was_lost_is_refused(stage: TableStage) -> None:
    await running(stage, who=claimant("d1"))
    await stage.written(stage.statements.claim("t1", claimant("d2", NOW + LEASE)))
    found = await stage.refused(stage.statements.beat("t1", 1, NOW + 9 * LEASE))
    assert (found.claimed_by, found.claim_no) == ("d2", 2)


@on_tables
async def test_a_beat_brings_the_word_that_the_task_is_to_be_cancelled(stage: TableStage) -> None:
    held = await running(stage)
    await stage.written(stage.statements.ask_cancel(held, NOW + 5))
    old = await stage.written(stage.statements.beat("t1", 1, NOW + 2 * LEASE))
    assert old is not None
    assert old.cancel_requested == NOW + 5


@on_tables
async def test_a_beat_may_write_the_history_of_a_crash(stage: TableStage) -> None:
    await running(stage)
    history = (Entry(1, "crashed", NOW, "crashed"),)
    await stage.written(stage.statements.beat("t1", 1, NOW + LEASE, history))
    assert (await stage.record("t1")).history == history


@on_tables
async def test_progress_is_written_by_the_holder_alone(stage: TableStage) -> None:
    await running(stage)
    await stage.written(stage.statements.progress("t1", 1, '{"done":1}', NOW + 1))
    assert (await stage.record("t1")).progress == '{"done":1}'
    await stage.refused(stage.statements.progress("t1", 2, '{"done":2}', NOW + 2))


# --- R19: cancel -----------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.QUEUED, State.SCHEDULED, State.RETRYING])
def test_a_waiting_task_is_cancelled_at_once(table_backend: Backend, state: State) -> None:
    async def story(stage: TableStage) -> None:
        seen = queued(state=state, free_at=NOW + 5_000)
        await stage.put(seen)
        await stage.written(stage.statements.cancel(seen, "op", NOW, RETENTION))
        task = await stage.record("t1")
        assert (task.state, task.free_at) == (State.CANCELLED, 0)
        assert task.history == (Entry(0, "op", NOW, "cancelled"),)
        assert task.expires_at == (NOW + RETENTION) // 1000
        await stage.refused(stage.statements.claim("t1", claimant(now=NOW + 10_000)))

    table_backend.play_table(story)


@on_tables
async def test_a_cancel_holds_only_for_what_was_read(stage: TableStage) -> None:
    seen = queued()
    await stage.put(seen)
    await stage.written(stage.statements.claim("t1", claimant()))
    await stage.refused(stage.statements.cancel(seen, "op", NOW, RETENTION))
    held = await stage.record("t1")
    await stage.written(settle(stage.statements, held, Release()))
    # Queued again, but one claim later.
    await stage.refused(stage.statements.cancel(seen, "op", NOW, RETENTION))


@on_tables
async def test_a_running_task_is_cancelled_only_when_its_lease_is_over(stage: TableStage) -> None:
    held = await running(stage)
    await stage.refused(stage.statements.cancel(held, "op", NOW + LEASE - 1, RETENTION))
    await stage.written(stage.statements.cancel(held, "op", NOW + LEASE, RETENTION))
    await stage.refused(settle(stage.statements, held, Complete("1")))


@on_tables
async def test_a_lease_renewed_in_between_saves_a_task_from_the_cancel(stage: TableStage) -> None:
    held = await running(stage)
    await stage.written(stage.statements.beat("t1", 1, NOW + 3 * LEASE))
    await stage.refused(stage.statements.cancel(held, "op", NOW + LEASE, RETENTION))


@on_tables
async def test_asking_to_cancel_reaches_only_the_claim_that_was_read(stage: TableStage) -> None:
    held = await running(stage, who=claimant("d1"))
    await stage.written(stage.statements.claim("t1", claimant("d2", NOW + LEASE)))
    await stage.refused(stage.statements.ask_cancel(held, NOW))


@on_tables
async def test_a_claim_sees_that_its_task_is_to_be_cancelled(stage: TableStage) -> None:
    held = await running(stage)
    await stage.written(stage.statements.ask_cancel(held, NOW + 5))
    old = await stage.written(stage.statements.claim("t1", claimant("d2", NOW + LEASE)))
    assert old is not None
    assert old.cancel_requested == NOW + 5


# --- R2: sweep -------------------------------------------------------------------------------

OPEN: Final = bucket_of("t1", State.QUEUED)


@on_tables
async def test_a_sweep_marks_what_it_sends(stage: TableStage) -> None:
    seen = queued(due_at=NOW - 1)
    await stage.put(seen)
    await stage.written(stage.statements.sweep(seen, OPEN, NOW, NOW + GRACE, sends=True))
    expected = replace(seen, due_at=NOW + GRACE, sent_at=NOW, sweeps=1)
    assert await stage.get("t1") == expected


@on_tables
async def test_a_sweep_that_sends_nothing_moves_the_due_time_alone(stage: TableStage) -> None:
    seen = queued(due_at=NOW - 1, free_at=NOW + 5)
    await stage.put(seen)
    await stage.written(stage.statements.sweep(seen, OPEN, NOW, NOW + GRACE, sends=False))
    assert await stage.get("t1") == replace(seen, due_at=NOW + GRACE)


@on_tables
async def test_a_scheduled_task_is_promoted_by_the_sweep_that_sends_it(stage: TableStage) -> None:
    seen = queued(state=State.SCHEDULED, due_at=NOW - 1, free_at=NOW - 1)
    await stage.put(seen)
    await stage.written(stage.statements.sweep(seen, OPEN, NOW, NOW + 60_000, sends=True))
    assert (await stage.record("t1")).state is State.QUEUED


@on_tables
async def test_a_sweep_holds_only_for_what_was_seen(stage: TableStage) -> None:
    seen = queued(due_at=NOW - 1)
    await stage.put(seen)
    sweep = stage.statements.sweep
    others = [
        sweep(replace(seen, due_at=NOW - 2), OPEN, NOW, NOW + 1, sends=True),
        sweep(replace(seen, state=State.RETRYING), OPEN, NOW, NOW + 1, sends=True),
        sweep(seen, "open#99", NOW, NOW + 1, sends=True),
    ]
    for statement in others:
        await stage.refused(statement)
    await stage.written(sweep(seen, OPEN, NOW, NOW + GRACE, sends=True))
    await stage.refused(sweep(seen, OPEN, NOW, NOW + GRACE, sends=True))


@on_tables
async def test_a_sweep_of_nothing_creates_nothing(stage: TableStage) -> None:
    for sends in (True, False):
        statement = stage.statements.sweep(queued(), OPEN, NOW, NOW + 1, sends=sends)
        assert await stage.one(statement) == Refused(None, absent=True)
    assert await stage.get("t1") is None


@on_tables
async def test_a_failed_send_hurries_the_sweeper_unless_somebody_was_there(
    stage: TableStage,
) -> None:
    seen = queued()
    await stage.put(seen)
    await stage.written(stage.statements.hurry(seen, NOW))
    assert await stage.get("t1") == replace(seen, due_at=NOW)
    await stage.refused(stage.statements.hurry(seen, NOW + 1))
    await stage.written(stage.statements.claim("t1", claimant()))
    await stage.refused(stage.statements.hurry(replace(seen, due_at=NOW), NOW + 1))


# --- the index -------------------------------------------------------------------------------


async def overdue(
    stage: TableStage, bucket: str, *, limit: int = 100, want: int | None = None
) -> list[str]:
    """The ids of what is overdue in a bucket, page by page.

    An index is eventually consistent, so it is asked again until it has what is wanted.
    """
    found: list[str] = []
    for _ in range(50):
        found = []
        start = None
        while True:
            call = table.overdue(stage.table, bucket, NOW, limit, start)
            items, start = table.read_page(await stage.port.call(call))
            assert len(items) <= limit
            found += [str(item["id"]["S"]) for item in items if isinstance(item["id"], dict)]
            if start is None:
                break
        if want is None or len(found) == want:
            break
    return found


def in_one_bucket(count: int) -> list[str]:
    """Ids that share a bucket of the index."""
    ids = (f"t{n}" for n in range(100_000))
    alike = (each for each in ids if bucket_of(each, State.QUEUED) == OPEN)
    return [next(alike) for _ in range(count)]


@on_tables
async def test_what_is_overdue_comes_oldest_first_and_to_the_millisecond(stage: TableStage) -> None:
    first, second, third, fourth = in_one_bucket(4)
    await stage.put(queued(second, due_at=NOW - 5))
    await stage.put(queued(fourth, due_at=NOW + 1))
    await stage.put(queued(first, due_at=999))
    await stage.put(queued(third, due_at=NOW))
    assert await overdue(stage, OPEN, want=3) == [first, second, third]


@on_tables
async def test_pages_bring_each_task_once_even_if_many_are_due_at_once(stage: TableStage) -> None:
    ids = in_one_bucket(7)
    for each in ids:
        await stage.put(queued(each, due_at=NOW - 5))
    found = await overdue(stage, OPEN, limit=3, want=7)
    assert sorted(found) == sorted(ids)


@on_tables
async def test_the_index_carries_what_the_sweeper_and_the_lists_need(stage: TableStage) -> None:
    await stage.put(queued(due_at=NOW - 5, tenant="acme"))
    assert await overdue(stage, OPEN, want=1) == ["t1"]
    reply = await stage.port.call(table.overdue(stage.table, OPEN, NOW, 10))
    (item,), _ = table.read_page(reply)
    names = {"id", "bucket", "due_at", "type", "tenant", "queue", "created_at", "sent_at"}
    assert set(item) == names | {"sweeps"}


@on_tables
async def test_an_empty_bucket_has_no_page(stage: TableStage) -> None:
    reply = await stage.port.call(table.overdue(stage.table, OPEN, NOW, 10))
    assert table.read_page(reply) == ([], None)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_record_moves_to_another_bucket(table_backend: Backend, state: State) -> None:
    async def story(stage: TableStage) -> None:
        await stage.put(queued(due_at=NOW - 5))
        assert await overdue(stage, OPEN, want=1) == ["t1"]
        await stage.written(stage.statements.claim("t1", claimant(now=NOW - 1_000)))
        held = await stage.record("t1")
        await stage.written(settle(stage.statements, held, ENDINGS[state], at=NOW - 1))
        assert await overdue(stage, OPEN, want=0) == []
        assert await overdue(stage, bucket_of("t1", state), want=1) == ["t1"]

    table_backend.play_table(story)


# --- batches ---------------------------------------------------------------------------------


@on_tables
async def test_statements_of_a_batch_succeed_or_fail_one_by_one(stage: TableStage) -> None:
    await stage.put(queued("free"))
    await stage.put(queued("taken", free_at=NOW + 1))
    to = stage.statements
    broken = to.claim("broken", claimant())
    nonsense = Statement("broken", {**broken.request, "Statement": "UPDATE nonsense"})
    results = await stage.execute(
        to.claim("taken", claimant()),
        nonsense,
        to.claim("free", claimant()),
        to.claim("absent", claimant()),
        to.insert(queued("new"), claimant()),
    )
    assert isinstance(results[0], Refused)
    assert isinstance(results[1], Failed)
    assert (results[1].code, results[1].transient) == ("ValidationError", False)
    assert results[2] == Written(queued("free"))
    assert results[3] == Refused(None, absent=True)
    assert results[4] == Written(None)


@on_tables
async def test_a_batch_has_up_to_25_statements(stage: TableStage) -> None:
    claims = [stage.statements.claim(f"t{n}", claimant()) for n in range(26)]
    assert await stage.execute(*claims[:25]) == [Refused(None, absent=True)] * 25
    with pytest.raises(CallRefused) as refused:
        await stage.execute(*claims)
    assert refused.value.code == "ValidationException"


@on_tables
async def test_a_batch_that_names_an_item_twice_is_refused_whole(stage: TableStage) -> None:
    await stage.put(queued())
    await stage.put(queued("t2"))
    claims = [stage.statements.claim(each, claimant()) for each in ("t1", "t2", "t1")]
    with stage.truth("one batch may not name an item twice"):
        with pytest.raises(CallRefused) as refused:
            await stage.execute(*claims)
        assert refused.value.code == "ValidationException"
        assert (await stage.record("t2")).claim_no == 0


@on_tables
async def test_adding_to_an_attribute_that_is_not_there_is_no_refusal(stage: TableStage) -> None:
    # Hence every number is there from the start (PROTOCOL: no `if_not_exists`).
    call = table.put(stage.table, queued())
    item = call.request["Item"]
    assert isinstance(item, dict)
    bare = {name: value for name, value in item.items() if name != "claim_no"}
    await stage.port.call(Call("dynamodb", "PutItem", {**call.request, "Item": bare}))
    result = await stage.one(stage.statements.claim("t1", claimant()))
    assert isinstance(result, Failed)
    assert not result.transient


@on_tables
async def test_a_table_that_is_not_there_fails_each_statement(stage: TableStage) -> None:
    missing = Statements(stage.table + "-missing")
    results = await stage.execute(missing.claim("t1", claimant()))
    assert isinstance(results[0], Failed)
    assert (results[0].code, results[0].transient) == ("ResourceNotFound", False)
    with pytest.raises(CallRefused) as refused:
        await stage.port.call(table.get(missing.table, "t1"))
    assert refused.value.code == "ResourceNotFoundException"
