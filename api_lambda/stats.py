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

from typing_extensions import TypedDict

from api_lambda.fleet import DaemonReport, FleetBreaker, breakers, daemon, read_reports
from api_lambda.http import Moment, Request, Response, moment
from api_lambda.params import read_query
from api_lambda.records import read_rows
from api_lambda.service import Service
from ftq.lifecycle import State
from ftq.limits import SHARDS
from ftq.task import bucket_in
from ftq.wire import index, queue
from ftq.wire.index import Row
from ftq.wire.table import KEYS_PER_READ, read_page

# Of each shard: tasks whose state is read, and tasks that are counted beyond those.
ROWS: Final = 60
COUNTED: Final = 1_000


class Depth(TypedDict):
    """A queue in SQS's own approximate numbers.

    Attributes:
        name: The queue.
        visible: Messages that can be received.
        in_flight: Messages that were received and not deleted.
        delayed: Messages that cannot be received yet.
    """

    name: str
    visible: int
    in_flight: int
    delayed: int


class StateGroup(TypedDict):
    """A group of states.

    Attributes:
        count: How many tasks were counted.
        exact: Whether that is all.
    """

    count: int
    exact: bool


class Stats(TypedDict):
    """How everything is.

    Attributes:
        at: At this moment.
        queues: The queues.
        dead_letter_queue: Null if the API does not know it.
        oldest_age_seconds: How long the longest waiting task has been due; null if none waits.
        counts: Tasks by state.
        exact: Whether those are all; if not, each is a lower bound.
        groups: Tasks by open, done and dead.
        breakers: As all live daemons see them.
        daemons: The newest report first.
    """

    at: Moment | None
    queues: list[Depth]
    dead_letter_queue: Depth | None
    oldest_age_seconds: float | None
    counts: dict[State, int]
    exact: bool
    groups: dict[str, StateGroup]
    breakers: list[FleetBreaker]
    daemons: list[DaemonReport]


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
    said = read_reports(service, now)
    groups = {"open": opened, "done": done, "dead": dead}
    told: Stats = {
        "at": moment(now),
        "queues": [_depth(service, url) for url in _urls(service)],
        "dead_letter_queue": _depth(service, service.dlq_url) if service.dlq_url else None,
        "oldest_age_seconds": _oldest(opened.rows, now),
        "counts": {state: states[state] for state in State},
        "exact": exact and read and known,
        "groups": {
            name: {"count": each.count, "exact": each.exact} for name, each in groups.items()
        },
        "breakers": breakers(said, now),
        "daemons": [daemon(report, now) for report in said],
    }
    return Response(200, told)


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


def _depth(service: Service, url: str) -> Depth:
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
