"""Statements compiled once, by their text, into functions that test and write one item.

The texts that a worker sends are a handful; what changes is in the parameters. The shapes:

    UPDATE "t" SET "n"="n"+1 SET "a"=? REMOVE "b" WHERE "id"=? AND "x"<=? [RETURNING ALL OLD *]
    INSERT INTO "t" VALUE {'id':?,'a':?}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from benchmarks.stub.refusal import Refusal

Value: TypeAlias = dict[str, str]
Item: TypeAlias = dict[str, Value]
Holds: TypeAlias = Callable[[Item, Sequence[Value]], bool]
Apply: TypeAlias = Callable[[Item, Sequence[Value]], Item]

KEY: Final = "id"
_UPDATE: Final = re.compile(
    r'UPDATE "(?P<table>[^"]+)"(?P<changes>(?: SET "[^"]+"="[^"]+"\+\d+| SET "[^"]+"=\?'
    r'| REMOVE "[^"]+")+) WHERE (?P<where>"[^"]+"(?:=|<=)\?(?: AND "[^"]+"(?:=|<=)\?)*)'
    r"(?P<returning> RETURNING ALL OLD \*)?"
)
_INSERT: Final = re.compile(
    r"INSERT INTO \"(?P<table>[^\"]+)\" VALUE \{(?P<names>'[^']+':\?(?:,'[^']+':\?)*)\}"
)
_ADD: Final = re.compile(r'SET "([^"]+)"="([^"]+)"\+(\d+)')
_SET: Final = re.compile(r'SET "([^"]+)"=\?')
_REMOVE: Final = re.compile(r'REMOVE "([^"]+)"')
_CONDITION: Final = re.compile(r'"([^"]+)"(=|<=)\?')
_NAME: Final = re.compile(r"'([^']+)':\?")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement that is ready to run.

    Attributes:
        table: The table it names.
        inserts: Whether it makes an item rather than changing one.
        key_at: Which parameter is the item's key.
        state_at: Which parameter is written to `state`, or -1.
        moves: Whether it writes `bucket`, the key of the index.
        returning: Whether a success returns the item as it was.
        parameters: How many parameters it takes.
        holds: Tests the conditions on an item.
        apply: The item after it.
    """

    table: str
    inserts: bool
    key_at: int
    state_at: int
    moves: bool
    returning: bool
    parameters: int
    holds: Holds
    apply: Apply


def compile_statement(text: str) -> Compiled:
    """Compile a statement.

    Raises:
        Refusal: It is of another shape.
    """
    if found := _UPDATE.fullmatch(text):
        return _update(found)
    if found := _INSERT.fullmatch(text):
        return _insert(found)
    raise Refusal("ValidationException", f"the stub does not know this statement: {text[:300]}")


def _update(found: re.Match[str]) -> Compiled:
    changes = found["changes"]
    adds = [(name, int(by)) for name, of, by in _ADD.findall(changes) if name == of]
    sets: list[str] = _SET.findall(changes)
    where: list[tuple[str, str]] = _CONDITION.findall(found["where"])
    keys = [index for index, condition in enumerate(where) if condition == (KEY, "=")]
    if len(keys) != 1 or KEY in sets:
        raise Refusal("ValidationException", "Where clause must name one key by equality")
    first = len(sets)
    tests = [(name, op, first + n) for n, (name, op) in enumerate(where) if name != KEY]
    return Compiled(
        table=found["table"],
        inserts=False,
        key_at=first + keys[0],
        state_at=sets.index("state") if "state" in sets else -1,
        moves="bucket" in sets,
        returning=found["returning"] is not None,
        parameters=first + len(where),
        holds=_tester(tests),
        apply=_writer(adds, sets, _REMOVE.findall(changes)),
    )


def _tester(tests: Sequence[tuple[str, str, int]]) -> Holds:
    equal = [(name, at) for name, op, at in tests if op == "="]
    at_most = [(name, at) for name, op, at in tests if op == "<="]

    def holds(item: Item, parameters: Sequence[Value]) -> bool:
        for name, at in equal:
            if item.get(name) != parameters[at]:
                return False
        for name, at in at_most:
            value = item.get(name)
            if value is None or int(value["N"]) > int(parameters[at]["N"]):
                return False
        return True

    return holds


def _writer(adds: Sequence[tuple[str, int]], sets: Sequence[str], removes: Sequence[str]) -> Apply:
    def apply(item: Item, parameters: Sequence[Value]) -> Item:
        new = item.copy()
        for name, by in adds:
            new[name] = {"N": str(int(item[name]["N"]) + by)}
        new.update(zip(sets, parameters, strict=False))
        for name in removes:
            new.pop(name, None)
        return new

    return apply


def _insert(found: re.Match[str]) -> Compiled:
    names: list[str] = _NAME.findall(found["names"])
    if KEY not in names:
        raise Refusal("ValidationException", "Missing the key id in the item")
    return Compiled(
        table=found["table"],
        inserts=True,
        key_at=names.index(KEY),
        state_at=names.index("state") if "state" in names else -1,
        moves="bucket" in names,
        returning=False,
        parameters=len(names),
        holds=lambda _item, _parameters: False,
        apply=lambda _item, parameters: dict(zip(names, parameters, strict=True)),
    )
