"""One run, as a value: drawn from a seed in `draw`, played by `world`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from tests.simulation.ops import Op

Error: TypeAlias = Literal["throttled", "unavailable", "lost"]
Target: TypeAlias = Literal["sqs", "dynamodb", ""]


@dataclass(frozen=True, slots=True)
class Burst:
    """For a while nearly every call of a service fails, for all or for one daemon."""

    start: float
    end: float
    error: Error
    service: Target = ""
    who: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """The share of calls with which something goes wrong; `longest` is in seconds."""

    throttled: float = 0.0
    unavailable: float = 0.0
    lost: float = 0.0
    overdue: float = 0.0
    partial: float = 0.0
    again: float = 0.0
    late: float = 0.0
    slow: float = 0.0
    longest: float = 0.0


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings of daemons and account; times in seconds, but for the index's.

    Attributes:
        in_flight: Messages that may be in flight.
        receives: After how many receives SQS itself dead-letters a message.
        replace_after: When a service without daemons gets a new one.
    """

    visibility: int = 20
    concurrency: int = 10
    grace: int = 60
    sweep: int = 30
    crash_limit: int = 3
    wait: int = 20
    drain: int = 5
    index_lag: int = 0
    in_flight: int = 120_000
    receives: int = 1_000
    replace_after: float = 5.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """One run.

    Attributes:
        seed: Seeds all dice of the run as well.
        length: When all faults end, and no further operation begins.
        outages: When the dependency of `fragile` tasks is down.
    """

    seed: int
    length: float
    terms: Terms
    rates: Rates
    bursts: tuple[Burst, ...]
    outages: tuple[tuple[float, float], ...]
    ops: tuple[Op, ...]

    def __str__(self) -> str:
        """One line for each thing."""
        lines = [f"seed {self.seed}, {self.length} s"]
        lines += [_brief(self.terms), _brief(self.rates), *map(_brief, self.bursts)]
        lines += [f"Outage {start} to {end}" for start, end in self.outages]
        lines += [_brief(op) for op in self.ops]
        return "\n".join(f"  {line}" for line in lines)


def _brief(part: Op | Burst | Rates | Terms) -> str:
    """The value with what differs from its defaults."""
    said = (
        f"{field.name}={getattr(part, field.name)!r}"
        for field in fields(part)
        if getattr(part, field.name) != field.default
    )
    return f"{type(part).__name__}({', '.join(said)})"
