"""Wires a daemon from its settings. The only place that names concrete adapters."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache, partial
from importlib.metadata import version

import aiohttp

from ftq.concurrency import Bounds, Concurrency
from ftq.ports import Call
from ftq.registry import Registry
from ftq.report import Report
from ftq.settings import queues_of
from ftq.submission import Terms
from ftq_daemon.attempt import Attempts
from ftq_daemon.aws.clients import Ports, connect, region_of
from ftq_daemon.aws.ecs import EcsAgent
from ftq_daemon.beat import Beat
from ftq_daemon.breakers import Breakers
from ftq_daemon.checks import check_children, check_queues, check_schedules
from ftq_daemon.children.child import Start
from ftq_daemon.children.pool import Children
from ftq_daemon.children.process import ChildProcess
from ftq_daemon.claims import Claims
from ftq_daemon.clock import World
from ftq_daemon.daemon import Daemon
from ftq_daemon.endings import Endings
from ftq_daemon.events import Called, Events, Started
from ftq_daemon.fleet.answers import FleetAnswers
from ftq_daemon.fleet.fleet import Fleet
from ftq_daemon.fleet.leash import Leash
from ftq_daemon.health import Answers, answers_of, serve
from ftq_daemon.hearing import hearing
from ftq_daemon.intake import MOST_POLLERS, Intake
from ftq_daemon.intakes import Intakes
from ftq_daemon.listeners import listening
from ftq_daemon.pace import Pace
from ftq_daemon.protection import Protect, ScaleInProtection
from ftq_daemon.queue import Queue
from ftq_daemon.reporter import Reporter
from ftq_daemon.runner import Runner
from ftq_daemon.settings import GRACE_SECONDS, DaemonSettings
from ftq_daemon.settler import Settler
from ftq_daemon.sinks.lines import Out
from ftq_daemon.sinks.log import Log, log_sink
from ftq_daemon.slots import Slots, Turn
from ftq_daemon.store import Store
from ftq_daemon.sweeper import Sweeper
from ftq_daemon.ticker import Ticker
from ftq_daemon.tracing.traced import traced
from ftq_daemon.watchdog import Watchdog
from ftq_daemon.work import Work


def real_world() -> World:
    """The wall clock, and randomness of this process."""
    return World(
        now=lambda: time.time_ns() // 1_000_000,
        dice=random.Random().random,  # jitter, not secrets
        token=lambda: os.urandom(16).hex(),
    )


def daemon_name() -> str:
    """Who this process is, for people: where it runs, and what tells it from its like."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def build(
    settings: DaemonSettings,
    registry: Registry,
    ports: Ports,
    world: World,
    events: Events,
    name: str,
    max_receives: Mapping[str, int],
    start_child: Start | None = None,
) -> Daemon:
    """Wire a daemon over the given ports; its children are processes unless it is told others."""
    visibility = settings.visibility_seconds * 1000
    grace = settings.sweep_grace_seconds * 1000
    retention = settings.retention_days * 24 * 3600 * 1000
    store = Store(ports.table, settings.table, world)
    named = queues_of(settings.queue_url, settings.queues)
    queues = {
        each.name: Queue(
            ports.receiver,
            ports.queue,
            url=each.url,
            dlq_url=settings.dlq_url,
            visibility=settings.visibility_seconds,
            max_receives=max_receives[each.url],
            world=world,
            events=events,
        )
        for each in named
    }
    beat = Beat(store, visibility, world, events)
    start = start_child or partial(
        ChildProcess.start,
        settings.handlers,
        settings.log_level,
        settings.redact,
        settings.tracing,
    )
    children = Children(start, settings.pool_processes, keep=True)
    suspects = Children(start, settings.suspect_processes, keep=False)
    runner = Runner(GRACE_SECONDS, children, suspects, Endings(settings.redact))
    work = Work(
        registry,
        store,
        runner,
        beat,
        world,
        events,
        visibility=visibility,
        retention=retention,
        crash_limit=settings.crash_limit,
    )
    claims = Claims(store, world, name, visibility, grace, retention, settings.crash_limit)
    settler = Settler(store, world, events, name, grace, retention)
    breakers = Breakers(registry, world, events)
    attempts = Attempts(registry, breakers, claims, work, settler, world, events)
    slots = Slots(settings.concurrency)
    strict = settings.queue_order == "strict"
    intake = Intakes(
        [
            Intake(
                queues[each.name],
                attempts.handle,
                breakers,
                slots,
                Turn(each.weight, rank if strict else 0) if len(named) > 1 else None,
                settings.wait_seconds,
                world,
                events,
            )
            for rank, each in enumerate(named)
        ],
        slots,
    )
    pace = None
    if settings.concurrency_min is not None:
        rule = Concurrency(Bounds(settings.concurrency_min, settings.concurrency))
        pace = Pace(rule, slots, world, events)
        attempts.note = pace.note
    by_url = {queue.url: queue for queue in queues.values()}
    sweeper = Sweeper(
        store,
        by_url,
        registry,
        breakers,
        world,
        events,
        grace,
        settings.sweep_seconds * 1000,
    )
    urls = {name: queue.url for name, queue in queues.items()}
    terms = Terms(settings.queue_url, grace, retention, urls)
    ticker = Ticker(registry, store, by_url, terms, world, events)
    started_at = world.now()

    def describe() -> Report:
        return Report(
            name=name,
            version=_version(),
            queue=settings.queue_url,
            at=world.now(),
            started_at=started_at,
            concurrency=settings.concurrency,
            in_flight=len(intake.attempts),
            draining=attempts.stopping,
            breakers=breakers.notes,
        )

    reporter = Reporter(store, describe, world, events)
    breakers.on_move = reporter.hurry
    return Daemon(
        intake,
        attempts,
        work,
        beat,
        sweeper,
        ticker,
        reporter,
        store,
        list(queues.values()),
        events,
        settings.drain_seconds,
        pace,
    )


@lru_cache(maxsize=1)
def _version() -> str:
    return version("ftq")


@asynccontextmanager
async def running(
    settings: DaemonSettings, registry: Registry, leash: Leash | None, out: Out
) -> AsyncIterator[Daemon]:
    """A daemon over real AWS, ready to run, with its sinks and its HTTP.

    Args:
        settings: Its settings.
        registry: Its handlers.
        leash: What ties it to its fleet; None if it stands alone.
        out: Takes the lines of its log.

    Raises:
        SettingsError: The settings do not fit the queues, or the health port cannot be had.
        CallError: Queue or table does not answer.
    """
    name, events, world = daemon_name(), Events(), real_world()

    def watch(call: Call, outcome: str, seconds: float, error: str) -> None:
        events.emit(Called(call.service, call.operation, outcome, seconds, error))

    region = region_of(
        settings.queue_url, os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    )
    hot = settings.aws_client == "hot"
    pollers = MOST_POLLERS * (1 + len(settings.queues))
    async with connect(region, settings.wait_seconds, pollers, watch, hot=hot) as ports:
        check_schedules(settings, registry)
        max_receives = await check_queues(settings, ports.queue)
        daemon = build(settings, registry, ports, world, events, name, max_receives)
        await daemon.store.probe()
        await check_children(registry, daemon.work.runner.children, settings.handlers)
        with listening(daemon, registry, settings, events, name, out, world) as heard:
            daemon.background = [Watchdog(events, late=heard.late).run, *heard.background]
            if protect := leash.protect if leash else _ecs_protection():
                busy = ScaleInProtection(protect, lambda: bool(daemon.intake.attempts), events)
                daemon.background = [*daemon.background, busy.run]
            answers = answers_of(daemon, heard.exposition)
            async with (
                traced(daemon, settings, world),
                hearing(daemon, registry.listeners),
                serve(answers, settings.health_host, settings.health_port) as url,
            ):
                if leash:
                    leash.started(url, len(registry))
                else:
                    events.emit(Started(name, url, len(registry), settings.concurrency))
                yield daemon


@asynccontextmanager
async def several(settings: DaemonSettings, log: Log) -> AsyncIterator[Fleet]:
    """Several processes of one daemon, to be run, with the HTTP that they share.

    Args:
        settings: Their settings.
        log: Takes the lines of its log.

    Raises:
        SettingsError: The health port cannot be had.
    """
    name = daemon_name()
    events = Events([log_sink(name, settings, log)])
    fleet = Fleet(settings.processes, settings.stop_timeout_seconds, events)
    async with aiohttp.ClientSession() as session, AsyncExitStack() as stack:
        asked = FleetAnswers(fleet, session)
        answers = Answers(asked.alive, asked.ready, asked.metrics)
        url = await stack.enter_async_context(
            serve(answers, settings.health_host, settings.health_port)
        )
        background = [asyncio.create_task(_tell_start(fleet, settings, events, name, url))]
        if protect := _ecs_protection():
            protection = ScaleInProtection(protect, lambda: fleet.busy, events)
            background.append(asyncio.create_task(protection.run()))
        try:
            yield fleet
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)


async def _tell_start(
    fleet: Fleet, settings: DaemonSettings, events: Events, name: str, url: str
) -> None:
    await fleet.started.wait()
    handlers = max((each.handlers for each in fleet.members.values()), default=0)
    if handlers:
        events.emit(Started(name, url, handlers, settings.concurrency * settings.processes))


def _ecs_protection() -> Protect | None:
    return EcsAgent(agent).protect if (agent := os.environ.get("ECS_AGENT_URI")) else None
