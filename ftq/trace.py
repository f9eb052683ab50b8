"""The X-Ray trace that a task belongs to: the header, and what follows from it.

    Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1

It comes with the request, is kept with the record, and travels beside each message as SQS's
`AWSTraceHeader`; so a task that is sent again, redriven or retried stays in its trace. A task that
came without one has a trace all the same: its root follows from its id, and so is the same at
each attempt, whichever daemon makes it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

# What X-Ray documents, and SQS checks: a header of another form would have the message refused.
_HEADER: Final = re.compile(
    r"(?:Self=[0-9a-f-]{1,64};)?Root=1-[0-9a-f]{8}-[0-9a-f]{24}"
    r"(?:;(?:Parent=[0-9a-f]{16}|Sampled=[01?]|Lineage=[0-9a-z:|]{1,128}))*"
)
_SAMPLED: Final = {"1": True, "0": False}


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace.

    Attributes:
        root: The trace: ``1-``, eight hex digits of when it began, ``-``, 24 random ones.
        parent: The segment that what comes next hangs under, 16 hex digits, or ''.
        sampled: Whether it is recorded; None leaves that to whoever comes first to decide.
    """

    root: str
    parent: str = ""
    sampled: bool | None = None

    def __str__(self) -> str:
        """The header, of at most 75 characters."""
        parent = f";Parent={self.parent}" if self.parent else ""
        sampled = "" if self.sampled is None else f";Sampled={self.sampled:d}"
        return f"Root={self.root}{parent}{sampled}"


def read_trace(header: str) -> Trace | None:
    """Read a header; None if it is none. What only concerns Lambda (Lineage, Self) is dropped."""
    if not header or not _HEADER.fullmatch(header):
        return None
    fields = dict(part.split("=", 1) for part in header.split(";"))
    sampled = _SAMPLED.get(fields.get("Sampled", ""))
    return Trace(fields["Root"], fields.get("Parent", ""), sampled)


def kept_trace(header: str) -> str:
    """What of a header is kept with a task; '' for what is no header."""
    trace = read_trace(header)
    return str(trace) if trace else ""


def trace_of(header: str, task_id: str, created_at: int) -> Trace:
    """The trace of a task: that of its header, or one of its own.

    Args:
        header: As it is kept with the task.
        task_id: The task.
        created_at: When it was submitted, in milliseconds since the epoch.
    """
    found = read_trace(header)
    if found is not None:
        return found
    digest = hashlib.sha256(f"trace\0{task_id}".encode()).hexdigest()
    return Trace(f"1-{created_at // 1000 & 0xFFFFFFFF:08x}-{digest[:24]}")


def is_sampled(trace: Trace, rate: float) -> bool:
    """Whether a trace is recorded: as its header says; else a share of all traces is.

    It depends on nothing but the root, so that all attempts of a task are recorded, or none.

    Args:
        trace: The trace.
        rate: The share, from 0 to 1.
    """
    if trace.sampled is not None:
        return trace.sampled
    return int(trace.root[-8:], 16) < rate * 2**32
