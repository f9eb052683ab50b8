"""What the client can do, each as a talk: written once, carried out with or without a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

from ftq.client.answers import Accepted, Answer, Cancelled, Health, Page, Redriven, Task
from ftq.client.asked import Options, Prepared, What, fields, prepare
from ftq.client.deaths import DeadLetters
from ftq.client.exchange import KEY, Ask, Pause, Reply, Talk, World, exchange
from ftq.client.problems import document_of, read
from ftq.client.statistics import Stats
from ftq.errors import Conflict, StillOpen, TaskFailed
from ftq.lifecycle import State
from ftq.registry import Registry
from ftq.text import Document, Json, dump

A = TypeVar("A", bound=Answer)

CORRELATION: Final = "x-correlation-id"
# Polls begin close together, for most tasks are short, and move apart to what a human notices.
POLL_SECONDS: Final = 0.05
POLL_GROWTH: Final = 1.6
LONGEST_POLL: Final = 5.0
PAGE: Final = 100


def get(task_id: str, world: World) -> Talk[Task]:
    """The task as it is now."""
    return (yield from _ask(Task, Ask("GET", _path(task_id)), world))


def submit(
    what: What, payload: object, options: Options, registry: Registry | None, world: World
) -> Talk[Accepted]:
    """Submit a task under a key, with which it is one task however often it is sent."""
    prepared = prepare(what, payload, options, registry, world.now(), world.fresh())
    return (yield from _ask(Accepted, _submission(prepared), world))


def _submission(prepared: Prepared) -> Ask:
    asked = prepared.submission
    headers = {KEY: asked.key}
    if asked.correlation_id:
        headers[CORRELATION] = asked.correlation_id
    return _post("/tasks", fields(prepared), headers)


def wait(
    task_id: str,
    timeout: float | None,
    raise_on_failure: bool,
    progress: Callable[[Task], None],
    world: World,
) -> Talk[Task]:
    """The task once it has ended.

    Args:
        task_id: The task.
        timeout: Seconds to wait at most; None waits for ever.
        raise_on_failure: Whether an end without success is an error.
        progress: Called with the task at each look before the last.
        world: The world.

    Raises:
        StillOpen: It has not ended in time; it goes on.
        TaskFailed: It is dead or cancelled, and that was to be an error.
    """
    began, pause = world.monotonic(), POLL_SECONDS
    while not (task := (yield from get(task_id, world))).final:
        progress(task)
        # Half of it is jitter: whoever submitted together does not ask together for ever.
        wanted = pause * (1 + world.dice()) / 2
        if timeout is not None:
            left = began + timeout - world.monotonic()
            if left <= 0:
                raise StillOpen(task_id, task.state, timeout)
            wanted = min(wanted, left)
        yield Pause(wanted)
        pause = min(LONGEST_POLL, pause * POLL_GROWTH)
    if raise_on_failure and not task.succeeded:
        raise TaskFailed(task_id, task.state, task.cause)
    return task


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tasks are listed; None lists all."""

    state: State | str | None = None
    type: str | None = None
    tenant: str | None = None


def page(wanted: Filter, limit: int, cursor: str | None, world: World) -> Talk[Page]:
    """A page of tasks, the newest first; it may have fewer than asked for."""
    query = {
        "state": None if wanted.state is None else str(wanted.state),
        "type": wanted.type,
        "tenant": wanted.tenant,
        "limit": str(limit),
        "cursor": cursor,
    }
    return (yield from _ask(Page, Ask("GET", "/tasks" + _query(query)), world))


def cancel(task_id: str, world: World) -> Talk[Cancelled]:
    """Cancel a task."""
    done = yield from exchange(_post(f"{_path(task_id)}/cancel", {}), world)
    try:
        return read(Cancelled, done)
    except Conflict as conflict:
        # Cancelled by the very request whose answer did not come.
        if done.doubtful and conflict.state == State.CANCELLED:
            return Cancelled.of({"id": task_id, "state": str(conflict.state)})
        raise


def redrive(task_id: str, claim_no: int | None, world: World) -> Talk[Redriven]:
    """Give a dead task one more life.

    The death is read first unless it is named: a request that names it can be repeated.
    """
    if claim_no is None:
        task = yield from get(task_id, world)
        claim_no = task.claim_no if task.state == State.DEAD else None
    body: Document = {} if claim_no is None else {"claim_no": claim_no}
    ask = _post(f"{_path(task_id)}/redrive", body, repeatable=claim_no is not None)
    return (yield from _ask(Redriven, ask, world))


@dataclass(frozen=True, slots=True)
class Deaths:
    """Which of the dead are meant.

    Attributes:
        type: Only tasks of this type.
        error: Only tasks whose last error has this fingerprint.
        before: Only what had died by this moment; the moment of the request if None.
    """

    type: str | None = None
    error: str | None = None
    before: datetime | None = None


Progress = Callable[[Redriven], None]


def redrive_all(
    meant: Deaths, rate: float | None, dry_run: bool, progress: Progress, world: World
) -> Talk[Redriven]:
    """Give the dead that fit one more life each, page by page to the end.

    Args:
        meant: Which of them.
        rate: Tasks a second; None goes as fast as it can.
        dry_run: Whether they are only counted.
        progress: Called with the sums after each page, and before the first one.
        world: The world.
    """
    body: Document = {}
    if meant.type is not None:
        body["type"] = meant.type
    if meant.error is not None:
        body["error"] = meant.error
    # The API's clock says which deaths are meant: repeated pages then give nobody two lives.
    first: Document = {**body, "dry_run": True, "limit": 1, **_before(meant.before)}
    begun = yield from _ask(Redriven, _post("/redrives", first), world)
    body |= {"dry_run": dry_run, **_before(begun.before)}
    if rate is not None:
        body["rate"] = rate
    ahead = begun.remaining
    if ahead is not None:
        ahead = ahead.model_copy(update={"count": ahead.count + begun.matched})
    sums = Redriven(matched=0, redriven=0, dry_run=dry_run, before=begun.before, remaining=ahead)
    progress(sums)
    cursor: str | None = None
    while True:
        asked: Document = body if cursor is None else {**body, "cursor": cursor}
        done = yield from _ask(Redriven, _post("/redrives", asked), world)
        sums = Redriven(
            matched=sums.matched + done.matched,
            redriven=sums.redriven + done.redriven,
            failed=sums.failed + done.failed,
            dry_run=dry_run,
            before=done.before,
            cursor=done.cursor,
            remaining=done.remaining,
        )
        progress(sums)
        if done.cursor is None:
            return sums
        cursor = done.cursor


def health(world: World) -> Talk[Health]:
    """Whether tasks can be accepted."""
    done = yield from exchange(Ask("GET", "/health"), world)
    document = document_of(done.ask, done.outcome)
    date = done.outcome.headers.get("date", "") if isinstance(done.outcome, Reply) else ""
    return Health.of({"status": str(document.get("status")), "date": date})


def stats(world: World) -> Talk[Stats]:
    """How everything is at this moment."""
    return (yield from _ask(Stats, Ask("GET", "/stats"), world))


def dead_letters(window: str | None, world: World) -> Talk[DeadLetters]:
    """What died in a window of time."""
    ask = Ask("GET", "/dead-letters" + _query({"window": window}))
    return (yield from _ask(DeadLetters, ask, world))


def _before(moment: datetime | None) -> dict[str, Json]:
    return {} if moment is None else {"before": moment.astimezone(UTC).isoformat()}


def _ask(model: type[A], ask: Ask, world: World) -> Talk[A]:
    return read(model, (yield from exchange(ask, world)))


def _post(
    path: str,
    document: Document,
    headers: Mapping[str, str] | None = None,
    *,
    repeatable: bool = True,
) -> Ask:
    body = dump(document).encode()
    named = {"content-type": "application/json", **(headers or {})}
    return Ask("POST", path, body, named, repeatable)


def _path(task_id: str) -> str:
    return f"/tasks/{quote(task_id, safe='')}"


def _query(params: Mapping[str, str | None]) -> str:
    given = {name: value for name, value in params.items() if value is not None}
    return "?" + urlencode(given, quote_via=quote) if given else ""
