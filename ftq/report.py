"""What a daemon says about itself, for whoever asks the API. Times are milliseconds.

A report is written now and then and expires by itself; one that is not renewed is shown as
stale, with its age: it says what was, and nothing about what is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ftq.breaker import Position
from ftq.text import Json, NotJson, dump, parse

REPORT_SECONDS: Final = 30
# Three reports missed: the daemon is gone, cut off, or cannot write.
STALE: Final = 3 * REPORT_SECONDS * 1000
# How long the last report of a daemon that ended without a word is shown.
KEPT: Final = 3600 * 1000
# How long a daemon's word that a breaker is open is worth a probe to another that starts.
ADOPTED: Final = 300 * 1000

_POSITIONS: Final = {str(position): position for position in Position}
# What is worse is said of a breaker that daemons see differently.
_WORST: Final = (Position.OPEN, Position.HALF_OPEN, Position.CLOSED)


@dataclass(frozen=True, slots=True)
class BreakerNote:
    """Where one breaker of a daemon stands.

    Attributes:
        position: Its position.
        openings: How often it opened since it last closed.
        until: While it is not closed, when its probe is due or given up; else 0.
    """

    position: Position
    openings: int = 0
    until: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What one daemon said.

    Attributes:
        name: The daemon.
        version: Its version of ftq.
        queue: The queue that it works on.
        at: When it said so.
        started_at: When it was started.
        concurrency: How many tasks it runs at once.
        in_flight: How many it has in hand.
        draining: Whether it is stopping.
        breakers: Its breakers by name.
        stopped: Whether these were its last words.
    """

    name: str
    version: str
    queue: str
    at: int
    started_at: int
    concurrency: int
    in_flight: int
    draining: bool = False
    breakers: Mapping[str, BreakerNote] = field(default_factory=dict)
    stopped: bool = False

    def age(self, now: int) -> int:
        """Milliseconds since it was said; never negative, though clocks differ."""
        return max(0, now - self.at)

    def stale(self, now: int) -> bool:
        """Whether it is too old to say anything about now."""
        return self.age(now) > STALE

    @property
    def troubled(self) -> dict[str, BreakerNote]:
        """Its breakers that are not closed."""
        notes = self.breakers.items()
        return {name: note for name, note in notes if note.position is not Position.CLOSED}

    def to_text(self) -> str:
        """The report as it is stored."""
        breakers: dict[str, Json] = {
            name: {"position": note.position.value, "openings": note.openings, "until": note.until}
            for name, note in self.breakers.items()
        }
        return dump(
            {
                "name": self.name,
                "version": self.version,
                "queue": self.queue,
                "at": self.at,
                "started_at": self.started_at,
                "concurrency": self.concurrency,
                "in_flight": self.in_flight,
                "draining": self.draining,
                "breakers": breakers,
                "stopped": self.stopped,
            }
        )


def read_report(stored: str) -> Report | None:
    """A report as it was stored; None if it is none. Never raises."""
    try:
        value = parse(stored)
    except NotJson:
        return None
    if not isinstance(value, dict):
        return None
    breakers = value.get("breakers")
    return Report(
        name=_str(value.get("name")),
        version=_str(value.get("version")),
        queue=_str(value.get("queue")),
        at=_int(value.get("at")),
        started_at=_int(value.get("started_at")),
        concurrency=_int(value.get("concurrency")),
        in_flight=_int(value.get("in_flight")),
        draining=value.get("draining") is True,
        breakers={
            name: BreakerNote(
                _POSITIONS.get(_str(note.get("position")), Position.CLOSED),
                _int(note.get("openings")),
                _int(note.get("until")),
            )
            for name, note in (breakers.items() if isinstance(breakers, dict) else ())
            if isinstance(note, dict)
        },
        stopped=value.get("stopped") is True,
    )


@dataclass(frozen=True, slots=True)
class Fleet:
    """One breaker as all live daemons see it.

    Attributes:
        position: The worst position that any of them sees.
        daemons: How many see it in each position.
        openings: The most openings that any of them counted.
    """

    position: Position
    daemons: Mapping[Position, int]
    openings: int


def fleet(reports: list[Report], now: int) -> dict[str, Fleet]:
    """Each breaker over the reports that are not stale, by name."""
    notes: dict[str, list[BreakerNote]] = {}
    for report in reports:
        if not report.stale(now):
            for name, note in report.breakers.items():
                notes.setdefault(name, []).append(note)
    return {name: _together(each) for name, each in sorted(notes.items())}


def troubled(reports: list[Report], queue: str, now: int) -> dict[str, BreakerNote]:
    """The breakers that are not closed, by the newest word of a daemon of this queue.

    Another's word that one is closed takes nothing back: it may have had nothing to do. Where
    none is of use any more, a probe finds out.
    """
    found: dict[str, BreakerNote] = {}
    for report in sorted(reports, key=lambda report: report.at):
        if report.queue == queue and report.age(now) <= ADOPTED:
            found |= report.troubled
    return found


def _together(notes: list[BreakerNote]) -> Fleet:
    counts = {position: sum(n.position is position for n in notes) for position in _WORST}
    worst = next(position for position in _WORST if counts[position])
    return Fleet(worst, counts, max(note.openings for note in notes))


def _str(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _int(value: Json) -> int:
    return value if type(value) is int else 0
