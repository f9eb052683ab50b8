"""The circuit breakers of one daemon: one for each name that handlers share.

The rules are `ftq.breaker`'s; here they meet the clock, the handlers' outcomes, and listeners.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ftq.breaker import Breaker, BreakerPolicy, Permit, Position
from ftq.errors import Retry
from ftq.handler import DEFAULT_BREAKER, Handler
from ftq.lease import BREAKER_YIELD
from ftq.outcome import AskedRetry, Interrupted, Outcome, Raised, Returned, TimedOut
from ftq.registry import Registry
from ftq.report import BreakerNote
from ftq.task import Task
from ftq_daemon.clock import World
from ftq_daemon.events import BreakerClosed, BreakerOpened, Events
from ftq_daemon.settings import GRACE_SECONDS

# While a probe runs, messages of its type are looked at again after about this long.
PROBE_WAIT: Final = 5_000
# What an attempt may take besides its handler: to claim, to end when told to, to settle.
BESIDES_SECONDS: Final = GRACE_SECONDS + 60


class Breakers:
    """All breakers of a daemon.

    Args:
        registry: The handlers, which name their breakers and know their policies.
        world: Clock and dice.
        events: Told when one opens or closes.

    Attributes:
        on_move: Called when one has opened or closed.
    """

    def __init__(self, registry: Registry, world: World, events: Events) -> None:
        """All begin closed."""
        self.on_move: Callable[[], None] = lambda: None
        self._world = world
        self._events = events
        named = [handler for handler in registry if handler.breaker]
        self._all = {handler.breaker: Breaker() for handler in named}
        self._policies = {handler.breaker: handler.breaker_policy for handler in named}
        self._hidden = dict.fromkeys(self._all, 0)
        self._some_free = any(not handler.breaker for handler in registry)

    @property
    def positions(self) -> Mapping[str, Position]:
        """Where each stands, by name."""
        return {name: breaker.position for name, breaker in self._all.items()}

    @property
    def notes(self) -> Mapping[str, BreakerNote]:
        """What there is to say about each, by name."""
        ahead = self._world.now() - _now()
        return {
            name: BreakerNote(
                breaker.position, breaker.openings, breaker.until and breaker.until + ahead
            )
            for name, breaker in self._all.items()
        }

    def adopt(self, notes: Mapping[str, BreakerNote]) -> None:
        """Take other daemons' word for what is open, so that a probe decides it here too."""
        now, ahead = _now(), self._world.now() - _now()
        for name in self._all.keys() & notes.keys():
            note, before = notes[name], self._all[name]
            # What a probe elsewhere finds out is not heard of here.
            until = note.until - ahead if note.position is Position.OPEN else now
            after = before.adopt(self._policies[name], note.openings, until, now)
            self._all[name] = after
            self._tell(name, before, after)

    def enter(self, handler: Handler) -> Pass:
        """Ask to start an attempt of this handler."""
        if not handler.breaker:
            return Pass(self, handler, Permit.RUN, None)
        lasts = round((handler.timeout + BESIDES_SECONDS) * 1000)
        breaker, permit = self._all[handler.breaker].permit(lasts, _now())
        self._all[handler.breaker] = breaker
        return Pass(self, handler, permit, breaker.until if permit is Permit.PROBE else None)

    def is_open(self, handler: Handler) -> bool:
        """Whether nothing of this handler would start now."""
        if not handler.breaker:
            return False
        breaker = self._all[handler.breaker]
        return breaker.position is not Position.CLOSED and _now() < breaker.until

    def hides(self, handler: Handler) -> bool:
        """Whether messages of this handler that were not let through may be hidden still."""
        return _now() < self._hidden.get(handler.breaker, 0)

    def yield_until(self, handler: Handler) -> int:
        """When a message that was not let through is shown again, in milliseconds.

        Spread over a while after the probe is due, so that they do not all come at once. How long
        a probe under way takes is not known: about as long as the opening before it lasted.
        """
        name, now = handler.breaker, _now()
        breaker = self._all[name]
        if breaker.position is Position.HALF_OPEN:
            wait, over = PROBE_WAIT, self._policies[name].ceiling(max(0, breaker.openings - 1))
        else:
            wait = over = max(0, breaker.until - now)
        spread = self._world.dice() * max(PROBE_WAIT, over)
        hidden = min(BREAKER_YIELD, round(wait + spread))
        self._hidden[name] = max(self._hidden[name], now + hidden)
        return self._world.now() + hidden

    def record(self, handler: Handler, task: str, probe: int | None, outcome: Outcome) -> bool:
        """Count how an attempt of this task ended.

        Returns:
            Whether the dependency is to blame rather than the task: the breaker is not closed,
            and what ended is of the kind that keeps it so.
        """
        if not handler.breaker:
            return False
        before, now = self._all[handler.breaker], _now()
        policy = self._policies[handler.breaker]
        failed = counts_as_failure(outcome, policy)
        if failed or isinstance(outcome, Returned):
            dice = self._world.dice()
            after = before.record(policy, task, probe, not failed, now, dice)
        else:
            after = before.release(probe, now)  # a probe that told nothing makes room for another
        self._all[handler.breaker] = after
        self._tell(handler.breaker, before, after)
        return failed and before.position is not Position.CLOSED

    def pause(self) -> float:
        """Seconds for which nothing at all could start: every breaker is open.

        A daemon without handlers never pauses: it has messages to yield.
        """
        if not self.only_probes:
            return 0.0
        now = _now()
        return max(0, min(breaker.until for breaker in self._all.values()) - now) / 1000

    @property
    def only_probes(self) -> bool:
        """Whether the next that starts can only be a probe."""
        if self._some_free or not self._all:
            return False
        return all(breaker.position is not Position.CLOSED for breaker in self._all.values())

    def _tell(self, name: str, before: Breaker, after: Breaker) -> None:
        if after.openings > before.openings:
            until = self._world.now() + after.until - _now()
            self._events.emit(BreakerOpened(name, after.openings, until))
        elif after.position is Position.CLOSED and before.position is not Position.CLOSED:
            self._events.emit(BreakerClosed(name, before.openings))
        else:
            return
        self.on_move()


@dataclass(slots=True)
class Pass:
    """What one attempt was told by its breaker, and its way to answer.

    Attributes:
        permit: What it was told.
    """

    _breakers: Breakers
    _handler: Handler
    permit: Permit
    _probe: int | None
    _used: bool = False

    @property
    def until(self) -> int:
        """When a message that was not let through is shown again, in milliseconds."""
        return self._breakers.yield_until(self._handler)

    def spares(self, outcome: Outcome, task: Task) -> bool:
        """Count how the attempt ended, and say whether the task is spared for it.

        While its dependency is down a task is not to blame: what was already running when the
        breaker opened is given back, and a probe never spends a task's last attempt.

        Args:
            outcome: How it ended.
            task: Its task, as it was claimed.
        """
        self._used = True
        down = self._breakers.record(self._handler, task.id, self._probe, outcome)
        last = task.attempts + 1 >= self._handler.retry.attempts
        return down and (self.permit is not Permit.PROBE or last)

    def leave(self) -> None:
        """Give a probe back that came to nothing: the claim was refused, or nothing ran."""
        if not self._used:
            self._breakers.record(self._handler, "", self._probe, Interrupted())


def counts_as_failure(outcome: Outcome, policy: BreakerPolicy = DEFAULT_BREAKER) -> bool:
    """Whether an outcome says that the handler's dependency is in trouble.

    Timeouts and errors that may pass do, if the policy counts them. A rejected, invalid or
    permanently failed task says nothing of the dependency, and a `Retry` is counted only if it
    spends an attempt: one that does not is a dependency that answers, and asks for patience.
    """
    match outcome:
        case Raised(permanent=False):
            return outcome.trips
        case TimedOut():
            return policy.counted(TimeoutError)
        case AskedRetry(counts=True):
            return policy.counted(Retry)
        case _:
            return False


def _now() -> int:
    """Milliseconds by the loop's clock: breakers live in memory, and wall clocks step."""
    return round(asyncio.get_running_loop().time() * 1000)
