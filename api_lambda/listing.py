"""GET /tasks: tasks by state, type and tenant, newest first, page by page.

The index orders each shard by `due_at`: for what has ended that is when it ended, for what is
open when it deserves a look, which is a grace after it was to run. Read backwards, and with the
grace taken off, both are one line in time, and the shards are merged along it. A task that does
not move keeps its place on it; one that moves goes to the newer end, behind whoever reads on.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from typing_extensions import TypedDict

from api_lambda.http import Request, Response
from api_lambda.params import read_choice, read_number, read_query, shown
from api_lambda.problems import invalid
from api_lambda.records import read_records, read_rows
from api_lambda.service import Service
from api_lambda.tasks import Summary, summary
from ftq.cursor import read_cursor, write_cursor
from ftq.lifecycle import FINAL, State
from ftq.limits import ID_PATTERN, SHARDS, TENANT_PATTERN, TYPE_PATTERN
from ftq.task import Task, bucket_in
from ftq.wire.index import Row
from ftq.wire.item import Item
from ftq.wire.table import KEYS_PER_READ

DEFAULT: Final = 50
MOST: Final = 100
# Rows looked at in one request, however few of them match.
LOOKED: Final = 1_000
# Records read at once at least: most of them may not fit.
CHUNK: Final = 25
# With less time left than this the page ends where it is.
MARGIN_SECONDS: Final = 4.0
# One state of each group of shards.
_GROUPS: Final = (State.QUEUED, State.DEAD, State.SUCCEEDED)


class Listed(TypedDict):
    """A page of tasks, newest first.

    Attributes:
        tasks: The tasks.
        cursor: Where the next page begins; null at the end.
    """

    tasks: list[Summary]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Filters:
    """What is listed: '' lists all."""

    state: str
    type: str
    tenant: str

    @property
    def scope(self) -> list[str]:
        """What a cursor is good for."""
        return ["tasks", self.state, self.type, self.tenant]

    @property
    def groups(self) -> Iterable[State]:
        """The groups of shards in which such tasks are."""
        if not self.state:
            return _GROUPS
        state = State(self.state)
        return (State.DEAD if state is State.DEAD else _GROUPS[2 if state in FINAL else 0],)

    def fits_row(self, row: Row) -> bool:
        """Whether a row may be of such a task; its state is only in the record."""
        return self.type in ("", row.type) and self.tenant in ("", row.tenant)

    def fits(self, task: Task) -> bool:
        """Whether a record is."""
        return self.state in ("", task.state)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place on the line: the moment, and the id where moments are equal.

    Attributes:
        at: Milliseconds since the epoch.
        id: The task.
    """

    at: int
    id: str


def list_tasks(service: Service, request: Request) -> Response:
    """A page of tasks, and where the next one begins; it may have fewer than asked for."""
    params = read_query(request, "state", "type", "tenant", "limit", "cursor")
    filters = _filters(params)
    limit = read_number(params, "limit", DEFAULT, 1, MOST)
    place = _place(filters, params)
    tasks, last = _page(service, filters, limit, place)
    told: Listed = {
        "tasks": [summary(service, task) for task in tasks],
        "cursor": write_cursor(filters.scope, [last.at, last.id]) if last else None,
    }
    return Response(200, told)


def _filters(params: Mapping[str, str]) -> Filters:
    for name, pattern in (("type", TYPE_PATTERN), ("tenant", TENANT_PATTERN)):
        value = params.get(name)
        if value is not None and not pattern.fullmatch(value):
            raise invalid((name, f"is {shown(value)}: must match {pattern.pattern}"))
    state = read_choice(params, "state", [state.value for state in State])
    return Filters(state, params.get("type", ""), params.get("tenant", ""))


def _place(filters: Filters, params: Mapping[str, str]) -> Place | None:
    if "cursor" not in params:
        return None
    match read_cursor(filters.scope, params["cursor"]):
        case [int(at), str(task_id)] if ID_PATTERN.fullmatch(task_id):
            return Place(at, task_id)
        case _:
            raise invalid(("cursor", "is none that was given out for these filters"))


def _page(
    service: Service, filters: Filters, limit: int, place: Place | None
) -> tuple[list[Task], Place | None]:
    """The tasks of a page, and the last place looked at; None if nothing is behind it."""
    found: dict[str, Task] = {}
    looked = 0
    line = merged(service, filters, limit, place)
    while rows := [*islice(line, min(KEYS_PER_READ, max(CHUNK, limit - len(found))))]:
        looked += len(rows)
        fitting = dict.fromkeys(row.id for _, row in rows if filters.fits_row(row))
        records = read_records(service, [*fitting]) if fitting else {}
        for here, row in rows:
            task = records.get(row.id)
            # While the index follows a write, one task may be on two lines.
            if task is not None and filters.fits(task) and row.id not in found:
                found[row.id] = task
                if len(found) == limit:
                    return [*found.values()], here
        if looked >= LOOKED or service.seconds_left < MARGIN_SECONDS:
            return [*found.values()], rows[-1][0]
    return [*found.values()], None


def merged(
    service: Service, filters: Filters, limit: int, place: Place | None
) -> Iterator[tuple[Place, Row]]:
    """All rows that are behind a place on the line, newest first."""
    grace = service.terms.grace
    lines = [
        _line(service, bucket_in(shard, group), limit, place, 0 if group in FINAL else grace)
        for group in filters.groups
        for shard in range(SHARDS)
    ]
    return heapq.merge(*lines, key=lambda each: each[0], reverse=True)


def _line(
    service: Service, bucket: str, limit: int, place: Place | None, grace: int
) -> Iterator[tuple[Place, Row]]:
    """One shard's rows along the line.

    Rows of one moment come in no order that is promised, nor within one page: they are put in
    order here before any is handed on.
    """
    moment: list[Row] = []
    for row in _rows(service, bucket, limit, place.at + grace if place else None):
        if moment and row.due_at != moment[0].due_at:
            yield from _in_order(moment, place, grace)
            moment = []
        moment.append(row)
    yield from _in_order(moment, place, grace)


def _in_order(moment: list[Row], place: Place | None, grace: int) -> Iterator[tuple[Place, Row]]:
    for row in sorted(moment, key=lambda each: each.id, reverse=True):
        here = Place(row.due_at - grace, row.id)
        if place is None or here < place:
            yield here, row


def _rows(service: Service, bucket: str, limit: int, until: int | None) -> Iterator[Row]:
    # Shards are even: a little more than each one's share of the page makes a second rare.
    size = 8 + limit // 8
    start: Item | None = None
    while True:
        rows, start = read_rows(service, bucket, size, start=start, newest_first=True, until=until)
        yield from rows
        if start is None:
            return
