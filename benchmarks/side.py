"""A side: one worker program that drains the queue, so that it can be measured.

A side is one module under `benchmarks/sides/` with a `SIDE` in it, named in `lineup.py`. Its
program is told by FTQ_QUEUE_URL, FTQ_DLQ_URL, FTQ_TABLE and AWS_ENDPOINT_URL where to work. It
counts as done with a task when the task's message is deleted.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from benchmarks.load import load_tasks
from benchmarks.stage import Stage

Load: TypeAlias = Callable[[Stage, int], Awaitable[None]]
Kind: TypeAlias = Literal["ftq", "limit", "loop", "python peer", "other peer"]


@dataclass(frozen=True, slots=True)
class Side:
    """One worker program.

    Attributes:
        name: As it stands in tables.
        says: What it is, in a few words.
        command: What runs it, after the interpreter.
        environment: What it is told beside where to work.
        stateful: Whether it leaves every record succeeded, which is then checked.
        load: Puts so many tasks into the queue, in the form it understands.
        interpreter: What runs the command.
        kind: ftq itself, a limit of what is possible, a hand-written loop, or another project.
        slow: Whether it takes milliseconds a task: it is given fewer.
        missing: Why it cannot run on this machine; empty if it can.
    """

    name: str
    says: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stateful: bool = True
    load: Load = load_tasks
    interpreter: str = sys.executable
    kind: Kind = "ftq"
    slow: bool = False
    missing: Callable[[], str] = str

    @property
    def peer(self) -> bool:
        """Whether it is another project's worker."""
        return self.kind.endswith("peer")
