"""One daemon of a run: the real one, in a process that can be stalled and killed."""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass, field
from functools import lru_cache

from ftq.lifecycle import State
from ftq.ports import Call, Port, Reply
from ftq.registry import Registry
from ftq.testing import FaultyPort, MemoryAws, Process, RemotePort, now_ms
from ftq_daemon import events as facts
from ftq_daemon.aws.clients import Ports
from ftq_daemon.bootstrap import build
from ftq_daemon.clock import World
from ftq_daemon.events import Event, Events
from ftq_daemon.settings import DaemonSettings
from ftq_testing.child import starting
from tests.simulation.book import Book
from tests.simulation.handlers import CURRENT, OLD
from tests.simulation.ops import Moment
from tests.simulation.schedule import Schedule, Terms
from tests.simulation.weather import Weather

TABLE = "tasks"
RETENTION_DAYS = 30
# How often a process for a suspect does not start.
_NO_CHILD = 0.05


@lru_cache(maxsize=256)
def settings_of(terms: Terms, url: str, dlq_url: str) -> DaemonSettings:
    """The daemons' settings in a run."""
    return DaemonSettings(
        queue_url=url,
        dlq_url=dlq_url,
        table=TABLE,
        handlers="x:y",
        concurrency=terms.concurrency,
        visibility_seconds=terms.visibility,
        wait_seconds=terms.wait,
        drain_seconds=terms.drain,
        retention_days=RETENTION_DAYS,
        sweep_seconds=terms.sweep,
        sweep_grace_seconds=terms.grace,
        crash_limit=terms.crash_limit,
    )


@dataclass(slots=True)
class Node:
    """A daemon.

    Attributes:
        name: Its name in the table and the trace.
        skew: Milliseconds by which its clock is ahead.
        old: Whether it does not know the newest handler.
        spared: Whether a breaker of it has ever opened.
        drained_at: When it was told to stop; inf if it was not.
        stalled_at: Until when it last stood still; -inf if it never did.
    """

    name: str
    skew: int
    old: bool
    book: Book
    process: Process
    weather: Weather
    spared: bool = False
    drained_at: float = float("inf")
    stalled_at: float = float("-inf")
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _run: asyncio.Task[int] | None = None
    _trips: list[tuple[Moment, int, float]] = field(default_factory=list)

    @property
    def draining(self) -> bool:
        """Whether it was told to stop."""
        return self.drained_at != float("inf")

    @property
    def alive(self) -> bool:
        """Whether it works, or would if it were not stalled."""
        return not (self.process.killed or self.draining)

    def start(self, schedule: Schedule, aws: MemoryAws, url: str, dlq_url: str) -> None:
        """Start the real daemon over a port of its own."""
        tapped = _Tapped(FaultyPort(aws, self.weather), self)
        port = RemotePort(self.process, tapped)
        dice = random.Random(f"{schedule.seed} {self.name} daemon")
        tokens = itertools.count()
        world = World(
            now=lambda: now_ms() + self.skew,
            dice=dice.random,
            token=lambda: f"{self.name}-{next(tokens)}",
        )
        known: Registry = OLD if self.old else CURRENT
        settings = settings_of(schedule.terms, url, dlq_url)

        async def main() -> int:
            events = Events([self._told])
            ports = Ports(port, port, port)
            receives = {url: schedule.terms.receives}
            start = starting(known, lambda _: None, lambda: dice.random() < _NO_CHILD)
            daemon = build(settings, known, ports, world, events, self.name, receives, start)
            return await daemon.run(self._stop)

        self.book.note(self.name, "starts", more=f"skew {self.skew} ms{' old' * self.old}")
        self._run = self.process.spawn(main)
        self._run.add_done_callback(self._ended)

    async def drain(self, *, calm: bool) -> int | None:
        """Tell it to stop and wait until it has; None if it was killed meanwhile."""
        self.drained_at = self.book.now
        self.book.note(self.name, "drains", more="calm" if calm else "")
        self.weather.calm = calm
        self._stop.set()
        # A killed process tells nobody.
        while self._run is not None and not (self._run.done() or self.process.killed):  # noqa: ASYNC110  # virtual
            await asyncio.sleep(0.5)
        if self._run is None or not self._run.done() or self._run.exception() is not None:
            return None
        return self._run.result()

    def kill(self, why: str) -> None:
        """As SIGKILL."""
        if not self.process.killed:
            self.process.kill()
            self.book.seen[f"killed at {why}"] += 1
            self.book.note(self.name, "killed", more=why)

    def trip(self, moment: Moment, count: int, seconds: float = 0.0) -> None:
        """Stall it for so long at the n-th such moment from now on; for ever if for 0 s."""
        if moment == "now":
            self._hit(moment, seconds)
        elif moment == "step":
            self.process.kill_after(count)
        else:
            self._trips.append((moment, count, seconds))

    def disarm(self) -> None:
        """Nothing more is planned against it, and it goes on."""
        self._trips = []
        self.process.kill_after(-1)
        self._go_on()

    def stepped(self, what: str) -> None:
        """It did what it may be hit at: the write is applied, its reply is not read."""
        trips = [(moment, n - (moment == what), seconds) for moment, n, seconds in self._trips]
        self._trips = [trip for trip in trips if trip[1] > 0]
        for moment, left, seconds in trips:
            if left == 0:
                self._hit(moment, seconds)

    def _hit(self, moment: Moment, seconds: float) -> None:
        if not seconds:
            self.kill(moment)
        elif not self.process.killed:
            self.stalled_at = self.book.now + seconds
            self.book.seen[f"stalled at {moment}"] += 1
            self.book.note(self.name, "stalls", more=f"at {moment}, for {seconds} s")
            self.process.stall()
            asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        if self.process.stalled and not self.process.killed:
            self.book.note(self.name, "goes on")
            self.process.resume()

    def excused(self, since: float) -> bool:
        """Whether it was dead, stalled, stopping or cut off at some time since then."""
        return self.frozen(since - 60) or self.weather.hindered_at >= since - 60 or self.draining

    def frozen(self, since: float) -> bool:
        """Whether it was dead or stalled at some time since then."""
        return self.stalled_at >= since or self.process.killed or self.process.stalled

    def _ended(self, run: asyncio.Task[int]) -> None:
        if self.book.closed or self.process.killed or run.cancelled():
            return
        error = run.exception()
        if error is not None:
            self.book.accuse("no daemon breaks", "", f"{self.name} ended: {error!r}")

    def _told(self, event: Event) -> None:
        if self.process.killed or self.book.closed:
            return
        task = getattr(event, "task", None)
        task_id = task.id if task is not None else getattr(event, "task_id", "")
        self.book.note(self.name, event.name, task_id, _more(event))
        self.book.seen[event.name] += 1
        match event:
            case facts.Failed(what, error) if "Traceback" in error:
                self.book.accuse("no daemon breaks", task_id, f"{self.name}, {what}: {error}")
            case facts.BreakerOpened():
                self.spared = True
            case facts.ClaimLost(_, why, _):
                self.book.seen["settle refused" if "refused" in why else "zombie stopped"] += 1
            case _:
                self._settled(event)

    def _settled(self, event: Event) -> None:
        """What is told of a settle was written, and is told once."""
        state = _STATES.get(type(event))
        if state is None or not isinstance(event, _SETTLED):
            return
        claim_no = event.task.claim_no
        claim = self.book.life(event.task.id).claims.get(claim_no)
        if claim is None or claim.settled is not state:
            what = f"{event.name} of claim {claim_no}, which is {claim}"
            self.book.accuse("events tell no lies", event.task.id, what)
        elif claim.told:
            self.book.accuse("events tell no lies", event.task.id, f"claim {claim_no} told twice")
        else:
            claim.told += 1


@dataclass(frozen=True, slots=True)
class _Tapped:
    """A port that tells of what no watcher of queue or table sees."""

    port: Port
    node: Node

    async def call(self, call: Call) -> Reply:
        """Make one call."""
        reply = await self.port.call(call)
        if call.operation == "BatchGetItem":
            self.node.stepped("overdue")
        return reply


_SETTLED = (facts.Succeeded, facts.Retrying, facts.Dead, facts.Released, facts.Cancelled)
_STATES: dict[type, State] = {
    facts.Succeeded: State.SUCCEEDED,
    facts.Retrying: State.RETRYING,
    facts.Dead: State.DEAD,
    facts.Released: State.QUEUED,
    facts.Cancelled: State.CANCELLED,
}


def _more(event: Event) -> str:
    match event:
        case facts.Failed(what, error):
            return f"{what}: {error}"
        case facts.Refusal(_, _, what, until):
            return f"{what} until {until % 10**8}"
        case facts.ClaimLost(task, why, _):
            return f"claim {task.claim_no}: {why}"
        case _:
            return ""
