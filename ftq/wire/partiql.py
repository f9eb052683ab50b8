"""The texts of the statements: few shapes, so each is made once.

Only PartiQL that AWS and the stand-ins share is used: no OR, no list_append, no
if_not_exists. Every attribute name is quoted, for `state`, `bucket` and others are reserved.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

# Appended to an UPDATE: the item as it was before, which is how a claim reads the record.
_OLD: Final = " RETURNING ALL OLD *"


@lru_cache(maxsize=256)
def update(
    table: str,
    sets: tuple[str, ...],
    where: tuple[tuple[str, str], ...],
    add: tuple[str, ...],
    remove: tuple[str, ...],
    returning: bool,
) -> str:
    """An UPDATE of one item, with a `?` for each value set, then the id, then each condition.

    Args:
        table: The table.
        sets: Attributes to set.
        where: Conditions beside the id: attribute and operator.
        add: Attributes to add one to.
        remove: Attributes to remove.
        returning: Whether to return the item as it was.
    """
    parts = [f'UPDATE "{table}"']
    parts += [f'SET "{name}"="{name}"+1' for name in add]
    parts += [f'SET "{name}"=?' for name in sets]
    parts += [f'REMOVE "{name}"' for name in remove]
    conditions = " AND ".join(['"id"=?', *(f'"{name}"{op}?' for name, op in where)])
    return f"{' '.join(parts)} WHERE {conditions}{_OLD if returning else ''}"


@lru_cache(maxsize=16)
def insert(table: str, names: tuple[str, ...]) -> str:
    """An INSERT of one item, with a `?` for each attribute."""
    pairs = ",".join(f"'{name}':?" for name in names)
    return f'INSERT INTO "{table}" VALUE {{{pairs}}}'
