"""ftq: a fault-tolerant task queue for Python teams on AWS. What users import is here."""

from ftq.breaker import BreakerPolicy
from ftq.context import Context
from ftq.errors import (
    CallError,
    CallRefused,
    FtqError,
    HandlerSignal,
    IllegalTransition,
    InvalidField,
    KeyConflict,
    PayloadTooLarge,
    RegistryError,
    Reject,
    Retry,
    SettingsError,
    SubmissionError,
    Throttled,
    Unavailable,
)
from ftq.handler import Handler
from ftq.registry import Registry
from ftq.retry import RetryPolicy
from ftq.schedule import Tick

__all__ = [
    "BreakerPolicy",
    "CallError",
    "CallRefused",
    "Context",
    "FtqError",
    "Handler",
    "HandlerSignal",
    "IllegalTransition",
    "InvalidField",
    "KeyConflict",
    "PayloadTooLarge",
    "Registry",
    "RegistryError",
    "Reject",
    "Retry",
    "RetryPolicy",
    "SettingsError",
    "SubmissionError",
    "Throttled",
    "Tick",
    "Unavailable",
]
