"""ftq: a fault-tolerant task queue for Python teams on AWS. What users import is here.

What handlers are declared with is loaded as it is first asked for: a fifth of the API's cold
start would go into it, and most of its functions know no handlers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

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

if TYPE_CHECKING:
    from ftq.breaker import BreakerPolicy
    from ftq.context import Context
    from ftq.handler import Handler
    from ftq.middleware import Next, NextSync
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
    "Next",
    "NextSync",
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

_LATER: Final = {
    "BreakerPolicy": "ftq.breaker",
    "Context": "ftq.context",
    "Handler": "ftq.handler",
    "Next": "ftq.middleware",
    "NextSync": "ftq.middleware",
    "Registry": "ftq.registry",
    "RetryPolicy": "ftq.retry",
    "Tick": "ftq.schedule",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, getattr(import_module(_LATER[name]), name))


def __dir__() -> list[str]:
    return __all__
