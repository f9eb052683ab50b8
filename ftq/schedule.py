"""When a schedule's ticks are, and which of them are due (cron, in a named time zone).

The grammar, and what happens as clocks are put forward or back, are those of Debian's cron: a
tick that daylight saving leaves out happens as the clock jumps, one that would come twice happens
once. Times are milliseconds since the epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile, islice, takewhile
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import BaseModel

from ftq.errors import RegistryError
from ftq.text import dump

Missed: TypeAlias = Literal["latest", "all", "skip"]
# The grammar knows a sixth, for seconds: daemons look less often than that.
FIELDS: Final = 5
# Of the ticks that were missed at most so many are made up for, the latest ones.
MOST_MISSED: Final = 100
# A tick this late still counts as in time: a fleet takes a while to be replaced.
IN_TIME: Final = 60_000
# No clock is put back by more.
_FOLD: Final = 3 * 3_600_000


class Tick(BaseModel):
    """The payload of a scheduled task that was given none.

    Attributes:
        scheduled_for: The moment of the tick, in the schedule's time zone. A late task, or one
            that is tried again, still carries the moment that it stands for.
    """

    scheduled_for: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task that is submitted by the clock, once for each tick in the whole fleet.

    Attributes:
        type: The task type.
        cron: Minute, hour, day of month, month, day of week.
        zone: The time zone in which that is meant, by its IANA name.
        missed: What is made up for when no daemon was there at the time: the ``latest`` of the
            ticks that were missed, ``all`` (up to `MOST_MISSED`), or none (``skip``).
        payload: The payload as JSON text; None for a `Tick`.
    """

    type: str
    cron: str
    zone: str = "UTC"
    missed: Missed = "latest"
    payload: str | None = None

    @property
    def key(self) -> str:
        """What tells it from all others, and stays while its definition does.

        A `#` keeps it apart from every task.
        """
        said = "\0".join((self.cron, self.zone, self.payload or ""))
        return f"every#{self.type}#{hashlib.sha256(said.encode()).hexdigest()[:12]}"

    def key_at(self, tick: int) -> str:
        """The idempotency key of one tick's task."""
        return f"{self.key}#{tick}"

    def payload_at(self, tick: int) -> str:
        """The payload of one tick's task, as JSON text."""
        if self.payload is not None:
            return self.payload
        return dump({"scheduled_for": _moment(tick, self.zone).isoformat()})


def check(schedule: Schedule) -> None:
    """See that a schedule can work.

    Raises:
        RegistryError: Its cron expression or its time zone cannot be read, or it has no ticks.
    """
    try:
        ZoneInfo(schedule.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise RegistryError(
            f"{schedule.type}: zone={schedule.zone!r}: is no time zone known here"
        ) from error
    try:
        if len(schedule.cron.split()) != FIELDS:
            raise CronSimError("Wrong number of fields")
        next_after(schedule, 0)
    except CronSimError as error:
        why = f"{schedule.type}: every {schedule.cron!r}: {error}"
        raise RegistryError(f"{why}; five fields as in crontab(5) are expected") from None
    except StopIteration:
        raise RegistryError(f"{schedule.type}: every {schedule.cron!r}: never happens") from None


def next_after(schedule: Schedule, moment: int) -> int:
    """The first tick after a moment."""
    ticks = map(_ms, CronSim(schedule.cron, _moment(moment, schedule.zone)))
    # In an hour that comes twice the clock shows again what it has shown: that tick is over.
    return next(tick for tick in ticks if tick > moment)


def due(schedule: Schedule, last: int, now: int) -> list[int]:
    """The ticks that are to be submitted now, oldest first.

    Args:
        schedule: The schedule.
        last: The last tick that was taken care of.
        now: Milliseconds since the epoch.
    """
    new = takewhile(lambda tick: tick > last, _backwards(schedule, now))
    if schedule.missed == "skip":
        new = takewhile(lambda tick: now - tick <= IN_TIME, new)
    found = list(islice(new, 1 if schedule.missed == "latest" else MOST_MISSED))
    return found[::-1]


def _backwards(schedule: Schedule, now: int) -> Iterator[int]:
    # It looks before a whole second. Added before there is a time zone: a sum of Python's has
    # forgotten which of two equal hours it is in.
    second = now // 1000 * 1000 + 1000
    if _moment(second, schedule.zone).fold:
        # The clock has shown before what it will show again: what lies there may be over.
        second += _FOLD
    ticks = map(_ms, CronSim(schedule.cron, _moment(second, schedule.zone), reverse=True))
    return dropwhile(lambda tick: tick > now, ticks)


def _moment(at: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at / 1000, ZoneInfo(zone))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
