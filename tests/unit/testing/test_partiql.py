from __future__ import annotations

import pytest

from ftq.lifecycle import State
from ftq.settlement import Cancel, Cause, Complete, Counter, DeadLetter, Release, RetryAt
from ftq.task import Entry, Task, failure
from ftq.testing.partiql import (
    Insert,
    Malformed,
    Update,
    applied,
    holds,
    inserted,
    key_value,
    parse,
)
from ftq.wire.claimant import Claimant
from ftq.wire.item import Item, Value
from ftq.wire.statements import Statement, Statements

TASK = Task(id="t1", type="a", queue="q", state=State.QUEUED, claim_no=1)
WHO = Claimant("d1", "token", 1, 2)


def n(value: int | str) -> Value:
    return {"N": str(value)}


def s(value: str) -> Value:
    return {"S": value}


def update(text: str) -> Update:
    parsed = parse(text)
    assert isinstance(parsed, Update)
    return parsed


def everything_that_ftq_writes() -> list[Statement]:
    to, oops = Statements("tasks"), failure("exception", "E", "x")
    verdicts = (
        Complete("1"),
        RetryAt(1, Counter.ATTEMPTS, oops),
        DeadLetter(Cause.REJECTED, Counter.ATTEMPTS, oops),
        Release(),
        Cancel(),
    )
    end = Entry(1, "d1", 1, "ended")
    return [
        to.claim("t1", WHO),
        to.insert(TASK, WHO),
        to.revive(TASK, 1, WHO),
        to.redrive(TASK, "op", 1, 1),
        to.beat("t1", 1, 2),
        to.beat("t1", 1, 2, ()),
        to.progress("t1", 1, "1", 1),
        to.cancel(TASK, "op", 1, 1),
        to.ask_cancel(TASK, 1),
        to.sweep(TASK, "open#00", 1, 2, sends=True),
        to.sweep(TASK, "open#00", 1, 2, sends=False),
        to.hurry(TASK, 1),
        to.renew_beside("t1", 1, 2),
        *(to.settle(TASK, verdict, end, grace=1, retention=1) for verdict in verdicts),
    ]


@pytest.mark.parametrize("statement", everything_that_ftq_writes(), ids=str)
def test_it_reads_everything_that_ftq_writes(statement: Statement) -> None:
    text, parameters = statement.request["Statement"], statement.request["Parameters"]
    assert isinstance(text, str)
    assert isinstance(parameters, list)
    parsed = parse(text)
    assert parsed.table == "tasks"
    assert key_value(parsed, "id", parameters) == "t1"


def test_a_statement_is_read_once() -> None:
    text = 'UPDATE "t" SET "a"=? WHERE "id"=?'
    assert parse(text) is parse(text)


def test_an_update_is_read_clause_by_clause() -> None:
    text = (
        'update "t" SET "n"="n"+2 SET "a"=? REMOVE "b" set "c" = ? '
        'WHERE "id"=? AND "x"<=? RETURNING ALL OLD *'
    )
    where = (("id", "="), ("x", "<="))
    assert parse(text) == Update("t", (("n", 2),), ("a", "c"), ("b",), where, returning=True)


def test_an_insert_is_read_name_by_name() -> None:
    assert parse("""INSERT INTO "t" VALUE {'id':?, 'a':?}""") == Insert("t", ("id", "a"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT * FROM tasks",
        'DELETE FROM "t" WHERE "id"=?',
        'UPDATE t SET "a"=? WHERE "id"=?',
        'UPDATE "t" SET a=? WHERE "id"=?',
        'UPDATE "t" SET "a"=? WHERE "id"=\'t1\'',
        'UPDATE "t" SET "a"=1 WHERE "id"=?',
        'UPDATE "t" SET "a"=? , "b"=? WHERE "id"=?',
        'UPDATE "t" SET "a"="b"+1 WHERE "id"=?',
        'UPDATE "t" SET "a"="a"+? WHERE "id"=?',
        'UPDATE "t" SET "a"=if_not_exists("a",?) WHERE "id"=?',
        'UPDATE "t" SET "a"=? WHERE "id"=? OR "b"=?',
        'UPDATE "t" SET "a"=? WHERE "id"=? AND "b">?',
        'UPDATE "t" SET "a"=? WHERE "id"=? AND "b" IS MISSING',
        'UPDATE "t" SET "a"=? WHERE',
        'UPDATE "t" SET "a"=?',
        'UPDATE "t" WHERE "id"=?',
        'UPDATE "t" SET "a"=? WHERE "id"=? RETURNING ALL NEW *',
        'UPDATE "t" SET "a"=? WHERE "id"=? trailing',
        'UPDATE "t" SET "a"=? SET "a"=? WHERE "id"=?',
        'UPDATE "t" SET "a"=? REMOVE "a" WHERE "id"=?',
        "INSERT INTO \"t\" VALUE {'id':?,'id':?}",
        "INSERT INTO \"t\" VALUE {'id':1}",
        'INSERT INTO "t" VALUE {}',
    ],
)
def test_it_refuses_everything_else(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ('UPDATE "t" SET "a"=? WHERE "b"=?', [s("x"), s("t1")]),
        ('UPDATE "t" SET "a"=? WHERE "id"<=?', [s("x"), s("t1")]),
        ('UPDATE "t" SET "a"=? WHERE "id"=? AND "id"=?', [s("x"), s("t1"), s("t1")]),
        ('UPDATE "t" SET "a"=? WHERE "id"=?', [s("x"), n(1)]),
        ('UPDATE "t" SET "a"=? WHERE "id"=?', [s("x"), s("")]),
        ('UPDATE "t" SET "a"=? WHERE "id"=?', [s("t1")]),
        ('UPDATE "t" SET "a"=? WHERE "id"=?', [s("x"), s("t1"), s("y")]),
        ('UPDATE "t" SET "id"=? WHERE "id"=?', [s("x"), s("t1")]),
        ('UPDATE "t" REMOVE "id" WHERE "id"=?', [s("t1")]),
        ("INSERT INTO \"t\" VALUE {'a':?}", [s("t1")]),
    ],
)
def test_a_statement_names_exactly_one_item_and_never_writes_its_key(
    text: str, parameters: list[Value]
) -> None:
    with pytest.raises(Malformed):
        key_value(parse(text), "id", parameters)


@pytest.mark.parametrize(
    ("value", "at_most", "held"),
    [
        (n(9), n(10), True),
        (n(10), n(10), True),
        (n("10.5"), n(10), False),
        (n(-1), n(0), True),
        (n(10**20 + 1), n(10**20), False),
        (s("a"), s("b"), True),
        (s("\U0001f600"), s("\uffff"), False),
        (s("9"), n(10), False),
        (n(9), s("a"), False),
    ],
)
def test_values_are_compared_within_their_type(value: Value, at_most: Value, held: bool) -> None:
    statement = update('UPDATE "t" SET "a"=? WHERE "id"=? AND "x"<=?')
    item: Item = {"id": s("t1"), "x": value}
    assert holds(statement, item, [s("new"), s("t1"), at_most]) is held


def test_a_condition_on_a_missing_attribute_does_not_hold() -> None:
    statement = update('UPDATE "t" SET "a"=? WHERE "id"=? AND "x"<=?')
    assert not holds(statement, {"id": s("t1")}, [s("new"), s("t1"), n(1)])


def test_an_update_leaves_the_item_it_read_alone() -> None:
    statement = update('UPDATE "t" SET "n"="n"+1 SET "a"=? REMOVE "b" WHERE "id"=?')
    old: Item = {"id": s("t1"), "n": n(9), "b": s("x"), "c": s("kept")}
    before = dict(old)
    new = applied(statement, old, [s("new"), s("t1")])
    assert new == {"id": s("t1"), "n": n(10), "a": s("new"), "c": s("kept")}
    assert old == before


@pytest.mark.parametrize("item", [{"id": s("t1")}, {"id": s("t1"), "n": s("9")}])
def test_nothing_is_added_to_what_is_no_number(item: Item) -> None:
    statement = update('UPDATE "t" SET "n"="n"+1 WHERE "id"=?')
    with pytest.raises(Malformed):
        applied(statement, item, [s("t1")])


def test_removing_what_is_not_there_is_fine() -> None:
    statement = update('UPDATE "t" REMOVE "b" WHERE "id"=?')
    assert applied(statement, {"id": s("t1")}, [s("t1")]) == {"id": s("t1")}


def test_an_insert_makes_its_item() -> None:
    parsed = parse("""INSERT INTO "t" VALUE {'id':?,'a':?}""")
    assert isinstance(parsed, Insert)
    assert inserted(parsed, [s("t1"), n(1)]) == {"id": s("t1"), "a": n(1)}
