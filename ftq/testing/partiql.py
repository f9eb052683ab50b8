"""The PartiQL that ftq writes, parsed and evaluated; anything else is refused.

    UPDATE "t" SET "n"="n"+1 SET "a"=? … REMOVE "b" …
        WHERE "id"=? AND "x"<=? … [RETURNING ALL OLD *]
    INSERT INTO "t" VALUE {'a':?,'b':?,…}

"PartiQL update/insert statements for DynamoDB" (developer guide) knows more, and the stand-ins
know less than that: what is here is what all of them share.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from ftq.testing.items import compare, plus
from ftq.wire.item import Item, Value


class Malformed(ValueError):
    """The statement is not one of ours, or does not fit the item: AWS's ValidationException."""


@dataclass(frozen=True, slots=True)
class Update:
    """An UPDATE.

    Attributes:
        table: The table.
        adds: (attribute, by how much) of each ``SET "n"="n"+1``.
        sets: The attribute of each ``SET "a"=?``, in the order of their parameters.
        removes: The attribute of each REMOVE.
        where: (attribute, operator) of each condition; their parameters follow those of `sets`.
        returning: Whether it ends with RETURNING ALL OLD *.
    """

    table: str
    adds: tuple[tuple[str, int], ...]
    sets: tuple[str, ...]
    removes: tuple[str, ...]
    where: tuple[tuple[str, str], ...]
    returning: bool

    @property
    def parameters(self) -> int:
        """How many parameters it takes."""
        return len(self.sets) + len(self.where)


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT of an item with these attributes, in the order of their parameters."""

    table: str
    names: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """How many parameters it takes."""
        return len(self.names)


Parsed: TypeAlias = Update | Insert

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<name>"[^"]+")|(?P<text>'[^']+')|(?P<word>[A-Za-z]+)|(?P<number>\d+)
    |(?P<sign><=|[=?+{},:*]))""",
    re.VERBOSE,
)
_OPERATORS: Final[Mapping[str, Callable[[int], bool]]] = {
    "=": lambda order: order == 0,
    "<=": lambda order: order <= 0,
}


class _Reader:
    """The tokens of a statement, taken one by one."""

    def __init__(self, statement: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._next = 0
        at, end = 0, len(statement.rstrip())
        while at < end:
            match = _TOKEN.match(statement, at)
            if match is None:
                raise Malformed(f"unexpected text at {at}: {statement[at : at + 20]!r}")
            self._tokens.append((match.lastgroup or "", match[0].strip()))
            at = match.end()

    def peek(self) -> str:
        """The next token as written, words in upper case; '' at the end."""
        if self._next == len(self._tokens):
            return ""
        kind, token = self._tokens[self._next]
        return token.upper() if kind == "word" else token

    def accept(self, *tokens: str) -> bool:
        """Take these tokens if they come next."""
        start = self._next
        for token in tokens:
            if self.peek() != token:
                self._next = start
                return False
            self._next += 1
        return True

    def expect(self, *tokens: str) -> None:
        """Take these tokens.

        Raises:
            Malformed: Others come.
        """
        if not self.accept(*tokens):
            raise Malformed(f"expected {' '.join(tokens)}, found {self.peek() or 'the end'}")

    def take(self, kind: str) -> str:
        """Take a token of a kind, without its quotes.

        Raises:
            Malformed: The next is of another kind.
        """
        if self._next == len(self._tokens) or self._tokens[self._next][0] != kind:
            raise Malformed(f"expected a {kind}, found {self.peek() or 'the end'}")
        token = self._tokens[self._next][1]
        self._next += 1
        return token.strip("\"'")

    def end(self) -> None:
        """Raises Malformed if anything is left."""
        if self.peek():
            raise Malformed(f"unexpected {self.peek()}")


@lru_cache(maxsize=1024)
def parse(statement: str) -> Parsed:
    """Read a statement. Cached: the texts are few and their parameters apart.

    Raises:
        Malformed: It is none of ours.
    """
    reader = _Reader(statement)
    if reader.accept("UPDATE"):
        parsed: Parsed = _update(reader)
    else:
        reader.expect("INSERT", "INTO")
        parsed = _insert(reader)
    reader.end()
    return parsed


def _update(reader: _Reader) -> Update:
    table = reader.take("name")
    adds: list[tuple[str, int]] = []
    sets: list[str] = []
    removes: list[str] = []
    while True:
        if reader.accept("REMOVE"):
            removes.append(reader.take("name"))
        elif reader.accept("SET"):
            name = reader.take("name")
            reader.expect("=")
            if reader.accept("?"):
                sets.append(name)
            else:
                reader.expect(f'"{name}"', "+")
                adds.append((name, int(reader.take("number"))))
        else:
            break
    touched = [*removes, *sets, *(name for name, _ in adds)]
    if not touched:
        raise Malformed("an UPDATE without SET or REMOVE")
    if len(set(touched)) < len(touched):
        raise Malformed("Two document paths overlap with each other")
    where = _where(reader)
    returning = reader.accept("RETURNING", "ALL", "OLD", "*")
    return Update(table, tuple(adds), tuple(sets), tuple(removes), where, returning)


def _where(reader: _Reader) -> tuple[tuple[str, str], ...]:
    reader.expect("WHERE")
    found: list[tuple[str, str]] = []
    while True:
        name, operator = reader.take("name"), reader.peek()
        if operator not in _OPERATORS:
            raise Malformed(f"unexpected {operator or 'end'} in WHERE")
        reader.expect(operator, "?")
        found.append((name, operator))
        if not reader.accept("AND"):
            return tuple(found)


def _insert(reader: _Reader) -> Insert:
    table = reader.take("name")
    reader.expect("VALUE", "{")
    names: list[str] = []
    while True:
        names.append(reader.take("text"))
        reader.expect(":", "?")
        if not reader.accept(","):
            break
    reader.expect("}")
    if len(set(names)) < len(names):
        raise Malformed("an attribute is named twice")
    return Insert(table, tuple(names))


def key_value(parsed: Parsed, key: str, parameters: Sequence[Value]) -> str:
    """The primary key of the one item that a statement writes.

    Raises:
        Malformed: It does not name one by equality, or writes the key, or the number of
            parameters is wrong.
    """
    if len(parameters) != parsed.parameters:
        raise Malformed(f"{parsed.parameters} parameters expected, {len(parameters)} given")
    if isinstance(parsed, Insert):
        found = [value for name, value in zip(parsed.names, parameters, strict=True) if name == key]
    else:
        conditions = zip(parsed.where, parameters[len(parsed.sets) :], strict=True)
        found = [value for condition, value in conditions if condition == (key, "=")]
        if key in (*parsed.sets, *parsed.removes, *(name for name, _ in parsed.adds)):
            raise Malformed(f"Cannot update attribute {key}. This attribute is part of the key")
    if len(found) != 1 or not found[0].get("S"):
        raise Malformed("Where clause does not contain a mandatory equality on all key attributes")
    return found[0]["S"]


def inserted(insert: Insert, parameters: Sequence[Value]) -> Item:
    """The item that an INSERT makes."""
    return dict(zip(insert.names, parameters, strict=True))


def holds(update: Update, item: Item, parameters: Sequence[Value]) -> bool:
    """Whether the conditions hold. One on a missing attribute, or of another type, does not."""
    for (name, operator), value in zip(update.where, parameters[len(update.sets) :], strict=True):
        order = compare(item[name], value) if name in item else None
        if order is None or not _OPERATORS[operator](order):
            return False
    return True


def applied(update: Update, item: Item, parameters: Sequence[Value]) -> Item:
    """The item after an UPDATE.

    Raises:
        Malformed: A number is added to what is none.
    """
    new = dict(item)
    for name, by in update.adds:
        total = plus(item[name], by) if name in item else None
        if total is None:
            raise Malformed(f"{name} is not a number that can be added to")
        new[name] = total
    new.update(zip(update.sets, parameters, strict=False))
    for name in update.removes:
        new.pop(name, None)
    return new
