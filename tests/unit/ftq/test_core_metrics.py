"""The table of metrics, and the lines that are made by it."""

from __future__ import annotations

import json

import pytest

from ftq.emf import MOST_VALUES, Distribution, documents
from ftq.metrics import METRICS, MOST_TYPES, labels
from ftq.redaction import redact
from tests.emf import points, total

FULL = Distribution([1.234e-05] * MOST_VALUES, [1_000_000] * MOST_VALUES, 1e-05, 1.5e-05)
NOW = 1_800_000_000_000


def test_metrics_have_names_of_their_own() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)


def test_the_fullest_lines_are_whole_writes_to_a_pipe_and_lose_nothing() -> None:
    values = {metric.name: FULL if metric.kind == "timing" else 10**12 for metric in METRICS}
    lines = [json.dumps(each).encode() for each in documents("s" * 64, NOW, values, "t" * 100)]
    said = points(lines)  # which holds each to the limits
    assert {each.name for each in said} == set(values)
    assert total(said, "TasksSucceeded", "t" * 100, "s" * 64) == 10**12


def test_redaction_finds_nothing_to_take_away_in_lines_of_metrics() -> None:
    values = {metric.name: FULL if metric.kind == "timing" else 1 for metric in METRICS}
    for minute in range(100):  # a tenth of all moments passes for a card number by its digits
        for each in documents("ftq", NOW + minute * 60_000, values, "token.refresh"):
            assert redact(each) == each


def test_a_metric_that_the_table_does_not_have_is_not_said() -> None:
    with pytest.raises(KeyError, match="MadeUp"):
        documents("ftq", NOW, {"MadeUp": 1})


def test_types_beyond_the_first_hundred_are_counted_together() -> None:
    found = labels(f"t{n:03}" for n in reversed(range(MOST_TYPES + 2)))
    assert (found["t000"], found["t099"]) == ("t000", "t099")
    assert (found["t100"], found["t101"]) == ("other", "other")
