"""The client of ftq's API: `Client` for threads, `AsyncClient` for event loops.

It needs the extra ``client`` (httpx). What can go wrong is in the tree of `ftq.errors`.
"""

from ftq.client.answers import Accepted, Cancelled, Health, HistoryEntry, LastError, Redriven, Task
from ftq.client.asked import NewTask, Options
from ftq.client.auth import SigV4
from ftq.client.blocking import Client, Submitter
from ftq.client.deaths import DeadLetters, Group, Hour, Trend
from ftq.client.looping import AsyncClient, AsyncSubmitter
from ftq.client.many import Results
from ftq.client.statistics import Breaker, Count, Daemon, Depth, Stats
from ftq.errors import (
    ApiError,
    ClientError,
    Conflict,
    Denied,
    InvalidField,
    KeyConflict,
    KeyTaken,
    NotFound,
    PayloadTooLarge,
    Refused,
    StillOpen,
    SubmissionError,
    TaskFailed,
    TooLarge,
    Unreachable,
)

__all__ = [
    "Accepted",
    "ApiError",
    "AsyncClient",
    "AsyncSubmitter",
    "Breaker",
    "Cancelled",
    "Client",
    "ClientError",
    "Conflict",
    "Count",
    "Daemon",
    "DeadLetters",
    "Denied",
    "Depth",
    "Group",
    "Health",
    "HistoryEntry",
    "Hour",
    "InvalidField",
    "KeyConflict",
    "KeyTaken",
    "LastError",
    "NewTask",
    "NotFound",
    "Options",
    "PayloadTooLarge",
    "Redriven",
    "Refused",
    "Results",
    "SigV4",
    "Stats",
    "StillOpen",
    "SubmissionError",
    "Submitter",
    "Task",
    "TaskFailed",
    "TooLarge",
    "Trend",
    "Unreachable",
]
