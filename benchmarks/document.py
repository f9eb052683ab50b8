"""Reads JSON documents of our own making, each value at its place."""

from __future__ import annotations

from typing import TypeAlias

Step: TypeAlias = str | int


def at(found: object, *path: Step) -> object:
    """What is at this place; names lead into objects, numbers into arrays."""
    for step in path:
        if isinstance(step, int):
            assert isinstance(found, list)
            found = found[step]
        else:
            assert isinstance(found, dict)
            found = found[step]
    return found


def number(found: object, *path: Step) -> float:
    """The number at this place."""
    value = at(found, *path)
    assert isinstance(value, int | float)
    return value


def listed(found: object, *path: Step) -> list[object]:
    """The array at this place."""
    value = at(found, *path)
    assert isinstance(value, list)
    return value


def numbers(found: object, *path: Step) -> dict[str, float]:
    """The object of numbers at this place."""
    value = at(found, *path)
    assert isinstance(value, dict)
    return value
