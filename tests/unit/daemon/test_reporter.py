"""What a daemon tells the table about itself."""

from __future__ import annotations

import asyncio

import pytest

from api_lambda.routes import Api
from api_lambda.service import Service
from ftq import Registry
from ftq.breaker import Position
from ftq.ports import Call
from ftq.report import KEPT, Report
from ftq.submission import Terms
from ftq.testing import Fault, FaultyPort, MemorySyncPort, now_ms
from ftq.testing.clock import run
from ftq.wire import reports
from ftq_daemon import events as facts
from tests.unit.api.door import dig, event, read
from tests.unit.daemon.bench import TABLE, Bench


def quiet() -> Registry:
    registry = Registry()

    @registry.handler("down", timeout=5)
    async def down(payload: None) -> None:
        raise ConnectionError("nobody there")

    @registry.handler("slow", timeout=600)
    async def slow(payload: None) -> None:
        await asyncio.sleep(300)

    return registry


async def said(bench: Bench, name: str = "daemon-0") -> Report | None:
    reply = await bench.aws.call(reports.get_many(TABLE, [reports.key_of(name)]))
    found = reports.read_get_many(reply, TABLE)
    return found[0] if found else None


async def surely_said(bench: Bench, name: str = "daemon-0") -> Report:
    report = await said(bench, name)
    assert report is not None
    return report


def test_a_daemon_says_what_it_is_and_what_it_has_in_hand() -> None:
    async def main() -> None:
        async with Bench() as bench:
            began = bench.now()
            await bench.start(quiet(), concurrency=7)
            await bench.submit("slow")
            await asyncio.sleep(60)
            report = await surely_said(bench)
            assert (report.name, report.queue) == ("daemon-0", bench.url)
            assert (report.concurrency, report.in_flight, report.draining) == (7, 1, False)
            assert report.started_at == began
            assert report.version
            assert report.breakers.keys() == {"down", "slow"}
            item = bench.aws.table(TABLE).items()[reports.key_of("daemon-0")]
            assert item["expires_at"] == {"N": str((report.at + KEPT) // 1000)}

    run(main)


def test_an_idle_daemon_reports_about_twice_a_minute() -> None:
    async def main() -> None:
        async with Bench() as bench:
            await bench.start(quiet())
            await asyncio.sleep(60)
            bench.aws.calls.clear()
            await asyncio.sleep(600)
            assert 16 <= bench.aws.calls["PutItem"] <= 26
            assert (await surely_said(bench)).at > bench.now() - 40_000

    run(main)


def test_a_breaker_that_opens_is_reported_within_seconds() -> None:
    async def main() -> None:
        async with Bench() as bench:
            worker = await bench.start(quiet())
            for _ in range(40):
                await bench.submit("down")
            await worker.tells("breaker.opened")
            await asyncio.sleep(2)
            note = (await surely_said(bench)).breakers["down"]
            (opened,) = [each for each in worker.told if isinstance(each, facts.BreakerOpened)]
            assert (note.position, note.openings) == (Position.OPEN, 1)
            assert abs(note.until - opened.until) <= 1

    run(main)


def test_while_it_drains_it_says_so_and_once_stopped_it_is_gone() -> None:
    async def main() -> None:
        async with Bench() as bench:
            worker = await bench.start(quiet())
            await bench.submit("slow")
            await worker.tells("task.claimed")
            leaving = asyncio.create_task(worker.drain())
            await asyncio.sleep(29.5)
            # The drain's 30 s are not over, and a report has come meanwhile or will not.
            report = await said(bench)
            assert report is not None
            assert await leaving == 0
            assert await said(bench) is None

    run(main)


def test_a_killed_daemon_leaves_its_last_report() -> None:
    async def main() -> None:
        async with Bench() as bench:
            worker = await bench.start(quiet())
            await asyncio.sleep(1)
            worker.kill()
            await asyncio.sleep(600)
            assert (await surely_said(bench)).stale(bench.now())

    run(main)


def test_reports_that_cannot_be_written_harm_nothing() -> None:
    async def main() -> None:
        async with Bench() as bench:

            def plan(call: Call) -> Fault | None:
                spoilt = call.operation in ("PutItem", "DeleteItem")
                return Fault(error="throttled") if spoilt else None

            registry = Registry()

            @registry.handler("fine")
            async def fine(payload: None) -> None: ...

            worker = await bench.start(registry, port=FaultyPort(bench.aws, plan))
            task = await bench.submit("fine")
            (ended,) = await bench.ended(task.id)
            assert ended.state == "succeeded"
            await asyncio.sleep(120)
            assert await worker.drain() == 0
            failed = [each for each in worker.told if isinstance(each, facts.Failed)]
            assert {each.what for each in failed} == {"report"}
            assert len(failed) >= 4

    run(main)


def test_with_an_open_breaker_its_last_word_stays_for_those_who_start_next() -> None:
    async def main() -> None:
        async with Bench() as bench:
            worker = await bench.start(quiet())
            for _ in range(40):
                await bench.submit("down")
            await worker.tells("breaker.opened")
            await worker.drain()
            report = await surely_said(bench)
            assert (report.stopped, report.draining) == (True, True)
            assert report.breakers["down"].position is Position.OPEN
            second = await bench.start(quiet())
            await second.tells("breaker.opened")
            (adopted,) = [each for each in second.told if isinstance(each, facts.BreakerOpened)]
            assert adopted.openings == report.breakers["down"].openings
            assert "task.claimed" not in second.names()

    run(main)


@pytest.mark.parametrize(
    "fault", [Fault(error="throttled"), Fault(before=1e6)], ids=["no", "hangs"]
)
def test_where_reports_cannot_be_read_a_daemon_starts_all_the_same(fault: Fault) -> None:
    def plan(call: Call) -> Fault | None:
        return fault if call.operation == "Query" else None

    async def main() -> None:
        async with Bench() as bench:
            task = await bench.submit("slow")
            worker = await bench.start(quiet(), port=FaultyPort(bench.aws, plan))
            await worker.tells("task.claimed")
            assert bench.now() - task.created_at < 10_000
            (failed,) = [each for each in worker.told if isinstance(each, facts.Failed)]
            assert failed.what == "report"
            assert failed.error

    run(main)


def test_the_statistics_show_a_breaker_that_opens_and_closes_within_two_seconds() -> None:
    down = True
    registry = Registry()

    @registry.handler("mail", breaker="smtp")
    async def mail(payload: None) -> None:
        if down:
            raise ConnectionError("nobody there")

    async def main() -> None:
        nonlocal down
        async with Bench() as bench:
            port = MemorySyncPort(bench.aws)
            terms = Terms(bench.url, 900_000, 30 * 86_400_000)
            clock = asyncio.get_running_loop().time
            api = Api(Service(port, TABLE, terms, None, now_ms, clock, lambda: "fresh", lambda: ""))

            def seen() -> tuple[object, object]:
                doc = read(api.handle(event("GET", "/stats", None, None, False, ""))).doc
                return dig(doc, "breakers", 0, "name"), dig(doc, "breakers", 0, "position")

            worker = await bench.start(registry)
            await asyncio.sleep(2)
            assert seen() == ("smtp", "closed")
            for _ in range(40):
                await bench.submit("mail")
            await worker.tells("breaker.opened")
            await asyncio.sleep(2)
            assert seen() == ("smtp", "open")
            down = False
            await worker.tells("breaker.closed")
            await asyncio.sleep(2)
            assert seen() == ("smtp", "closed")

    run(main)
