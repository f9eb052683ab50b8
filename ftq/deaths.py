"""What the deaths of tasks have in common, as pure functions. Times are milliseconds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ftq.task import Task

HOUR: Final = 3_600_000
SAMPLES: Final = 5
WINDOW: Final = 24 * HOUR
SHORTEST: Final = 60_000
LONGEST: Final = 90 * 24 * HOUR
LIMITS: Final = "from 60 seconds to 90 days: 90, 90s, 15m, 24h, 7d, 2w, or ISO 8601 such as PT24H"

_SHORT: Final = re.compile(r"([0-9]{1,9})([smhdw]?)")
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_ISO: Final = re.compile(
    r"P(?=.)(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?"
    r"(?:T(?=.)(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?)?"
)

# What a window looks like, as an expression that JSON Schema knows too.
PATTERN: Final = f"{_SHORT.pattern}|{_ISO.pattern}"


def read_window(text: str) -> int | None:
    """A window's length; None if the text is none, or out of ``LIMITS``."""
    short, iso = _SHORT.fullmatch(text), _ISO.fullmatch(text)
    if short:
        seconds = int(short[1]) * _UNITS[short[2]]
    elif iso:
        sizes = zip(iso.groups(), ("w", "d", "h", "m", "s"), strict=True)
        seconds = sum(int(number) * _UNITS[unit] for number, unit in sizes if number)
    else:
        return None
    return seconds * 1000 if SHORTEST <= seconds * 1000 <= LONGEST else None


@dataclass(frozen=True, slots=True)
class Death:
    """One task that died.

    Attributes:
        task_id: The task.
        type: Its type.
        at: When it died.
        cause: Why it was given up.
        kind: What sort of end its last attempt had.
        class_name: The error's class.
        fingerprint: Equal for equal causes.
        message: The error's message.
    """

    task_id: str
    type: str
    at: int
    cause: str = ""
    kind: str = ""
    class_name: str = ""
    fingerprint: str = ""
    message: str = ""


def death_of(task: Task) -> Death:
    """The death of a dead task."""
    error = task.last_error
    if error is None:
        return Death(task.id, task.type, task.due_at, task.cause)
    return Death(
        task_id=task.id,
        type=task.type,
        at=task.due_at,
        cause=task.cause,
        kind=error.kind,
        class_name=error.class_name,
        fingerprint=error.fingerprint,
        message=error.message,
    )


@dataclass(frozen=True, slots=True)
class Trend:
    """Whether deaths become more.

    Attributes:
        last_hour: Deaths in the last 60 minutes.
        per_hour_before: Deaths an hour in the window before those.
        ratio: The one by the other: above 1 they become more. None if there were none before.
    """

    last_hour: int
    per_hour_before: float
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Deaths of one type with one error.

    Attributes:
        latest: The last of them.
        count: How many.
        share: Of all deaths, from 0 to 1.
        first_seen: When the first of them died, within the window.
        causes: Why they were given up, and how often.
        samples: Up to five tasks, the latest first.
        hours: Deaths by the hour in which they happened; hours without any are left out.
        trend: Whether they become more.
    """

    latest: Death
    count: int
    share: float
    first_seen: int
    causes: dict[str, int]
    samples: tuple[str, ...]
    hours: dict[int, int]
    trend: Trend


def group(deaths: Sequence[Death], since: int, now: int) -> list[Group]:
    """Deaths by type, error class and fingerprint, the largest group first.

    Args:
        deaths: The deaths, the latest first.
        since: Since when they are all there.
        now: Until when.
    """
    together: dict[tuple[str, str, str], list[Death]] = {}
    for death in deaths:
        key = (death.type, death.class_name, death.fingerprint)
        together.setdefault(key, []).append(death)
    groups = [_group(each, len(deaths), since, now) for each in together.values()]
    return sorted(groups, key=lambda each: (-each.count, -each.latest.at, each.latest.type))


def _group(deaths: list[Death], total: int, since: int, now: int) -> Group:
    return Group(
        latest=deaths[0],
        count=len(deaths),
        share=len(deaths) / total,
        first_seen=deaths[-1].at,
        causes=dict(Counter(death.cause for death in deaths).most_common()),
        samples=tuple(death.task_id for death in deaths[:SAMPLES]),
        hours=hours_of(deaths),
        trend=trend_of(deaths, since, now),
    )


def hours_of(deaths: Iterable[Death]) -> dict[int, int]:
    """How many died in each hour of the clock (UTC), by the moment at which it began."""
    return dict(sorted(Counter(death.at - death.at % HOUR for death in deaths).items()))


def trend_of(deaths: Sequence[Death], since: int, now: int) -> Trend:
    """The last hour against the mean of the hours before it.

    Args:
        deaths: All deaths since then.
        since: When the window begins.
        now: When it ends.
    """
    last = sum(death.at > now - HOUR for death in deaths)
    before = max(0, now - HOUR - since) / HOUR
    mean = (len(deaths) - last) / before if before else 0.0
    return Trend(last, mean, last / mean if mean else None)
