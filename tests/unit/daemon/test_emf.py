"""What is said to CloudWatch and to Prometheus is what happened, neither more nor less."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from ftq import Registry, Reject, RetryPolicy
from ftq.breaker import Position
from ftq.emf import MOST_VALUES
from ftq.lifecycle import State
from ftq.metrics import METRICS, MOST_TYPES
from ftq.task import Task, failure
from ftq.testing import now_ms
from ftq.text import Json
from ftq_daemon import events as facts
from ftq_daemon.clock import World
from ftq_daemon.listeners import Listeners, listening
from ftq_daemon.settings import DaemonSettings
from ftq_daemon.sinks.emf import INTERVAL, EmfSink, Who
from ftq_daemon.sinks.metrics import Metrics
from ftq_daemon.sinks.tally import Gauges, Tally
from ftq_daemon.sinks.timing import BOUNDS, Timing
from tests.emf import Kept, Point, count, points, total
from tests.unit.daemon.bench import TABLE, Bench, Worker
from tests.unit.daemon.test_daemon import play

OUTCOMES: dict[str, type[facts.Settled]] = {
    "TasksSucceeded": facts.Succeeded,
    "TasksRetrying": facts.Retrying,
    "TasksDead": facts.Dead,
    "TasksReleased": facts.Released,
    "TasksCancelled": facts.Cancelled,
}


class Odds(BaseModel):
    fails: float = 0.0
    seconds: float = 0.0


def gambling(dice: random.Random) -> Registry:
    registry = Registry()

    @registry.handler("flaky", retry=RetryPolicy(attempts=3), timeout=600, breaker="")
    async def flaky(odds: Odds) -> None:
        await asyncio.sleep(odds.seconds)
        if dice.random() < odds.fails:
            raise OSError("not this time")

    @registry.handler("doomed")
    async def doomed(_: Odds) -> None:
        raise Reject("never")

    return registry


@asynccontextmanager
async def fleet(
    count: int, bench: Bench, registry: Registry, out: Kept
) -> AsyncIterator[list[tuple[Worker, Listeners]]]:
    """Daemons with their real sinks, beside those by which the test watches them."""
    settings = DaemonSettings(
        queue_url=bench.url, dlq_url=bench.dlq_url, table=TABLE, handlers="x:y"
    )
    world = World(now_ms, random.random, lambda: "")
    found: list[tuple[Worker, Listeners]] = []
    with ExitStack() as stack:
        for _ in range(count):
            worker = await bench.start(registry)
            events, watching = worker.daemon.events, [*worker.daemon.events.sinks]
            listeners = stack.enter_context(
                listening(worker.daemon, registry, settings, events, "d", out, world)
            )
            events.sinks = [*watching, *events.sinks]
            worker.daemon.background = listeners.background
            found.append((worker, listeners))
        yield found


def prometheus(*expositions: bytes) -> dict[str, float]:
    """Samples by name and the values of their labels, added up over daemons."""
    found: defaultdict[str, float] = defaultdict(float)
    for exposition in expositions:
        for family in text_string_to_metric_families(exposition.decode()):
            for sample in family.samples:
                labels = (sample.labels[key] for key in sorted(sample.labels))
                found[" ".join([sample.name, *labels])] += sample.value
    return found


def check(said: list[Point], told: list[facts.Event], shown: dict[str, float]) -> None:
    """Hold lines and exposition against what was told to an independent listener."""
    ended: list[facts.Settled] = []
    for name, kind in OUTCOMES.items():
        of_kind = [each for each in told if isinstance(each, kind)]
        ended += of_kind
        assert total(said, name) == len(of_kind), name
        for type_ in ("flaky", "doomed"):
            those = sum(each.task.type == type_ for each in of_kind)
            assert total(said, name, type_) == those, (name, type_)
            assert shown[f"ftq_tasks_total {kind.outcome} {type_}"] == those, (name, type_)
    claims = sum(isinstance(each, facts.Claimed) for each in told)
    assert total(said, "TasksClaimed") == count(said, "QueueWaitSeconds") == claims
    assert shown["ftq_queue_wait_seconds_count"] == claims
    assert count(said, "HandlerSeconds") == len(ended)
    assert sum(shown[f"ftq_task_seconds_count {t}"] for t in ("flaky", "doomed")) == len(ended)
    assert total(said, "HandlerSeconds") == pytest.approx(
        sum(each.seconds for each in ended), rel=1e-3
    )
    done = [each.total for each in ended if isinstance(each, facts.Succeeded)]
    assert count(said, "EndToEndSeconds") == len(done)
    assert total(said, "EndToEndSeconds") == pytest.approx(sum(done), rel=1e-3)


def test_the_lines_of_a_drained_fleet_add_up_to_what_its_tasks_went_through() -> None:
    async def story(bench: Bench) -> None:
        dice, out = random.Random(7), Kept()
        registry = gambling(dice)
        ids = []
        for n in range(300):
            type_ = "doomed" if n % 10 == 0 else "flaky"
            odds: Json = {"fails": 0.3, "seconds": dice.random() * 2}
            ids.append((await bench.submit(type_, odds)).id)
        async with fleet(2, bench, registry, out) as observed:
            tasks = await bench.ended(*ids)
            # What is still running at the stop is given back; that is counted as well.
            for _ in range(5):
                await bench.submit("flaky", {"seconds": 500})
            await asyncio.sleep(30)
            await asyncio.gather(*(worker.drain() for worker, _ in observed))
            shown = prometheus(*(listeners.exposition() for _, listeners in observed))
        said, told = points(out.lines), [event for worker, _ in observed for event in worker.told]
        check(said, told, shown)
        states = Counter((task.type, task.state) for task in tasks)
        assert total(said, "TasksSucceeded", "flaky") == states["flaky", State.SUCCEEDED]
        assert total(said, "TasksDead", "doomed") == states["doomed", State.DEAD] == 30
        assert total(said, "TasksDead", "flaky") == states["flaky", State.DEAD] > 0
        assert total(said, "TasksReleased") == 5
        assert total(said, "TasksClaimed") == sum(task.claim_no for task in tasks) + 5

    play(story)


def test_each_full_minute_has_one_word_of_each_daemon_about_how_it_is() -> None:
    async def story(bench: Bench) -> None:
        out, registry = Kept(), gambling(random.Random(1))
        async with fleet(2, bench, registry, out) as observed:
            await bench.submit("flaky", {"seconds": 400})
            await asyncio.sleep(330)
            for worker, _ in observed:
                worker.kill()
        daemons = [each for each in points(out.lines) if each.name == "Daemons"]
        minutes = Counter(each.at for each in daemons)
        assert set(minutes.values()) == {2}
        assert len(minutes) == 5
        assert all(at % INTERVAL == 0 for at in minutes)
        in_flight = [each for each in points(out.lines) if each.name == "InFlight"]
        by_minute = [sum(e.sum for e in in_flight if e.at == at) for at in sorted(minutes)]
        assert by_minute == [1.0] * 5

    play(story)


def test_a_clock_that_is_set_is_followed_and_no_minute_is_told_of_twice() -> None:
    async def story(_: Bench) -> None:
        out, ahead = Kept(), 0
        sink = EmfSink(
            Tally(mailing()), Gauges(), Who("ftq", "d"), out.write, lambda: now_ms() + ahead, refuse
        )
        says = asyncio.create_task(sink.run())
        await asyncio.sleep(150)
        ahead = 3 * 3_600_000
        await asyncio.sleep(300)
        says.cancel()
        at = [each.at for each in points(out.lines) if each.name == "Daemons"]
        assert len(set(at)) == len(at) <= 8
        assert at[-1] > now_ms() + ahead - 2 * INTERVAL

    play(story)


TASK = Task("t1", "mail", "q", State.RUNNING)
BROKEN = failure("x", "OSError", "x")
EVERYTHING: list[facts.Event] = [
    facts.Claimed(TASK, 0.5),
    facts.Crashed(TASK, "d2"),
    facts.Succeeded(TASK, 0.02, 1.0),
    facts.Retrying(TASK, 0.02, BROKEN, 0),
    facts.Dead(TASK, 0.02, "rejected", BROKEN),
    facts.Released(TASK, 0.02),
    facts.Cancelled(TASK, 0.02),
    facts.ClaimLost(TASK, "why", 0.5),
    facts.Abandoned(TASK, "TimedOut"),
    facts.Refusal("t1", "mail", "yield"),
    facts.PutAside("m1", "why"),
    facts.BreakerOpened("smtp", 1, 0),
    facts.Swept(3, 5),
    facts.LoopBlocked("mail t1", 1.2, "where", "mail"),
    facts.Called("sqs", "ReceiveMessage", "ok", 0.1),
    facts.Called("sqs", "ReceiveMessage", "throttled", 0.1),
    facts.Called("dynamodb", "Query", "refused", 0.1),
    facts.Failed("schedule mail", "why"),
]


def refuse(error: Exception) -> None:
    raise error


def mailing(count: int = 1) -> Registry:
    registry = Registry()
    for n in range(count):

        @registry.handler(f"mail{n:03}" if count > 1 else "mail")
        async def mail(_: Odds) -> None: ...

    return registry


def test_the_daemon_says_all_of_its_metrics_as_the_table_has_them_and_no_others() -> None:
    tally = Tally(mailing())
    for event in EVERYTHING:
        tally(event)
    tally.lag.add(0.001)
    out = Kept()
    breakers = {"smtp": Position.OPEN, "bank": Position.HALF_OPEN, "post": Position.CLOSED}
    gauges = Gauges(lambda: 3, lambda: 64, lambda: breakers, lambda: 7, lambda: 2)
    EmfSink(tally, gauges, Who("ftq", "d"), out.write, lambda: 0, refuse).say(0, gauges=True)
    said = points(out.lines)
    found = {(each.name, each.unit, tuple(key for key, _ in each.dimensions)) for each in said}
    assert found == {
        (metric.name, metric.unit, keys)
        for metric in METRICS
        if "daemon" in metric.said_by
        for keys in metric.dimensions
    }
    expected = {"MessagesSwept": 3, "MessagesRefused": 2, "AwsCalls": 3, "InFlight": 3, "Slots": 64}
    expected |= {"AwsThrottles": 1, "AwsErrors": 1, "BreakersOpen": 2, "Faults": 3, "Daemons": 1}
    expected |= {"LogLinesLost": 7}
    assert {name: total(said, name) for name in expected} == expected


def told_to_prometheus(exposition: bytes, like: str) -> float:
    """The sum of the samples that an entry of the table means: ``name{label,label=one,other}``."""
    name, _, labels = like.rstrip("}").partition("{")
    wanted: dict[str, set[str]] = {}
    last = ""
    for part in filter(None, labels.split(",")):
        key, is_value, value = part.partition("=")
        if is_value:
            last = key
        if last:
            wanted.setdefault(last, set()).add(value or key)
    samples = [
        sample
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
        if sample.name == name
    ]
    assert samples, like
    return sum(
        sample.value
        for sample in samples
        if all(sample.labels[key] in values for key, values in wanted.items())
    )


def test_prometheus_is_told_the_same_metric_by_metric() -> None:
    tally, out = Tally(mailing()), Kept()
    for n, event in enumerate(EVERYTHING):
        for _ in range(n + 1):  # so that no two counts are alike
            tally(event)
    tally.lag.add(0.25)
    gauges = Gauges(lambda: 3, lambda: 64, dict, lambda: 71, lambda: 2)
    EmfSink(tally, gauges, Who("ftq", "d"), out.write, lambda: 0, refuse).say(0, gauges=True)
    shown, said = Metrics(tally, gauges).render(), points(out.lines)
    for metric in METRICS:
        if metric.said_by[0] != "daemon" or metric.name in ("Daemons", "BreakersOpen"):
            continue
        if metric.kind == "timing":
            name = metric.prometheus.partition("{")[0]
            assert told_to_prometheus(shown, f"{name}_count") == count(said, metric.name) > 0
            both = told_to_prometheus(shown, f"{name}_sum"), total(said, metric.name)
            assert both[0] == pytest.approx(both[1], rel=1e-3)
        else:
            told = total(said, metric.name)
            assert told_to_prometheus(shown, metric.prometheus) == told > 0, metric.name


def test_what_was_said_is_not_said_again() -> None:
    tally, out = Tally(mailing()), Kept()
    sink = EmfSink(tally, Gauges(), Who("ftq", "d"), out.write, lambda: 0, refuse)
    for _ in range(3):
        for event in EVERYTHING:
            tally(event)
        sink.close()
    sink.close()
    said = points(out.lines)
    assert (total(said, "TasksSucceeded", "mail"), count(said, "HandlerSeconds")) == (3, 15)
    assert total(said, "MessagesSwept") == 9


def test_what_a_log_did_not_take_is_said_once_it_takes_lines_again() -> None:
    tally, out = Tally(mailing()), Kept()
    gauges = Gauges(lines_lost=lambda: out.lost)
    sink = EmfSink(tally, gauges, Who("ftq", "d"), out.write, lambda: 0, refuse)
    for out.full in (False, True, True, False):
        for event in EVERYTHING:
            tally(event)
        tally.lag.add(0.001)
        sink.close()
    said = points(out.lines)
    for name in ("TasksSucceeded", "TasksDead", "ClaimsLost", "Faults"):
        assert total(said, name) == 4, name
    assert (count(said, "HandlerSeconds"), count(said, "LoopLagSeconds")) == (20, 4)
    timed = [each for each in said if each.name == "QueueWaitSeconds"]
    assert {(each.low, each.high) for each in timed} == {(0.5, 0.5)}
    assert total(said, "LogLinesLost") == out.lost > 0


def test_a_thousand_types_are_a_hundred_and_all_the_others() -> None:
    tally, out = Tally(mailing(250)), Kept()
    for n in range(1000):
        tally(facts.Succeeded(Task(f"t{n}", f"mail{n:03}", "q", State.RUNNING), 0.1, 1.0))
    EmfSink(tally, Gauges(), Who("ftq", "d"), out.write, lambda: 0, refuse).close()
    said = points(out.lines)
    assert len({each.dimensions for each in said}) == MOST_TYPES + 3
    assert total(said, "TasksSucceeded") == 1000
    assert total(said, "TasksSucceeded", "other") == 150
    assert total(said, "TasksSucceeded", "unknown") == 750


def test_timings_of_every_length_are_within_a_quarter_and_fit_into_one_line_each() -> None:
    dice, tally, out = random.Random(3), Tally(mailing()), Kept()
    drawn = sorted(10 ** dice.uniform(-5, 6) for _ in range(50_000))
    kind = tally.of("mail")
    for seconds in drawn:
        for timing in (kind.handler, kind.wait, kind.total):
            timing.add(seconds)
    EmfSink(tally, Gauges(), Who("ftq", "d"), out.write, lambda: 0, refuse).close()
    (told,) = [p for p in points(out.lines) if (p.name, len(p.dimensions)) == ("HandlerSeconds", 2)]
    assert told.count == 50_000
    assert told.sum == pytest.approx(sum(drawn), rel=1e-3)
    assert (told.low, told.high) == pytest.approx((drawn[0], drawn[-1]), rel=1e-3)
    assert len(told.values) == len(BOUNDS) + 1 <= MOST_VALUES
    again = [v for v, n in zip(told.values, told.counts, strict=True) for _ in range(n)]
    for share in (0.4, 0.5, 0.6, 0.7, 0.8):
        true = drawn[int(share * len(drawn))]
        assert again[int(share * len(again))] == pytest.approx(true, rel=0.25)


def test_a_timing_on_a_bound_counts_as_below_it() -> None:
    timing = Timing()
    timing.add(5.0)
    assert timing.counts[BOUNDS.index(5.0)] == 1


def test_a_log_that_cannot_be_written_to_ends_nothing_and_is_told_of() -> None:
    told: list[Exception] = []

    def broken(_: bytes) -> bool:
        raise OSError("gone")

    tally = Tally(mailing())
    tally(EVERYTHING[0])
    EmfSink(tally, Gauges(), Who("ftq", "d"), broken, lambda: 0, told.append).close()
    assert [str(error) for error in told] == ["gone"]


def test_what_a_listener_broke_on_is_a_fault() -> None:
    async def story(bench: Bench) -> None:
        out = Kept()

        def deaf(event: facts.Event) -> None:
            if isinstance(event, facts.Succeeded):
                raise OSError("broken")

        async with fleet(1, bench, gambling(random.Random(1)), out) as [(worker, listeners)]:
            worker.daemon.events.sinks = [*worker.daemon.events.sinks, deaf]
            await bench.ended((await bench.submit("flaky", {})).id)
            await worker.drain()
            shown = prometheus(listeners.exposition())
        assert total(points(out.lines), "Faults") == shown["ftq_faults_total listener"] == 1

    play(story)
