"""Everybody but the daemons: clients, operators, and those who touch the queue by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from api_lambda.http import Request
from api_lambda.problems import Problem
from api_lambda.service import Service
from api_lambda.submit import submit
from ftq import control
from ftq.control import CancelAnswer, Operator
from ftq.errors import CallError
from ftq.lifecycle import State
from ftq.ports import Port
from ftq.steps import Steps, walk_async
from ftq.submission import Submission, Terms, plan, task_id
from ftq.task import Task
from ftq.testing import FaultySyncPort, MemoryAws, MemorySyncPort, now_ms
from ftq.text import Json, dump
from ftq.wire import queue, table
from ftq.wire.queue import Outgoing
from ftq.wire.statements import Statements
from tests.simulation.book import Book
from tests.simulation.node import RETENTION_DAYS, TABLE
from tests.simulation.ops import Submit
from tests.simulation.weather import Weather

RETENTION: Final = RETENTION_DAYS * 86_400_000
_TRIES: Final = 6
T = TypeVar("T")
_STATEMENTS: Final = Statements(TABLE)


def id_of(submission: Submit) -> str:
    """The id of a submission's task."""
    if submission.way == "direct":
        return f"direct-{submission.task}"
    return task_id(_key(submission), "")


def _key(submission: Submit) -> str:
    return f"key-{submission.task}"


@dataclass(slots=True)
class Clients:
    """Who submits tasks."""

    aws: MemoryAws
    book: Book
    weather: Weather
    dice: random.Random
    url: str
    grace: int

    async def submit(self, submission: Submit) -> None:
        """Submit a task in its way."""
        life = self.book.life(id_of(submission))
        if life.made and life.record is None:
            return  # its retention is over: the key would stand for another task
        self.book.note("client", "submits", life.id, f"{submission.way}")
        match submission.way:
            case "api":
                await self._ask(submission)
            case "bare":
                self._put(submission)
            case "direct":
                await self.send(submission, stored=False)

    async def _ask(self, submission: Submit) -> None:
        """POST /tasks, again with the same key for as long as the answer is 503."""
        port = FaultySyncPort(MemorySyncPort(self.aws), self.weather)
        service = Service(
            port=port,
            table=TABLE,
            terms=self._terms(),
            registry=None,
            now=now_ms,
            monotonic=asyncio.get_running_loop().time,
            fresh=lambda: "",
            trace=lambda: "",
        )
        document: dict[str, Json] = {"type": submission.kind, "payload": _payload(submission)}
        if submission.delay:
            document["delay_seconds"] = submission.delay
        headers = {"idempotency-key": _key(submission)}
        life = self.book.life(id_of(submission))
        for _ in range(_TRIES):
            if life.made and life.record is None:
                return
            try:
                submit(service, Request("POST", "/tasks", headers=headers, text=dump(document)))
            except Problem as problem:
                self.book.seen[f"submit answered {problem.kind.status}"] += 1
                await asyncio.sleep(self.dice.random() * 5)
            else:
                if not life.made:
                    self.book.accuse("accepted is stored", id_of(submission), "202 before the put")
                return

    def _put(self, submission: Submit) -> None:
        """The API dies between the put and the send."""
        planned = plan(self._asked(submission), self._terms(), now_ms())
        self.book.seen["stored and never sent"] += 1
        try:
            if planned.beside is not None:
                key, until = planned.beside, planned.beside_expires_at
                self.aws.apply(table.put_beside(TABLE, key, planned.payload, until))
            self.aws.apply(table.put(TABLE, planned.task))
        except CallError as error:
            self.book.note("client", "put failed", planned.task.id, str(error))

    async def send(self, submission: Submit, *, stored: bool) -> None:
        """Send one copy of a task's message."""
        planned = plan(self._asked(submission), self._terms(), now_ms())
        body = planned.body
        if not stored:
            document: dict[str, Json] = {
                "id": id_of(submission),
                "type": submission.kind,
                "payload": _payload(submission),
            }
            body = dump(document)
        marks = queue.mark(queue.STORED, "1") if stored else {}
        await self.aws.call(queue.send(self.url, Outgoing(body, marks)))

    def _asked(self, submission: Submit) -> Submission:
        not_before = now_ms() + round(submission.delay * 1000) if submission.delay else 0
        kind, key = submission.kind, _key(submission)
        return Submission(kind, _payload(submission), key, not_before=not_before)

    def _terms(self) -> Terms:
        return Terms(self.url, self.grace, RETENTION)


def _payload(submission: Submit) -> Json:
    pad = "x" * 1500 if submission.large else ""
    return {"task": "none" if submission.bad else submission.task, "pad": pad}


@dataclass(slots=True)
class Operators:
    """Who looks after dead and unwanted tasks, over a network like everybody's."""

    port: Port
    book: Book
    dice: random.Random
    url: str
    grace: int

    async def cancel(self, key: str) -> None:
        """R19, as the API does it, again while there is no answer."""
        found = await self._insist(lambda: control.cancel(_STATEMENTS, key, self._who()))
        if found is not None and found.answer is not CancelAnswer.OVER:
            asked = found.answer is CancelAnswer.ASKED
            self.book.seen["cancel asked" if asked else "cancel written"] += 1

    async def redrive(self, key: str, again_after: float) -> None:
        """R3, as the API does it: at the death that was seen, over all repeats of the request."""
        task = await self._read(key)
        if task is None or task.state is not State.DEAD:
            return
        self.book.asked.add((key, task.claim_no))
        self.book.note("operator", "asks redrive", key, f"at claim {task.claim_no}")
        await self._redrive(task)
        if again_after:
            await asyncio.sleep(again_after)
            self.book.seen["redrive repeated"] += 1
            await self._redrive(task)

    async def _redrive(self, task: Task) -> None:
        died_at = task.claim_no
        await self._insist(lambda: control.redrive(_STATEMENTS, task.id, died_at, self._who()))

    def _who(self) -> Operator:
        return Operator("operator", now_ms(), self.grace, RETENTION)

    async def _read(self, key: str) -> Task | None:
        def steps() -> Steps[Task | None]:
            return table.read_get((yield table.get(TABLE, key)))

        return await self._insist(steps)

    async def _insist(self, ask: Callable[[], Steps[T]]) -> T | None:
        """The request, again while there is no answer."""
        for _ in range(_TRIES):
            try:
                return await walk_async(self.port, ask())
            except CallError as error:
                self.book.note("operator", "failed", more=str(error))
                await asyncio.sleep(self.dice.random() * 20)
        return None
