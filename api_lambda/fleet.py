"""What GET /stats says of the daemons and their breakers."""

from __future__ import annotations

from typing import Final

from typing_extensions import TypedDict

from api_lambda.http import Moment, moment
from api_lambda.records import read_rows
from api_lambda.service import Service
from ftq.breaker import Position
from ftq.report import KEPT, Report, fleet
from ftq.wire import reports
from ftq.wire.table import KEYS_PER_READ

# Reports that are shown, the newest first; BatchGetItem reads no more at once.
DAEMONS: Final = KEYS_PER_READ


class FleetBreaker(TypedDict):
    """A breaker as all live daemons see it.

    Attributes:
        name: The breaker.
        position: The worst position that any of them sees.
        openings: The most openings that one of them counted since it last closed.
        daemons: How many see it in each position.
    """

    name: str
    position: Position
    openings: int
    daemons: dict[Position, int]


class DaemonBreaker(TypedDict):
    """A breaker as one daemon sees it.

    Attributes:
        position: Its position.
        openings: How often it opened since it last closed.
        until: While it is not closed, when its probe is due or given up.
    """

    position: Position
    openings: int
    until: Moment | None


class DaemonReport(TypedDict):
    """What a daemon last said.

    Attributes:
        name: The daemon.
        version: Its version of ftq.
        queue: The queue that it works on.
        started_at: When it was started.
        reported_at: When it said so.
        age_seconds: How long ago that is.
        stale: Whether that is too long to say anything about now.
        draining: Whether it is stopping.
        concurrency: How many tasks it runs at once.
        in_flight: How many it has in hand.
        breakers: Its breakers by name.
    """

    name: str
    version: str
    queue: str
    started_at: Moment | None
    reported_at: Moment | None
    age_seconds: float
    stale: bool
    draining: bool
    concurrency: int
    in_flight: int
    breakers: dict[str, DaemonBreaker]


def read_reports(service: Service, now: int) -> list[Report]:
    """What the daemons said, the newest first."""
    rows, _ = read_rows(service, reports.BUCKET, DAEMONS, newest_first=True, since=now - KEPT)
    keys = [row.id for row in rows]
    if not keys:
        return []
    found = reports.read_get_many(
        service.port.call(reports.get_many(service.table, keys)), service.table
    )
    # Last words are for the daemons that start next.
    found = [report for report in found if not report.stopped]
    return sorted(found, key=lambda report: (-report.at, report.name))


def breakers(said: list[Report], now: int) -> list[FleetBreaker]:
    """Each breaker as the daemons see it whose reports are fresh."""
    return [
        {
            "name": name,
            "position": each.position,
            "openings": each.openings,
            "daemons": {**each.daemons},
        }
        for name, each in fleet(said, now).items()
    ]


def daemon(report: Report, now: int) -> DaemonReport:
    """A daemon as it last reported itself."""
    return {
        "name": report.name,
        "version": report.version,
        "queue": report.queue.rpartition("/")[2],
        "started_at": moment(report.started_at),
        "reported_at": moment(report.at),
        "age_seconds": report.age(now) / 1000,
        "stale": report.stale(now),
        "draining": report.draining,
        "concurrency": report.concurrency,
        "in_flight": report.in_flight,
        "breakers": {
            name: {
                "position": note.position,
                "openings": note.openings,
                "until": moment(note.until),
            }
            for name, note in report.breakers.items()
        },
    }
