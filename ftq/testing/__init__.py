"""Try your handlers: one attempt, the whole engine in virtual time, or a crash at each line.

    from ftq.testing import Harness, assert_idempotent, run

    run(send, Email(to="a@example.com")).result

Below them, for tests of ftq itself: AWS in memory, with faults, on a virtual clock
(`ftq.testing.clock.run`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from ftq.testing.aws import MemoryAws, MemorySyncPort
from ftq.testing.clock import Deadlock, Endless, VirtualLoop, now_ms, outside_work
from ftq.testing.faults import Fault, Plan, RandomPlan, script
from ftq.testing.faulty import FaultyPort, FaultySyncPort
from ftq.testing.process import Process, ProcessLoop, RemotePort, current_process, sender
from ftq.testing.queue import MemoryQueue
from ftq.testing.table import MemoryTable

if TYPE_CHECKING:
    from ftq_testing.attempt import Run, run
    from ftq_testing.harness import Harness
    from ftq_testing.idempotence import assert_idempotent

__all__ = [
    "Deadlock",
    "Endless",
    "Fault",
    "FaultyPort",
    "FaultySyncPort",
    "Harness",
    "MemoryAws",
    "MemoryQueue",
    "MemorySyncPort",
    "MemoryTable",
    "Plan",
    "Process",
    "ProcessLoop",
    "RandomPlan",
    "RemotePort",
    "Run",
    "VirtualLoop",
    "assert_idempotent",
    "current_process",
    "now_ms",
    "outside_work",
    "run",
    "script",
    "sender",
]

# They run the daemon's own code, so they stand above it, in a package of their own. This is the
# one place that looks up: people look for them here (ADR 0031).
_ABOVE: Final = {
    "Harness": "ftq_testing.harness",
    "Run": "ftq_testing.attempt",
    "assert_idempotent": "ftq_testing.idempotence",
    "run": "ftq_testing.attempt",
}


def __getattr__(name: str) -> object:
    """What stands above, loaded when it is asked for: the fakes need none of it.

    Raises:
        ModuleNotFoundError: The daemon's packages are not installed.
    """
    if name not in _ABOVE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found: object = getattr(import_module(_ABOVE[name]), name)
    except ModuleNotFoundError as error:
        why = f"{name} runs the daemon's code, which needs {error.name}: pip install 'ftq[daemon]'"
        raise ModuleNotFoundError(why, name=error.name) from error
    return found
