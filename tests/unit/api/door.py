"""The API as its callers meet it: requests in, answers out, and a look behind the door."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from api_lambda.http import Answer
from api_lambda.routes import Api
from api_lambda.service import Service
from ftq.ports import Call, Reply, SyncPort
from ftq.registry import Registry
from ftq.submission import Terms
from ftq.task import Task
from ftq.testing import MemoryAws, MemorySyncPort
from ftq.text import Json
from ftq.wire import create, queue, table
from ftq.wire.claimant import Claimant
from ftq.wire.queue import Message
from ftq.wire.statements import Statement, Statements
from tests.unit.api.described import is_described

TABLE = "tasks"
GRACE = 900_000
RETENTION = 30 * 24 * 3600 * 1000
NOW = 1_800_000_000_000


@dataclass(slots=True)
class Clock:
    """A clock that stands still until it is moved."""

    now: int = NOW

    def ms(self) -> int:
        return self.now

    def seconds(self) -> float:
        return self.now / 1000

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1000)


@dataclass(slots=True)
class Recorder:
    """A port that remembers the calls it passed on, and fails those that it is told to."""

    port: SyncPort
    calls: list[Call] = field(default_factory=list)
    before: Callable[[Call], None] = lambda call: None

    def call(self, call: Call) -> Reply:
        self.calls.append(call)
        self.before(call)
        return self.port.call(call)

    @property
    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]


@dataclass(frozen=True, slots=True)
class Got:
    """An answer, its document read."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def doc(self) -> dict[str, Json]:
        document: Json = json.loads(self.body)
        assert isinstance(document, dict)
        return document

    @property
    def fields(self) -> list[str]:
        """The fields that a problem names."""
        errors = self.doc.get("errors", [])
        assert isinstance(errors, list)
        return [str(error["field"]) for error in errors if isinstance(error, dict)]

    @property
    def id(self) -> str:
        return str(self.doc["id"])


class Door:
    """An API on an account of its own.

    Args:
        aws: The port to the account; one in memory if None.
        registry: The handlers that the API knows.
    """

    def __init__(self, aws: SyncPort | None = None, registry: Registry | None = None) -> None:
        self.clock = Clock()
        self.memory = MemoryAws(self.clock.ms)
        self.aws = aws or MemorySyncPort(self.memory)
        made = self.aws.call(create.queue("tasks"))
        self.queue_url = str(made["QueueUrl"])
        self.aws.call(create.table(TABLE))
        self.port = Recorder(self.aws)
        self.ids = 0
        self.trace = ""
        self.api = Api(
            Service(
                port=self.port,
                table=TABLE,
                terms=Terms(self.queue_url, GRACE, RETENTION),
                registry=registry,
                now=self.clock.ms,
                monotonic=self.clock.seconds,
                fresh=self._fresh,
                trace=lambda: self.trace,
                sleep=self.clock.sleep,
            )
        )

    def _fresh(self) -> str:
        self.ids += 1
        return f"fresh-{self.ids}"

    def behind(self, port: SyncPort) -> None:
        """Put a port between the API and the account."""
        self.api = Api(replace(self.api.service, port=port))

    def ask(
        self,
        method: str,
        path: str,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        base64: bool = False,
        stage: str = "$default",
    ) -> Got:
        got = read(self.api.handle(event(method, path, body, headers, base64, stage)))
        is_described(method, path.partition("?")[0], got.status, got.headers, got.body)
        return got

    def post(self, document: Json, key: str | None = None, **headers: str) -> Got:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            named["idempotency-key"] = key
        return self.ask("POST", "/tasks", json.dumps(document), named)

    def get(self, task_id: str) -> Got:
        return self.ask("GET", f"/tasks/{task_id}")

    # --- behind the door ----------------------------------------------------------------------

    def lag(self, milliseconds: int) -> None:
        """Let the index of the account in memory follow its table so much later from now on."""
        for index in self.memory.table(TABLE).indexes.values():
            index.lag = milliseconds

    def record(self, task_id: str) -> Task | None:
        return table.read_get(self.aws.call(table.get(TABLE, task_id)))

    def beside(self, key: str) -> table.Beside | None:
        return table.read_beside(self.aws.call(table.get(TABLE, key)))

    def messages(self) -> list[Message]:
        """What can be received now; it stays hidden afterwards."""
        found: list[Message] = []
        while got := queue.read_receive(self.aws.call(queue.receive(self.queue_url, 10, 0, 600))):
            found += got
        return found

    def claim(self, task_id: str) -> Task:
        """Claim a task, as a daemon does; the record as it is then."""
        who = Claimant("a-daemon", "a-token", self.clock.now, self.clock.now + 60_000)
        self.write(Statements(TABLE).claim(task_id, who))
        task = self.record(task_id)
        assert task is not None
        return task

    def write(self, statement: Statement) -> None:
        reply = self.aws.call(table.execute([statement]))
        (result,) = table.read_execute(reply, 1)
        assert isinstance(result, table.Written), result


def dig(value: Json, *path: str | int) -> Json:
    """What a document has at a path of keys and positions."""
    for step in path:
        if isinstance(step, str):
            assert isinstance(value, dict)
            value = value[step]
        else:
            assert isinstance(value, list)
            value = value[step]
    return value


def event(
    method: str,
    path: str,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    base64: bool = False,
    stage: str = "$default",
) -> dict[str, object]:
    """A request as API Gateway's HTTP API sends it."""
    path, _, query = path.partition("?")
    made: dict[str, object] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": dict(headers or {}),
        "requestContext": {"http": {"method": method, "path": path}, "stage": stage},
        "isBase64Encoded": base64,
    }
    if body is not None:
        made["body"] = body
    return made


def read(answer: Answer) -> Got:
    return Got(answer["statusCode"], answer["headers"], answer["body"])
