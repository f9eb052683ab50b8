"""What is done with a task that was claimed: admitted, given its payload, run under a lease."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

from ftq.codec import Envelope, fingerprint
from ftq.context import Context, OnItsWay, Signals
from ftq.errors import CallError
from ftq.handler import Handler
from ftq.outcome import Interrupted, Lost, Orphaned, Outcome, Quarantined
from ftq.registry import Registry
from ftq.retry import RetryPolicy
from ftq.settlement import Cause
from ftq.task import Entry, Task, failure, payload_key, remember
from ftq.value import value
from ftq.verdict import Settle, admit, stay_apart
from ftq_daemon.beat import Beat, Holding
from ftq_daemon.children.child import NoChild
from ftq_daemon.claims import Claim
from ftq_daemon.clock import World
from ftq_daemon.events import Abandoned, Crashed, Events, Failed
from ftq_daemon.queue import Received
from ftq_daemon.runner import Attempt, Runner
from ftq_daemon.sinks.log import bind
from ftq_daemon.store import Store, in_seconds

# A type that no daemon knows is given this long for a deployment to bring its handler (R16).
UNKNOWN_FOR: Final = 3_600_000
UNKNOWN_WAIT: Final = 30_000
DEFAULT_POLICY: Final = RetryPolicy()


@value(frozen=True, slots=True)
class Ran:
    """What came of a claim.

    Attributes:
        task: The record with our claim in it.
        outcome: How the claim ended.
        policy: The retry policy that applies.
        seconds: How long the handler ran.
        cancel_asked: Whether a beat brought word that the task is to be cancelled.
        wait: Milliseconds that a release keeps the message hidden.
    """

    task: Task
    outcome: Outcome
    policy: RetryPolicy = DEFAULT_POLICY
    seconds: float = 0.0
    cancel_asked: bool = False
    wait: int = 0


@dataclass(slots=True)
class Work:
    """Runs claimed tasks.

    Attributes:
        registry: The handlers.
        store: The table.
        runner: Runs handlers.
        beat: Keeps claims alive.
        world: Clock and dice.
        events: Where facts are told.
        visibility: The visibility timeout in milliseconds.
        retention: Milliseconds that a final record is kept.
        crash_limit: Lapsed claims at which a task is quarantined.
        running: The runs under way, in the order in which they began: whoever stops the daemon
            tells them.
        suspects: How many of them are suspects.
        header: The trace header for what a task's handler calls.
    """

    registry: Registry
    store: Store
    runner: Runner
    beat: Beat
    world: World
    events: Events
    visibility: int
    retention: int
    crash_limit: int
    running: dict[Attempt, None] = field(default_factory=dict)
    suspects: int = 0
    header: Callable[[Task], str] = lambda task: task.trace
    _stopping: bool = False
    _interrupted: bool = False

    def stop(self) -> None:
        """Let every handler know that the daemon is about to stop."""
        self._stopping = True
        for attempt in self.running:
            attempt.signals.tell(stopping=True)

    def interrupt(self) -> None:
        """Tell every run to end now, and those that would still begin not to."""
        self._interrupted = True
        for attempt in tuple(self.running):
            attempt.end(Interrupted())

    async def run(self, received: Received, envelope: Envelope, claim: Claim) -> Ran:
        """Run a claimed task, unless the rules say otherwise."""
        if claim.lapsed is not None:
            claim = self._with_lapse(claim, claim.lapsed)
        task = claim.task
        admission = admit(task, self.crash_limit)
        if isinstance(admission, Settle):
            orphaned = isinstance(admission.outcome, Orphaned)
            wait = stay_apart(task, self.visibility, self.world.dice()) if orphaned else 0
            return Ran(task, admission.outcome, wait=wait)
        if self._interrupted:
            return Ran(task, Interrupted())
        handler = self.registry.get(task.type)
        if handler is None:
            return self._unknown(received, task)
        if admission.suspect and self.suspects >= self.runner.suspects.most:
            # It does not wait here: whoever holds a claim is blamed for what happens meanwhile.
            return Ran(task, Interrupted(), wait=self._later())
        return await self._leased(received, envelope, claim, handler, suspect=admission.suspect)

    def _later(self) -> int:
        return round((0.5 + self.world.dice() / 2) * self.visibility)

    def _with_lapse(self, claim: Claim, lapsed: Entry) -> Claim:
        """The claim, with the end of the one before it in its record."""
        self.events.emit(Crashed(claim.task, lapsed.by))
        history = remember(claim.task.history, lapsed)
        return replace(claim, task=replace(claim.task, history=history))

    def _unknown(self, received: Received, task: Task) -> Ran:
        if self.world.now() - received.message.refused_since < UNKNOWN_FOR:
            return Ran(task, Interrupted(), wait=UNKNOWN_WAIT)
        text = f"no daemon has had a handler for {task.type!r} for an hour"
        return Ran(task, Quarantined(failure(Cause.UNKNOWN_TYPE, "UnknownType", text)))

    async def _leased(
        self,
        received: Received,
        envelope: Envelope,
        claim: Claim,
        handler: Handler,
        *,
        suspect: bool,
    ) -> Ran:
        """Run under a lease that is renewed until just before the claim is settled."""
        attempt = Attempt(Signals(stopping=self._stopping))
        holding = Holding(claim.task, received, attempt, claim.since)
        self.running[attempt] = None
        self.suspects += suspect
        self.beat.hold(holding)
        loop = asyncio.get_running_loop()
        started = loop.time()
        outcome: Outcome
        wait = 0
        try:
            outcome = await self._prepared(holding, envelope, claim, handler, suspect=suspect)
        except (CallError, NoChild) as error:
            # The table failed us before the handler began, or no process could be had for it:
            # the task is not to blame.
            self.events.emit(Failed("prepare", str(error), claim.task.id))
            outcome, wait = Interrupted(), self._later()
        finally:
            # Not with the wait for a beat under way, which an outage makes long.
            seconds = loop.time() - started
            del self.running[attempt]
            self.suspects -= suspect
            await self.beat.release(holding)
        return Ran(claim.task, outcome, handler.retry, seconds, holding.cancel_asked, wait)

    async def _prepared(
        self,
        holding: Holding,
        envelope: Envelope,
        claim: Claim,
        handler: Handler,
        *,
        suspect: bool,
    ) -> Outcome:
        if claim.lapsed is not None and not await self.beat.write_crash(holding):
            return Lost()
        payload = await self._payload(envelope, holding.task)
        if payload is None:
            text = "its payload is neither in the message nor in the table"
            return Quarantined(failure(Cause.PAYLOAD_LOST, "PayloadLost", text))
        if self.beat.is_cut_off(holding):
            # The answers were so slow that another may have it: what is not begun, is given back.
            return Interrupted()
        return await self._run(holding, handler, payload, suspect=suspect)

    async def _payload(self, envelope: Envelope, task: Task) -> str | None:
        if task.payload is not None:
            return task.payload
        sent = envelope.payload
        # The table is the truth: a message's payload counts if it is the one submitted.
        if sent is not None and fingerprint(task.type, sent) == task.fingerprint:
            return sent
        key = payload_key(task.id, task.fingerprint)
        beside = await self.store.get_beside(key, in_seconds(self.visibility / 3000))
        if beside is None:
            return None
        now = self.world.now()
        if beside.expires_at * 1000 < now + self.retention:
            # Read late: it must outlive whatever this task may still go through (R11).
            expires_at = (now + 2 * self.retention) // 1000
            renewal = self.store.statements.renew_beside(key, beside.expires_at, expires_at)
            await self.store.write(renewal, in_seconds(self.visibility / 3000))
        return beside.payload

    async def _run(
        self, holding: Holding, handler: Handler, payload: str, *, suspect: bool
    ) -> Outcome:
        task = holding.task
        context = Context(
            task_id=task.id,
            type=task.type,
            attempt=task.attempt,
            claim_no=task.claim_no,
            deadline=self.world.now() / 1000 + handler.timeout,
            correlation_id=task.correlation_id,
            tenant=task.tenant,
            _signals=holding.attempt.signals,
            _report=self._reporter(task),
            trace=self.header(task),
        )
        # Each message is handled in an asyncio task of its own, and so in a context of its own:
        # what the handler logs carries these, nothing else does.
        bind(context)
        outcome, left = await self.runner.run(
            handler, payload, context, holding.attempt, suspect=suspect
        )
        if left:
            self.events.emit(Abandoned(task, type(outcome).__name__))
        return outcome

    def _reporter(self, task: Task) -> Callable[[str], Awaitable[None]]:
        """How a handler's progress reaches the table, from the loop or from a thread.

        One write at a time, and only the latest value: a handler may report as often as it likes.
        """
        loop, here = asyncio.get_running_loop(), threading.get_ident()
        latest: list[str] = []
        writing: asyncio.Task[None] | None = None

        async def write() -> None:
            while latest:
                value = latest.pop()
                latest.clear()
                now = self.world.now()
                statement = self.store.statements.progress(task.id, task.claim_no, value, now)
                try:
                    await self.store.write(statement, in_seconds(self.visibility / 3000))
                except CallError as error:
                    # Progress is for people: the work goes on without it.
                    self.events.emit(Failed("progress", str(error), task.id))

        def put(value: str) -> Awaitable[None]:
            nonlocal writing
            latest.append(value)
            if writing is None or writing.done():
                writing = loop.create_task(write())
            return asyncio.shield(writing)

        def report(value: str) -> Awaitable[None]:
            if threading.get_ident() == here:
                return put(value)
            loop.call_soon_threadsafe(put, value)
            return OnItsWay()

        return report
