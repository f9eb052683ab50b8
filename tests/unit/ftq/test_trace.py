"""The trace of a task: read, kept, made up, and recorded or not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.trace import Trace, is_sampled, kept_trace, read_trace, trace_of

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"Root={ROOT}", Trace(ROOT)),
        (f"Root={ROOT};Sampled=1", Trace(ROOT, "", sampled=True)),
        (f"Root={ROOT};Parent={PARENT};Sampled=0", Trace(ROOT, PARENT, sampled=False)),
        (f"Root={ROOT};Sampled=?;Parent={PARENT}", Trace(ROOT, PARENT)),
        (f"Self=1-2-3;Root={ROOT};Lineage=25:1a2b|1:3c4d:1;Parent={PARENT}", Trace(ROOT, PARENT)),
    ],
)
def test_a_header_is_read(header: str, found: Trace) -> None:
    assert read_trace(header) == found


@pytest.mark.parametrize(
    "header",
    ["", "Root=1-x", f"Root={ROOT.upper()}", f"Root={ROOT};Bad", f"Root={ROOT};Sampled=\r\nx",
     f"Root={ROOT}\n", f"Root={ROOT};Parent={PARENT}0", f"{ROOT}", "x" * 9999],
)  # fmt: skip
def test_what_is_no_header_is_not_kept(header: str) -> None:
    assert kept_trace(header) == ""


hexes = st.text("0123456789abcdef", min_size=16, max_size=16)


@given(st.builds(Trace, st.just(ROOT), st.just("") | hexes, st.none() | st.booleans()))
def test_what_is_kept_is_read_as_it_was_and_is_short(trace: Trace) -> None:
    assert read_trace(str(trace)) == trace
    assert kept_trace(str(trace)) == str(trace)
    assert len(str(trace)) <= 75


def test_a_task_without_a_header_has_one_trace_at_every_attempt() -> None:
    first, again = (trace_of("", "task-1", 1_700_000_000_123) for _ in range(2))
    assert first == again
    assert re.fullmatch(r"1-[0-9a-f]{8}-[0-9a-f]{24}", first.root)
    assert int(first.root[2:10], 16) == 1_700_000_000
    assert trace_of("", "task-2", 1_700_000_000_123).root != first.root


def test_a_task_with_a_header_is_in_that_trace() -> None:
    assert trace_of(f"Root={ROOT};Sampled=1", "task-1", 1) == Trace(ROOT, "", sampled=True)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_what_the_header_says_of_sampling_stands(rate: float) -> None:
    assert is_sampled(Trace(ROOT, "", sampled=True), rate)
    assert not is_sampled(Trace(ROOT, "", sampled=False), rate)


@pytest.mark.parametrize(("rate", "fewest", "most"), [(0, 0, 0), (0.05, 20, 90), (1, 1000, 1000)])
def test_else_about_the_share_that_was_asked_for_is_recorded(
    rate: float, fewest: int, most: int
) -> None:
    count = sum(is_sampled(trace_of("", f"task-{n}", 10**12), rate) for n in range(1000))
    assert fewest <= count <= most
