"""The examples of the API's description: each a request that was really sent, and its answer.

    python -m tests.unit.api.examples

writes them anew, for a change of the API to be seen as a difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from api_lambda.openapi.document import EXAMPLES
from api_lambda.openapi.operations import OPERATIONS
from ftq.breaker import Position
from ftq.errors import Throttled
from ftq.ports import Call
from ftq.report import BreakerNote, Report
from ftq.settlement import Complete
from ftq.task import Failure, failure
from ftq.text import Json
from ftq.wire import reports
from tests.unit.api.door import NOW, TABLE, Door, Got
from tests.unit.api.dying import dead, settle

SMTP: Final = failure("exception", "smtplib.SMTPServerDisconnected", "Connection lost to mx7")
EMAIL: Final[Json] = {"to": "ada@example.com", "subject": "Welcome"}
WELCOME: Final[Json] = {"type": "email.send", "payload": EMAIL}


@dataclass(frozen=True, slots=True)
class Sent:
    """What is sent: parameters by name, wherever they go, and a body."""

    parameters: Mapping[str, str | int]
    body: Json = None
    text: str | None = None


def _sent(body: Json = None, /, *, text: str | None = None, **parameters: str | int) -> Sent:
    named = {name.replace("_", "-"): value for name, value in parameters.items()}
    return Sent(named, body, text)


@dataclass(frozen=True, slots=True)
class Example:
    """One request, and what has to be there before it."""

    operation: str
    name: str
    summary: str
    stage: Callable[[Door], Sent]


def _submitted(door: Door) -> str:
    return door.post(WELCOME, key="welcome-17").id


def _died(door: Door, why: Failure = SMTP, **more: Json) -> str:
    return dead(door, EMAIL, "email.send", why, **more)


def _repeated(door: Door) -> Sent:
    _submitted(door)
    body: Json = {"type": "email.send", "payload": {"to": "eve@example.com"}}
    return _sent(body, **{"Idempotency-Key": "welcome-17"})


def _table_away(door: Door) -> None:
    def refuse(call: Call) -> None:
        raise Throttled(call.operation, "Throttled", "slow down")

    door.port.before = refuse


def _not_stored(door: Door) -> Sent:
    _table_away(door)
    return _sent(WELCOME, **{"Idempotency-Key": "welcome-17"})


def _batch(door: Door) -> Sent:
    task: dict[str, Json] = {"type": "email.send", "payload": EMAIL, "idempotency_key": "w-17"}
    return _sent({"tasks": [task, {**task, "payload": {"to": "eve@example.com"}}]})


def _listed(door: Door) -> Sent:
    for _ in range(3):
        _died(door)
        door.clock.now += 60_000
    return _sent(state="dead", type="email.send", limit=2)


def _listed_on(door: Door) -> Sent:
    sent = _listed(door)
    page = _ask(door, "listTasks", sent).doc
    return Sent({**sent.parameters, "cursor": str(page["cursor"])})


def _done(door: Door) -> Sent:
    task_id = _submitted(door)
    door.clock.now += 1500
    settle(door, task_id, Complete('{"message_id":"m-1"}'))
    return _sent(id=task_id)


def _running(door: Door) -> Sent:
    task_id = _submitted(door)
    door.claim(task_id)
    return _sent({}, id=task_id)


def _dead_at_1(door: Door) -> Sent:
    return _sent({"claim_no": 1}, id=_died(door))


def _two_died(door: Door) -> None:
    _died(door)
    door.clock.now += 120_000
    _died(door)


def _many(door: Door, **asked: Json) -> Sent:
    _two_died(door)
    return _sent({"type": "email.send", "error": SMTP.fingerprint, **asked})


def _letters(door: Door) -> Sent:
    _two_died(door)
    return _sent(window="6h")


def _busy(door: Door) -> Sent:
    _submitted(door)
    _two_died(door)
    note = BreakerNote(Position.OPEN, 2, NOW + 150_000)
    said = Report(
        name="ip-10-0-1-7-1",
        version="0.1.0",
        queue=door.queue_url,
        at=NOW + 110_000,
        started_at=NOW - 3_600_000,
        concurrency=64,
        in_flight=12,
        breakers={"smtp": note},
    )
    door.aws.call(reports.write(TABLE, said))
    return _sent()


def _away(door: Door) -> Sent:
    _table_away(door)
    return _sent()


SCENES: Final = (
    Example(
        "submitTask", "now", "A task to run at once",
        lambda door: _sent(WELCOME, **{"Idempotency-Key": "welcome-17"}),
    ),
    Example(
        "submitTask", "later", "A task for tomorrow, on behalf of a tenant",
        lambda door: _sent(
            {
                "type": "report.build",
                "payload": {"month": 1},
                "not_before": "2027-01-16T08:00:00+01:00",
                "tenant": "acme",
            },
            **{"X-Correlation-Id": "order-7"},
        ),
    ),
    Example(
        "submitTask", "not_json", "A body that is cut off",
        lambda door: _sent(text='{"type": "email.send", "pay'),
    ),
    Example(
        "submitTask", "compressed", "A body in gzip",
        lambda door: _sent(text="H4sIAAAAAAAA", **{"Content-Encoding": "gzip"}),
    ),
    Example("submitTask", "key_conflict", "A key that stands for another payload", _repeated),
    Example(
        "submitTask", "too_large", "A payload over 256 KiB",
        lambda door: _sent(text=json.dumps({"type": "a", "payload": "x" * 2**18})),
    ),
    Example(
        "submitTask", "invalid", "No payload, and a field that there is not",
        lambda door: _sent({"type": "email.send", "priority": 3}),
    ),
    Example("submitTask", "not_stored", "The table does not answer", _not_stored),
    Example("submitTasks", "mixed", "One that is taken, and one that is not", _batch),
    Example(
        "submitTasks", "empty", "No task at all", lambda door: _sent({"tasks": []})
    ),
    Example("listTasks", "dead", "The dead of one type", _listed),
    Example("listTasks", "on", "The page after that", _listed_on),
    Example(
        "listTasks", "unknown_state", "A state that there is not",
        lambda door: _sent(state="done"),
    ),
    Example("getTask", "succeeded", "A task that has succeeded", _done),
    Example("getTask", "dead", "A task that has died", lambda door: _sent(id=_died(door))),
    Example("getTask", "nobody", "An id that no task has", lambda door: _sent(id="nobody")),
    Example(
        "cancelTask", "waiting", "A task that waits ends at once",
        lambda door: _sent({}, id=_submitted(door)),
    ),
    Example("cancelTask", "running", "A task that runs ends at its next beat", _running),
    Example("cancelTask", "over", "A task that has ended", lambda door: _sent({}, id=_died(door))),
    Example("redriveTask", "death", "The death that is meant", _dead_at_1),
    Example(
        "redriveTask", "not_dead", "A task that has not died",
        lambda door: _sent({}, id=_submitted(door)),
    ),
    Example(
        "redriveTasks", "count", "How many would be meant",
        lambda door: _many(door, dry_run=True),
    ),
    Example("redriveTasks", "some", "One of them", lambda door: _many(door, limit=1, rate=10)),
    Example(
        "redriveTasks", "no_fingerprint", "An error that is none",
        lambda door: _sent({"error": "ValueError"}),
    ),
    Example("getDeadLetters", "six_hours", "The last six hours", _letters),
    Example("getDeadLetters", "too_short", "Less than a minute", lambda door: _sent(window="5s")),
    Example("getStats", "busy", "One daemon whose mail server is away", _busy),
    Example("getHealth", "well", "The table answers", lambda door: _sent()),
    Example("getHealth", "away", "It does not", _away),
)  # fmt: skip


def _ask(door: Door, operation: str, sent: Sent) -> Got:
    [(method, path)] = [route for route, each in OPERATIONS.items() if each.id == operation]
    where = {each.name: each.where for each in OPERATIONS[method, path].parameters}
    headers, query = {}, {}
    for name, value in sent.parameters.items():
        match where.get(name, "header"):
            case "path":
                path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
            case "query":
                query[name] = value
            case _:
                headers[name.lower()] = str(value)
    target = f"{path}?{urlencode(query)}" if query else path
    body = json.dumps(sent.body) if sent.body is not None else sent.text
    if body is not None:
        headers["content-type"] = "application/json"
    return door.ask(method, target, body, headers)


def played(scene: Example) -> dict[str, Json]:
    """The example, sent to an API of its own."""
    door = Door()
    sent = scene.stage(door)
    got = _ask(door, scene.operation, sent)
    told: dict[str, Json] = {
        "operation": scene.operation,
        "name": scene.name,
        "summary": scene.summary,
        "parameters": {**sent.parameters},
        "status": got.status,
        "answer": got.doc,
    }
    return told if sent.body is None else {**told, "body": sent.body}


def main() -> None:
    """Write them all."""
    text = json.dumps([played(each) for each in SCENES], indent=1, sort_keys=True)
    EXAMPLES.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
