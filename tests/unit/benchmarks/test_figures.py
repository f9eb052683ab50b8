from __future__ import annotations

import os
import time

import pytest

from benchmarks.layers import read_stacks
from benchmarks.machine import cpu_seconds
from benchmarks.report import Run, summarize

SERVE = "run (uvloop/__init__.py:96)"
STACKS = f"""\
main (ftq_daemon/__main__.py:40);load (importlib/__init__.py:90) 50
{SERVE};call (ftq_daemon/aws/port.py:60);_handle (botocore/parsers.py:9);get (json/x.py:1) 30
{SERVE};__call__ (ftq_daemon/sinks/log.py:80);msg (structlog/_native.py:20);dumps (json/x.py:1) 10
{SERVE} 2
"""


def run(side: str, cpu: float, seconds: float = 10.0) -> Run:
    calls, entries = {"BatchExecuteStatement": 4}, {"BatchExecuteStatement": 40}
    return Run(side, "stub", 20, seconds, cpu, calls, entries, 80.0, 0.1, 0.2)


def test_the_median_of_runs_counts_and_its_ratio_to_the_baseline() -> None:
    runs = [run("ftq", cpu) for cpu in (0.1, 0.3, 0.2)] + [run("naive", 0.8)]

    ftq, naive = summarize(runs)

    assert ftq.cpu_us.median == pytest.approx(10_000)
    assert (ftq.cpu_us.least, ftq.cpu_us.most) == pytest.approx((5_000, 15_000))
    assert ftq.cpu_of_baseline == pytest.approx(0.25)
    assert naive.cpu_of_baseline == 1


def test_calls_and_batches_are_told_per_task() -> None:
    one = run("ftq", 0.1)

    assert (one.rate, one.calls_per_task, one.batch) == (2.0, 0.2, 10.0)


def test_the_innermost_frame_that_is_known_names_the_layer_and_the_start_is_left_out() -> None:
    stacks = read_stacks(STACKS.splitlines())

    assert stacks.by_layer() == {
        "botocore: parsing": 30,
        "logging": 10,
        "event loop and system calls": 2,
    }


def test_the_cpu_clock_of_a_process_is_its_own_clock() -> None:
    own = time.process_time()

    assert own <= cpu_seconds(os.getpid()) <= time.process_time()
