"""One message, start to finish, as five verbs: claim, run, judge, settle, retire."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, assert_never

from ftq import lease
from ftq.breaker import Permit
from ftq.codec import Envelope, Unreadable, decode
from ftq.errors import CallError
from ftq.outcome import Interrupted, Outcome
from ftq.refusal import Drop, DropDead, Forget, Insert, Ours, Refusal, Revive, Yield
from ftq.registry import Registry
from ftq.settlement import Cause
from ftq.verdict import judge
from ftq.wire.queue import cause_line, cause_of
from ftq_daemon import events as facts
from ftq_daemon.breakers import Breakers, Pass
from ftq_daemon.claims import Claim, Claims, NotATask
from ftq_daemon.clock import World
from ftq_daemon.events import Events
from ftq_daemon.queue import Received
from ftq_daemon.settler import Settler
from ftq_daemon.work import UNKNOWN_FOR, Work

# A message whose type has no handler here is shown to others again after about this long.
UNKNOWN_YIELD: Final = 30_000


@dataclass(slots=True)
class Attempts:
    """Handles messages.

    Attributes:
        registry: The handlers.
        breakers: Say what may start at all.
        claims: Claims tasks.
        work: Runs what was claimed.
        settler: Writes verdicts.
        world: Clock and dice.
        events: Where facts are told.
        note: Is told how each run ended: the handler's type, the outcome, its seconds.
        stopping: No claim any more: what still comes in is shown to others at once.
    """

    registry: Registry
    breakers: Breakers
    claims: Claims
    work: Work
    settler: Settler
    world: World
    events: Events
    note: Callable[[str, Outcome, float], None] = lambda *_: None
    stopping: bool = False

    async def handle(self, received: Received) -> None:
        """Take one message to its end. Never raises: what fails is told, and comes back."""
        try:
            await self._handle(received)
        except CallError as error:
            self.events.emit(facts.Failed("attempt", str(error)))
        except Exception as error:  # a bug of ours must not take the daemon's other tasks along
            trace = "".join(traceback.format_exception(error))
            self.events.emit(facts.Failed("attempt", trace[-4000:]))

    async def _handle(self, received: Received) -> None:
        envelope = decode(received.message.body)
        if isinstance(envelope, Unreadable):
            await self._put_aside(received, envelope.why)
            return
        if self.stopping:
            await received.queue.hide(received, 0, stored=False)
            return
        handler = self.registry.get(envelope.type)
        if handler is None:
            if not await self._waits_for_handler(received, envelope):
                await self._claim(received, envelope, None)
            return
        entry = self.breakers.enter(handler)
        if entry.permit is Permit.NO:
            self._tell(envelope, "breaker", entry.until)
            await received.queue.hide(received, entry.until, stored=False)
            return
        try:
            await self._claim(received, envelope, entry)
        finally:
            entry.leave()

    async def _waits_for_handler(self, received: Received, envelope: Envelope) -> bool:
        """Half a deployment: whoever has the handler shall have the message (R16)."""
        now = self.world.now()
        if not envelope.type or now - received.message.refused_since >= UNKNOWN_FOR:
            return False
        until = now + UNKNOWN_YIELD // 2 + round(self.world.dice() * UNKNOWN_YIELD)
        self._tell(envelope, Cause.UNKNOWN_TYPE, until)
        await received.queue.hide(received, until, stored=False)
        return True

    async def _claim(self, received: Received, envelope: Envelope, entry: Pass | None) -> None:
        if not await self._is_fresh(received):
            return
        taken = await self.claims.take(received, envelope)
        if isinstance(taken, NotATask):
            await self._put_aside(received, taken.why)
        elif isinstance(taken, Claim):
            await self._claimed(received, envelope, taken, entry)
        else:
            await self._refused(received, envelope, taken)

    async def _is_fresh(self, received: Received) -> bool:
        """Whether the message is ours for long enough to be claimed (R13)."""
        visibility = received.queue.visibility * 1000
        age = round((asyncio.get_running_loop().time() - received.seen) * 1000)
        if lease.is_stale(age, visibility):
            return False  # it came back by itself: left alone
        return not lease.needs_extension(age, visibility) or await received.queue.extend(received)

    async def _claimed(
        self, received: Received, envelope: Envelope, claim: Claim, entry: Pass | None
    ) -> None:
        waited = self.world.now() - max(claim.task.not_before, received.message.sent_at)
        wait = max(0, waited) / 1000
        self.events.emit(facts.Claimed(claim.task, wait, received.at, claim.was))
        ran = await self.work.run(received, envelope, claim)
        self.note(ran.task.type, ran.outcome, ran.seconds)
        if entry is not None and entry.spares(ran.outcome, ran.task):
            ran = replace(ran, outcome=Interrupted(), wait=entry.until - self.world.now())
        verdict = judge(
            ran.outcome,
            attempts=ran.task.attempts,
            policy=ran.policy,
            cancel_asked=ran.cancel_asked,
            now=self.world.now(),
            dice=self.world.dice(),
        )
        await self.settler.settle(received, ran, verdict)

    async def _refused(self, received: Received, envelope: Envelope, why: Refusal) -> None:
        claim_no = received.message.claim_no
        match why:
            case Yield(until):
                self._tell(envelope, "yield", until)
                await received.queue.hide(received, until)
            case Drop():
                self._tell(envelope, "drop")
                await received.queue.delete(received)
            case DropDead(died_at, cause, failed):
                self._tell(envelope, "drop")
                await received.queue.dead_letter(received, cause_line(cause, failed), died_at)
            case Forget(expired=True):
                self._tell(envelope, Cause.RECORD_EXPIRED)
                await received.queue.dead_letter(received, Cause.RECORD_EXPIRED, claim_no)
            case Forget():
                self._tell(envelope, "forgotten")
                await received.queue.delete(received)
            case Ours() | Insert() | Revive():
                raise AssertionError(f"claims.take() follows {why} up itself")
            case _:
                assert_never(why)

    async def _put_aside(self, received: Received, why: str) -> None:
        if await received.queue.dead_letter(received, cause_of(Cause.UNREADABLE, message=why)):
            self.events.emit(facts.PutAside(received.message.message_id, why))

    def _tell(self, envelope: Envelope, what: str, until: int = 0) -> None:
        self.events.emit(facts.Refusal(envelope.id, envelope.type, what, until))
