"""AWS in memory, with faults, on a virtual clock: for tests of ftq and of your handlers.

from ftq.testing import MemoryAws, run

async def story() -> None:
    aws = MemoryAws()
    ...  # hours of virtual time

run(story)
"""

from ftq.testing.aws import MemoryAws, MemorySyncPort
from ftq.testing.clock import Deadlock, Endless, VirtualLoop, now_ms, outside_work, run
from ftq.testing.faults import Fault, Plan, RandomPlan, script
from ftq.testing.faulty import FaultyPort, FaultySyncPort
from ftq.testing.process import Process, ProcessLoop, RemotePort, current_process, sender
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
    "Process",
    "ProcessLoop",
    "RandomPlan",
    "RemotePort",
    "VirtualLoop",
    "current_process",
    "now_ms",
    "outside_work",
    "run",
    "script",
    "sender",
]
