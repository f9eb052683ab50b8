"""Many tasks in few requests, each accepted or refused by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from pydantic import Field, JsonValue, ValidationError

from ftq.client.answers import Accepted, Answer
from ftq.client.asked import NewTask, fields, prepare
from ftq.client.exchange import PASSING, Ask, Pause, Reply, Talk, World, exchange, next_try
from ftq.client.problems import STRANGER, problem, read
from ftq.client.talks import CORRELATION
from ftq.errors import ClientError, FtqError, SubmissionError, Unreachable
from ftq.limits import KIB
from ftq.registry import Registry
from ftq.text import dump, size

Results: TypeAlias = "list[Accepted | FtqError]"
"""For each task, in order, how it was accepted or why not."""

# The API's own limits for one request (docs/reference/http.md), which keep it below Lambda's 6 MB.
TASKS: Final = 100
BYTES: Final = 4 * KIB * KIB


@dataclass(frozen=True, slots=True)
class _Entry:
    place: int
    key: str
    correlation_id: str
    text: str

    @property
    def bytes(self) -> int:
        # Lambda gets the body as a JSON string, in which each quote takes one more.
        return size(self.text) + self.text.count('"') + self.text.count("\\") + 1


class _Result(Answer):
    status: int
    problem: dict[str, JsonValue] = Field(default_factory=dict)


class _Batch(Answer):
    results: tuple[dict[str, JsonValue], ...]


def submit_many(tasks: Iterable[NewTask], registry: Registry | None, world: World) -> Talk[Results]:
    """Submit tasks, as many as fit in each request."""
    results: dict[int, Accepted | FtqError] = {}
    gone: Unreachable | None = None
    for chunk in _chunks(_entries(tasks, registry, world, results)):
        if gone is None:
            gone = yield from _submit(chunk, results, world)
        else:
            # Nobody is there: what comes after is not tried as long, one request after another.
            why = f"not sent, as the ones before it were not: {gone}"
            results |= {each.place: Unreachable(why, 0, each.key) for each in chunk}
    return [results[place] for place in sorted(results)]


def _entries(
    tasks: Iterable[NewTask],
    registry: Registry | None,
    world: World,
    results: dict[int, Accepted | FtqError],
) -> Iterator[_Entry]:
    for place, new in enumerate(tasks):
        try:
            prepared = prepare(
                new.what, new.payload, new.options, registry, world.now(), world.fresh()
            )
        except SubmissionError as error:
            results[place] = error
            continue
        asked = prepared.submission
        text = dump({**fields(prepared), "idempotency_key": asked.key})
        yield _Entry(place, asked.key, asked.correlation_id, text)


def _chunks(entries: Iterable[_Entry]) -> Iterator[list[_Entry]]:
    """Entries that go in one request: one correlation id is for all of it."""
    chunk: list[_Entry] = []
    room = 0
    for entry in entries:
        full = len(chunk) == TASKS or room < entry.bytes
        if chunk and (full or entry.correlation_id != chunk[0].correlation_id):
            yield chunk
            chunk = []
        if not chunk:
            room = BYTES - KIB
        chunk.append(entry)
        room -= entry.bytes
    if chunk:
        yield chunk


def _submit(
    chunk: list[_Entry], results: dict[int, Accepted | FtqError], world: World
) -> Talk[Unreachable | None]:
    """Submit a chunk, and what of it may pass by itself again; the error if nobody is there."""
    tried = 0
    while True:
        done = yield from exchange(_request(chunk), world)
        tried += 1
        try:
            said = read(_Batch, done).results
            if len(said) != len(chunk):
                raise Unreachable(STRANGER)
            passing = _read(chunk, said, results)
        except Unreachable as error:
            results |= {
                each.place: Unreachable(str(error), error.status, each.key) for each in chunk
            }
            return error
        except ClientError as error:
            results |= dict.fromkeys((each.place for each in chunk), error)
            return None
        if not passing:
            return None
        wait = next_try(world.retry, tried, True, Reply(503, {}, b""), world.dice())
        if wait is None:
            return None
        yield Pause(wait)
        chunk = passing


def _read(
    chunk: list[_Entry],
    said: Iterable[dict[str, JsonValue]],
    results: dict[int, Accepted | FtqError],
) -> list[_Entry]:
    """Note the results; those entries that may pass when they are sent again."""
    passing: list[_Entry] = []
    for entry, document in zip(chunk, said, strict=True):
        try:
            result = _Result.of(document)
            if result.status < 300:
                results[entry.place] = Accepted.of(document)
                continue
        except ValidationError:
            results[entry.place] = Unreachable(STRANGER, 0, entry.key)
            continue
        if result.status in PASSING:
            why = f"{result.status} {result.problem.get('title', '')}"
            results[entry.place] = Unreachable(why, result.status, entry.key)
            passing.append(entry)
        else:
            results[entry.place] = problem(result.status, result.problem, size(entry.text))
    return passing


def _request(chunk: list[_Entry]) -> Ask:
    body = '{"tasks":[' + ",".join(each.text for each in chunk) + "]}"
    headers = {"content-type": "application/json"}
    if chunk[0].correlation_id:
        headers[CORRELATION] = chunk[0].correlation_id
    return Ask("POST", "/tasks/batch", body.encode(), headers)
