"""The one listener that counts: Prometheus and CloudWatch are told from the same numbers.

It is called several times for each task, so that it only adds to plain numbers; what they are
called, and in which form they are told, is for those who read them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ftq.breaker import Position
from ftq.metrics import OTHER, UNKNOWN, labels
from ftq.registry import Registry
from ftq_daemon import events as facts
from ftq_daemon.events import Event, Settled
from ftq_daemon.sinks.timing import Timing


@dataclass(slots=True)
class OfType:
    """What was counted of one type of task.

    Attributes:
        claimed: Claims granted.
        ended: Claims that ended, by outcome.
        dead: Tasks given up, by cause.
        crashed: Claims that crashed.
        blocked: Times that its handler held the loop.
        handler: Time in the handler.
        wait: Time in the queue.
        total: Time from submission to success.
    """

    claimed: int = 0
    ended: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("succeeded", "retrying", "dead", "released", "cancelled"), 0
        )
    )
    dead: Counter[str] = field(default_factory=Counter)
    crashed: int = 0
    blocked: int = 0
    handler: Timing = field(default_factory=Timing)
    wait: Timing = field(default_factory=Timing)
    total: Timing = field(default_factory=Timing)


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is read when somebody asks.

    Attributes:
        inflight: How many messages are in hand.
        slots: How many may be.
        breakers: Where each breaker stands.
        lines_lost: How many lines of the log were lost so far.
        broken: How often a listener failed so far.
    """

    inflight: Callable[[], int] = lambda: 0
    slots: Callable[[], int] = lambda: 0
    breakers: Callable[[], Mapping[str, Position]] = dict
    lines_lost: Callable[[], int] = lambda: 0
    broken: Callable[[], int] = lambda: 0


class Tally:
    """A sink that counts.

    Args:
        registry: The handlers: types it does not know are one, so that no message can make
            names up, and so are those beyond the first hundred.

    Attributes:
        types: By type; all that can be are there from the start.
        lost: Claims that went to others.
        refused: Messages that were not run, by what became of them.
        calls: AWS calls by service, operation and outcome.
        openings: Openings of breakers by name.
        swept: Messages the sweeper sent again.
        abandoned: Handlers that did not end when they were told to.
        faults: What did not work, by what it was.
        lag: How late the loop was.
    """

    def __init__(self, registry: Registry) -> None:
        """Nothing is counted yet."""
        known = labels(handler.type for handler in registry)
        self.types = {name: OfType() for name in (*known.values(), UNKNOWN, OTHER)}
        self._rest = {name: label for name, label in known.items() if name != label}
        self._unknown = self.types[UNKNOWN]
        self.lost = self.swept = self.abandoned = 0
        self.refused: Counter[str] = Counter()
        self.calls: dict[tuple[str, str, str], int] = {}
        self.openings: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.lag = Timing()

    def __call__(self, event: Event) -> None:
        """Count an event."""
        # The three that each task brings come first, and without taking them apart.
        if isinstance(event, facts.Succeeded):
            kind = self._ended(event)
            kind.total.add(event.total)
        elif isinstance(event, facts.Claimed):
            kind = self.of(event.task.type)
            kind.claimed += 1
            kind.wait.add(event.wait)
        elif isinstance(event, facts.Called):
            key = event.service, event.operation, event.outcome
            self.calls[key] = self.calls.get(key, 0) + 1
        else:
            self._seldom(event)

    def of(self, type_: str) -> OfType:
        """Where this type is counted."""
        return self.types.get(self._rest.get(type_, type_), self._unknown)

    def _ended(self, event: Settled) -> OfType:
        kind = self.of(event.task.type)
        kind.ended[event.outcome] += 1
        kind.handler.add(event.seconds)
        return kind

    def _seldom(self, event: Event) -> None:
        match event:
            case facts.Dead():
                self._ended(event).dead[event.cause] += 1
            case facts.Retrying() | facts.Released() | facts.Cancelled():
                self._ended(event)
            case facts.Crashed(task):
                self.of(task.type).crashed += 1
            case facts.LoopBlocked(type=type_):
                # What is no handler's is a library's, or ours.
                self.types.get(type_, self.types[OTHER]).blocked += 1
            case facts.Refusal(_, _, what):
                self.refused[what] += 1
            case _:
                self._odd(event)

    def _odd(self, event: Event) -> None:
        match event:
            case facts.ClaimLost():
                self.lost += 1
            case facts.Abandoned():
                self.abandoned += 1
            case facts.PutAside():
                self.refused["unreadable"] += 1
            case facts.BreakerOpened(breaker):
                self.openings[breaker] += 1
            case facts.Swept(sent):
                self.swept += sent
            case facts.Failed(what):
                self.faults[what.partition(" ")[0]] += 1
            case _:
                pass
