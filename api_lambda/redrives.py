"""POST /redrives: one more life for many dead tasks, as many as one request can do.

It goes through the dead shard by shard, the oldest deaths first, and stops at its limit or when
its time is up; the answer says where to go on. Only deaths from `before` it began are meant, so
that whoever goes on, or begins again after a crash, gives nobody a second life.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from api_lambda.asked import WHOLE, Instant, read_fields
from api_lambda.control import operator
from api_lambda.http import Moment, Request, Response, moment
from api_lambda.log import audit
from api_lambda.params import read_query
from api_lambda.problems import invalid
from api_lambda.records import read_records, read_rows
from api_lambda.service import Service
from api_lambda.submit import log_mishaps
from ftq.control import Operator, RedriveAnswer, redrive_many
from ftq.cursor import read_cursor, write_cursor
from ftq.errors import CallError
from ftq.lifecycle import State
from ftq.limits import ID_PATTERN, SHARDS, STATEMENTS_PER_BATCH, TYPE_PATTERN
from ftq.steps import walk
from ftq.task import Task, bucket_in
from ftq.wire import index, table
from ftq.wire.index import Row
from ftq.wire.item import Item
from ftq.wire.statements import Statements
from ftq.wire.table import KEYS_PER_READ

MOST: Final = 1_000
RATE: Final = 1_000.0
# Rows of the index looked at in one request, however few of them match.
LOOKED: Final = 5_000
# No chunk begins with less time left than this.
MARGIN_SECONDS: Final = 2.0
COUNTED: Final = 1_000
FINGERPRINT: Final = r"^[0-9a-f]{12}$"


class RedrivesFields(BaseModel):
    """Which dead tasks are meant.

    Attributes:
        type: Only tasks of this type.
        error: Only tasks whose last error has this fingerprint.
        limit: At most so many tasks in this request.
        rate: At most so many tasks a second; as fast as it goes if left out.
        dry_run: Only count what fits.
        before: Only what had died by this moment; the moment of the request if left out.
        cursor: Where an earlier request with the same type and error stopped.
    """

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    type: Annotated[str, Field(pattern=f"^(?:{TYPE_PATTERN.pattern})$")] | None = None
    error: Annotated[str, Field(pattern=FINGERPRINT)] | None = None
    limit: Annotated[int, Field(ge=1, le=MOST), WHOLE] = MOST
    rate: Annotated[float, Field(ge=1, le=RATE)] | None = None
    dry_run: bool = False
    before: Instant | None = None
    cursor: str | None = None


class Remaining(TypedDict):
    """The dead that were not looked at, whether they fit or not.

    Attributes:
        count: How many.
        exact: Whether that is all of them.
    """

    count: int
    exact: bool


class RedrivesResult(TypedDict):
    """What one request did.

    Attributes:
        matched: Dead tasks that fit.
        redriven: Those that have one more life.
        failed: Those for which the table did not answer: they may still be dead.
        dry_run: Whether they were only counted.
        before: Only what had died by then was meant.
        cursor: Where the next request goes on; null when all is done.
        remaining: What was not looked at; null if it could not be counted.
    """

    matched: int
    redriven: int
    failed: int
    dry_run: bool
    before: Moment | None
    cursor: str | None
    remaining: Remaining | None


@dataclass(slots=True)
class Progress:
    """How far one request has come.

    Attributes:
        before: Only deaths up to this moment are meant.
        shard: The shard under way; ``SHARDS`` when all is done.
        last: The last row dealt with in it; None at its beginning.
        looked: Rows of the index that were looked at.
        matched: Dead tasks that fit.
        redriven: Those that have one more life.
        failed: Those for which the table did not answer.
    """

    before: int
    shard: int = 0
    last: Row | None = None
    looked: int = 0
    matched: int = 0
    redriven: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Redrives:
    """One request under way."""

    service: Service
    request: Request
    asked: RedrivesFields
    who: Operator
    progress: Progress
    statements: Statements = field(init=False)

    def __post_init__(self) -> None:
        """Make what follows from the rest."""
        object.__setattr__(self, "statements", Statements(self.service.table))

    def run(self) -> None:
        """Go on until all is done, or the limit, or the time, is reached.

        Raises:
            CallError: AWS does not answer; what was done by then stands in the progress.
        """
        at = self.progress
        while at.shard < SHARDS:
            for rows in self._pages():
                at.looked += len(rows)
                if not self._page(rows):
                    return
            at.shard, at.last = at.shard + 1, None

    def _pages(self) -> Iterator[list[Row]]:
        at = self.progress
        start: Item | None = index.after(at.last) if at.last is not None else None
        while True:
            rows, start = read_rows(
                self.service,
                bucket_in(at.shard, State.DEAD),
                KEYS_PER_READ,
                start=start,
                until=at.before,
            )
            yield rows
            if start is None:
                return

    def _page(self, rows: list[Row]) -> bool:
        """Deal with a page; whether to go on behind it."""
        at, asked = self.progress, self.asked
        fitting = [row for row in rows if asked.type in (None, row.type)]
        records = read_records(self.service, [row.id for row in fitting]) if fitting else {}
        wanted = [row for row in fitting if self._fits(records.get(row.id))]
        size = STATEMENTS_PER_BATCH if asked.rate is None else int(asked.rate)
        size = min(size, STATEMENTS_PER_BATCH)
        while wanted:
            room = asked.limit - at.matched
            if not room or self.service.seconds_left < MARGIN_SECONDS:
                return False
            chunk, wanted = wanted[: min(size, room)], wanted[min(size, room) :]
            self._redrive([records[row.id] for row in chunk])
            at.last = chunk[-1]
        if rows:
            at.last = rows[-1]
        return at.looked < LOOKED and self.service.seconds_left >= MARGIN_SECONDS

    def _fits(self, task: Task | None) -> bool:
        """Whether a record is meant; the index may be behind it."""
        if task is None or task.state is not State.DEAD or task.due_at > self.progress.before:
            return False
        error = task.last_error.fingerprint if task.last_error else ""
        return self.asked.error in (None, error)

    def _redrive(self, tasks: list[Task]) -> None:
        at, began = self.progress, self.service.monotonic()
        if not self.asked.dry_run:
            who = replace(self.who, now=self.service.now())
            steps = redrive_many(self.statements, tasks, None, who)
            results = walk(self.service.port, steps)
            for each in results:
                log_mishaps(each.mishaps)
                at.failed += each.answer is RedriveAnswer.FAILED
                if each.answer is RedriveAnswer.REDRIVEN:
                    at.redriven += 1
                    audit(self.request, "task.redriven", each.task, State.DEAD, State.QUEUED)
        at.matched += len(tasks)
        if self.asked.rate is not None and not self.asked.dry_run:
            spent = self.service.monotonic() - began
            self.service.sleep(max(0.0, len(tasks) / self.asked.rate - spent))

    def left(self) -> Remaining | None:
        """The dead that were not looked at, whether they fit or not; None if nobody knows."""
        at, count, exact = self.progress, 0, True
        start = index.after(at.last) if at.last is not None else None
        for shard in range(at.shard, SHARDS):
            bucket = bucket_in(shard, State.DEAD)
            asked = index.count(self.service.table, bucket, COUNTED, start=start, until=at.before)
            try:
                reply = self.service.port.call(asked)
            except CallError:
                return None
            start = None
            count += index.read_count(reply)
            exact &= table.read_page(reply)[1] is None
        return {"count": count, "exact": exact}


def redrives(service: Service, request: Request) -> Response:
    """Redrive what is dead and fits, paced and bounded."""
    read_query(request)
    asked = read_fields(RedrivesFields, request)
    scope = ["redrives", asked.type or "", asked.error or ""]
    progress = _progress(scope, asked, service.now())
    run = Redrives(service, request, asked, operator(service, request), progress)
    try:
        run.run()
    except CallError:
        if not progress.redriven:
            raise
        # What was done is told; the cursor leads on to the rest.
    done = progress.shard == SHARDS
    told: RedrivesResult = {
        "matched": progress.matched,
        "redriven": progress.redriven,
        "failed": progress.failed,
        "dry_run": asked.dry_run,
        "before": moment(progress.before),
        "cursor": None if done else _cursor(scope, progress),
        "remaining": {"count": 0, "exact": True} if done else run.left(),
    }
    return Response(202, told)


def _cursor(scope: list[str], at: Progress) -> str:
    place: list[int | str] = [at.before, at.shard]
    if at.last is not None:
        place += [at.last.due_at, at.last.id]
    return write_cursor(scope, place)


def _progress(scope: list[str], asked: RedrivesFields, now: int) -> Progress:
    if asked.cursor is None:
        return Progress(min(now, asked.before) if asked.before is not None else now)
    match read_cursor(scope, asked.cursor):
        case [int(before), int(shard)] if 0 <= shard < SHARDS:
            at = Progress(before, shard)
        case [int(before), int(shard), int(due_at), str(task_id)] if (
            0 <= shard < SHARDS and ID_PATTERN.fullmatch(task_id)
        ):
            at = Progress(before, shard, Row(task_id, bucket_in(shard, State.DEAD), due_at))
        case _:
            must = "is none that was given out for this type and error"
            raise invalid(("cursor", must))
    if asked.before not in (None, before):
        raise invalid(("before", f"the cursor was given out for {moment(before)}"))
    return at
