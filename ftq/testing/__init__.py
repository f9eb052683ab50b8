"""AWS in memory, with faults, on a virtual clock: for tests of ftq and of your handlers.

from ftq.testing import MemoryAws, run

async def story() -> None:
    aws = MemoryAws()
    ...  # hours of virtual time

run(story)
"""

from ftq.testing.aws import MemoryAws, MemorySyncPort
from ftq.testing.clock import Deadlock, Endless, VirtualLoop, now_ms, outside_work, run
from ftq.testing.faults import Fault, FaultyPort, FaultySyncPort, Plan, RandomPlan, script
from ftq.testing.queue import MemoryQueue
from ftq.testing.table import MemoryTable

__all__ = [
    "Deadlock",
    "Endless",
    "Fault",
    "FaultyPort",
    "FaultySyncPort",
    "MemoryAws",
    "MemoryQueue",
    "MemorySyncPort",
    "MemoryTable",
    "Plan",
    "RandomPlan",
    "VirtualLoop",
    "now_ms",
    "outside_work",
    "run",
    "script",
]
