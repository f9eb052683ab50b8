"""GET /stats: how the queues, the tasks, the breakers and the daemons are.

What it costs is bounded, whatever is stored: a page of each shard of the index, and the states
of the tasks on it. Where that is not all, the numbers say so: they are then what was counted,
which is never too much.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from api_lambda.http import Request, Response, moment
from api_lambda.params import read_query
from api_lambda.records import read_rows
from api_lambda.service import Service
from ftq.lifecycle import State
from ftq.limits import SHARDS
from ftq.report import KEPT, Report, fleet
from ftq.task import bucket_in
from ftq.text import Json
from ftq.wire import index, queue, reports
from ftq.wire.index import Row
from ftq.wire.table import KEYS_PER_READ, read_page

# Of each shard: tasks whose state is read, and tasks that are counted beyond those.
ROWS: Final = 60
COUNTED: Final = 1_000
# Reports that are shown, the newest first; BatchGetItem reads no more at once.
DAEMONS: Final = KEYS_PER_READ


@dataclass(slots=True)
class Group:
    """The tasks of one group of states, as far as they were counted.

    Attributes:
        count: How many were found.
        exact: Whether that is all.
        rows: Some of them.
    """

    count: int = 0
    exact: bool = True
    rows: list[Row] = field(default_factory=list)


def stats(service: Service, request: Request) -> Response:
    """The whole picture at this moment, piece by piece: it is no snapshot."""
    read_query(request)
    now = service.now()
    opened = _group(service, State.QUEUED)
    done = _group(service, State.SUCCEEDED, newest_first=True)
    dead = _group(service, State.DEAD, rows=False)
    states, known = _states(service, [*opened.rows, *done.rows])
    states[State.DEAD] = dead.count
    exact = all(each.exact for each in (opened, done, dead))
    read = len(opened.rows) + len(done.rows) == opened.count + done.count
    said = _reports(service, now)
    groups = {"open": opened, "done": done, "dead": dead}
    return Response(
        200,
        {
            "at": moment(now),
            "queues": [_depth(service, url) for url in _urls(service)],
            "dead_letter_queue": _depth(service, service.dlq_url) if service.dlq_url else None,
            "oldest_age_seconds": _oldest(opened.rows, now),
            "counts": {state.value: states[state] for state in State},
            "exact": exact and read and known,
            "groups": {
                name: {"count": each.count, "exact": each.exact} for name, each in groups.items()
            },
            "breakers": _breakers(said, now),
            "daemons": [_daemon(report, now) for report in said],
        },
    )


def _urls(service: Service) -> list[str]:
    """All queues; the default one first."""
    return list(dict.fromkeys([service.terms.queue_url, *service.terms.queues.values()]))


def _group(
    service: Service, state: State, *, rows: bool = True, newest_first: bool = False
) -> Group:
    group = Group()
    for shard in range(SHARDS):
        bucket, start = bucket_in(shard, state), None
        if rows:
            found, start = read_rows(service, bucket, ROWS, newest_first=newest_first)
            group.rows += found
            group.count += len(found)
        if start is not None or not rows:
            counted = index.count(
                service.table, bucket, COUNTED, start=start, newest_first=newest_first
            )
            reply = service.port.call(counted)
            group.count += index.read_count(reply)
            group.exact &= read_page(reply)[1] is None
    return group


def _states(service: Service, rows: list[Row]) -> tuple[Counter[State], bool]:
    """How many are in each state, and whether each of them was read."""
    # One id may be on two shards' pages at once, while the index follows a write.
    wanted = list(dict.fromkeys(row.id for row in rows))
    found: Counter[State] = Counter()
    for first in range(0, len(wanted), KEYS_PER_READ):
        chunk = wanted[first : first + KEYS_PER_READ]
        reply = service.port.call(index.states(service.table, chunk))
        found.update(index.read_states(reply, service.table))
    known = found.total() == len(wanted)
    found.pop(State.DEAD, None)  # counted by themselves
    return found, known


def _oldest(rows: Iterable[Row], now: int) -> float | None:
    """Seconds since the longest waiting of these open tasks might have run for the first time.

    Its clock starts with its life: as it was submitted or redriven, or when its delay ended. A
    task that was sent again keeps the moment of its submission.
    """
    began = [row.created_at if row.sweeps else row.sent_at for row in rows]
    waiting = [at for at in began if at <= now]
    return (now - min(waiting)) / 1000 if waiting else None


def _depth(service: Service, url: str) -> dict[str, Json]:
    found = queue.read_attributes(service.port.call(queue.depth(url)))

    def number(which: str) -> int:
        value = found.get(f"ApproximateNumberOfMessages{which}", "")
        return int(value) if value.isdecimal() else 0

    return {
        "name": url.rpartition("/")[2],
        "visible": number(""),
        "in_flight": number("NotVisible"),
        "delayed": number("Delayed"),
    }


def _reports(service: Service, now: int) -> list[Report]:
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


def _breakers(said: list[Report], now: int) -> list[Json]:
    return [
        {
            "name": name,
            "position": each.position.value,
            "openings": each.openings,
            "daemons": {position.value: count for position, count in each.daemons.items()},
        }
        for name, each in fleet(said, now).items()
    ]


def _daemon(report: Report, now: int) -> dict[str, Json]:
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
                "position": note.position.value,
                "openings": note.openings,
                "until": moment(note.until),
            }
            for name, note in report.breakers.items()
        },
    }
