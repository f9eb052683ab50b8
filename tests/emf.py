"""Reads lines of a log as CloudWatch does: the metrics in them, held against what AWS documents."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import jsonschema_rs

# AWS's own schema, as its specification publishes it; the source is in it.
_SCHEMA: Final = jsonschema_rs.Draft7Validator(
    json.loads((Path(__file__).parent / "emf_schema.json").read_text())
)
# A target is a number, or a set of values with counts. Limits from the specification; of the
# line, POSIX's for a write to a pipe that is not torn apart (Linux: 4,096).
_MOST_METRICS = _MOST_VALUES = 100
_MOST_BYTES = 4_096
_MOST_CHARS = 1_024
_DISTRIBUTION: Final = {"Values", "Counts", "Min", "Max", "Count", "Sum"}

Dimensions: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Kept:
    """Keeps the lines of a log; one that is full takes none, and counts them.

    Attributes:
        lines: What was taken.
        full: Whether it takes no more.
        lost: Lines that it did not take.
    """

    lines: list[bytes] = field(default_factory=list)
    full: bool = False
    lost: int = 0

    def write(self, line: bytes) -> bool:
        if self.full:
            self.lost += 1
        else:
            self.lines.append(line)
        return not self.full

    def write_soon(self, line: bytes) -> None:
        self.write(line)


@dataclass(frozen=True, slots=True)
class Point:
    """What one line says of one metric under one set of dimensions."""

    name: str
    unit: str
    dimensions: Dimensions
    at: int
    values: tuple[float, ...]
    counts: tuple[int, ...]
    low: float
    high: float

    @property
    def sum(self) -> float:
        return sum(v * n for v, n in zip(self.values, self.counts, strict=True))

    @property
    def count(self) -> int:
        return sum(self.counts)


def points(lines: Iterable[bytes]) -> list[Point]:
    """All that these lines say; lines of the log that are no metrics are passed over.

    Raises:
        AssertionError: A line does not hold to the format or to a limit.
    """
    return [point for line in lines if b'"_aws"' in line for point in _of_line(line)]


def _of_line(line: bytes) -> list[Point]:
    assert len(line) <= _MOST_BYTES, len(line)
    document = json.loads(line)
    _SCHEMA.validate(document)
    about = document["_aws"]
    return [
        _point(document, metric, keys, about["Timestamp"])
        for directive in about["CloudWatchMetrics"]
        for keys in directive["Dimensions"]
        for metric in _checked(directive["Namespace"], directive["Metrics"])
    ]


def _checked(namespace: str, metrics: list[dict[str, str]]) -> list[dict[str, str]]:
    assert namespace == "ftq"
    assert 0 < len(metrics) <= _MOST_METRICS
    names = [metric["Name"] for metric in metrics]
    assert len(set(names)) == len(names), names
    return metrics


def _point(document: dict[str, object], metric: dict[str, str], keys: list[str], at: int) -> Point:
    dimensions: list[tuple[str, str]] = []
    for key in keys:
        value = document[key]
        assert isinstance(value, str)
        assert 0 < len(value) <= _MOST_CHARS
        dimensions.append((key, value))
    told = document[metric["Name"]]
    where = metric["Name"], metric["Unit"], tuple(dimensions), at
    if isinstance(told, dict):
        assert set(told) == _DISTRIBUTION
        values, counts = tuple(told["Values"]), tuple(told["Counts"])
        assert 0 < len(values) == len(counts) <= _MOST_VALUES
        assert sum(counts) == told["Count"]
        assert told["Min"] <= told["Max"]
        return Point(*where, values, counts, told["Min"], told["Max"])
    assert isinstance(told, int | float)
    return Point(*where, (told,), (1,), told, told)


def total(found: Iterable[Point], name: str, type_: str = "", service: str = "ftq") -> float:
    """The sum of a metric: of one type, or of the whole service."""
    return sum(each.sum for each in _of(found, name, type_, service))


def count(found: Iterable[Point], name: str, type_: str = "", service: str = "ftq") -> int:
    """How many observations there were of a metric."""
    return sum(each.count for each in _of(found, name, type_, service))


def _of(found: Iterable[Point], name: str, type_: str, service: str) -> list[Point]:
    dimensions = (("service", service), *([("type", type_)] if type_ else []))
    return [each for each in found if (each.name, each.dimensions) == (name, dimensions)]
