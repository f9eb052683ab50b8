"""Handlers in processes: every way they can end, and nothing of it harms the daemon."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from ftq import Context
from ftq.context import OnItsWay, Signals
from ftq.errors import RegistryError
from ftq.handler import Handler
from ftq.outcome import (
    AskedRetry,
    CancelAsked,
    Crashed,
    Interrupted,
    Invalid,
    Lost,
    Outcome,
    Raised,
    Rejected,
    Returned,
    TimedOut,
)
from ftq.redaction import USUAL
from ftq_daemon.checks import check_children
from ftq_daemon.children.child import NoChild
from ftq_daemon.children.pool import Children
from ftq_daemon.children.process import ChildProcess
from ftq_daemon.runner import Attempt, Runner
from tests.backends import eventually
from tests.unit.daemon import in_children
from tests.unit.daemon.in_children import registry

HANDLERS = f"{in_children.__name__}:registry"


def handler(type_: str) -> Handler:
    found = registry.get(type_)
    assert found is not None
    return found


def pool(handlers: str, most: int = 1, *, keep: bool = True) -> Children:
    return Children(partial(ChildProcess.start, handlers, "INFO", USUAL), most, keep=keep)


@dataclass
class Room:
    """A runner with children, and what handlers reported."""

    runner: Runner
    reported: list[str] = field(default_factory=list)

    async def run(
        self,
        type_: str,
        payload: object = None,
        attempt: Attempt | None = None,
        *,
        suspect: bool = False,
    ) -> tuple[Outcome, bool]:
        attempt = attempt or Attempt()
        context = Context(
            "task-1", type_, 2, 3, 0.0, "corr", "tenant", attempt.signals, self._report
        )
        return await self.runner.run(
            handler(type_), json.dumps(payload), context, attempt, suspect=suspect
        )

    async def outcome(
        self, type_: str, payload: object = None, *, suspect: bool = False
    ) -> Outcome:
        outcome, left = await self.run(type_, payload, suspect=suspect)
        assert not left
        return outcome

    async def pid(self) -> int:
        """The process that the next call runs in."""
        outcome = await self.outcome("child.facts")
        assert isinstance(outcome, Returned)
        return int(json.loads(outcome.result)[6])

    def _report(self, text: str) -> OnItsWay:
        self.reported.append(text)
        return OnItsWay()


@asynccontextmanager
async def room(most: int = 1, grace: float = 30) -> AsyncIterator[Room]:
    children, suspects = pool(HANDLERS, most), pool(HANDLERS, most, keep=False)
    runner = Runner(grace, children, suspects)
    try:
        yield Room(runner)
    finally:
        await runner.close()
        assert children.count + suspects.count == 0, "a child has survived"


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], object]) -> None:
    async def holds() -> bool:
        return bool(condition())

    await eventually(holds, within=30)


def failed(outcome: Outcome) -> tuple[str, str]:
    assert isinstance(outcome, Raised)
    return outcome.failure.class_name, outcome.failure.message


@pytest.mark.both_loops
async def test_a_handler_gets_its_payload_and_gives_its_result_whatever_their_size() -> None:
    async with room() as it:
        outcome = await it.outcome("child.echo", {"big": "x" * 200 * 1024})
        assert failed(outcome)[0] == "ResultTooLarge"
        assert await it.outcome("child.echo", "x" * 32_000) == Returned(f'"{"x" * 32_000}"')


async def test_a_handler_is_told_the_same_as_in_a_thread() -> None:
    async with room() as it:
        outcome = await it.outcome("child.facts")
        assert isinstance(outcome, Returned)
        told = json.loads(outcome.result)
        assert told[:6] == ["task-1", "child.facts", "corr", "tenant", 2, 3]
        assert told[6] != os.getpid()
        assert told[7:] == [False, False, True, "MainThread"]


async def test_a_child_is_kept_for_the_next_handler() -> None:
    async with room() as it:
        assert await it.pid() == await it.pid()
        assert it.runner.children.count == 1


async def test_an_invalid_payload_is_told_by_field() -> None:
    async with room() as it:
        outcome = await it.outcome("child.number", "secret")
        assert isinstance(outcome, Invalid)
        assert "secret" not in outcome.failure.message


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("unpicklable", (f"{in_children.__name__}.Unpicklable", "held a lock")),
        ("mute", (f"{in_children.__name__}.Mute", "(its message cannot be read)")),
        ("permanent", (f"{in_children.__name__}.Final", "no")),
        ("exit", ("SystemExit", "3")),
        ("interrupt", ("KeyboardInterrupt", "")),
    ],
)
async def test_whatever_a_handler_raises_becomes_a_failure_and_the_child_lives_on(
    name: str, told: tuple[str, str]
) -> None:
    async with room() as it:
        before = await it.pid()
        outcome = await it.outcome("child.raise", name)
        assert failed(outcome) == told
        assert isinstance(outcome, Raised)
        assert outcome.permanent is (name == "permanent")
        assert await it.pid() == before


async def test_what_a_breaker_counts_is_known_of_errors_there_too() -> None:
    async with room() as it:
        for name, trips in (("network", True), ("own", False)):
            outcome = await it.outcome("child.down", name)
            assert isinstance(outcome, Raised)
            assert outcome.trips is trips


async def test_retry_and_reject_are_wishes_there_too() -> None:
    async with room() as it:
        later = await it.outcome("child.raise", "retry")
        assert isinstance(later, AskedRetry)
        assert (later.after, later.counts, later.failure.message) == (7, False, "later")
        plain = await it.outcome("child.raise", "retry-any")
        assert isinstance(plain, AskedRetry)
        assert (plain.after, plain.counts) == (None, True)
        assert isinstance(await it.outcome("child.raise", "reject"), Rejected)


@pytest.mark.both_loops
@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("exit", "its process exited with code 7"),
        ("segfault", "its process was killed by SIGSEGV"),
        ("kill", "its process was killed by SIGKILL (as when memory runs out)"),
        ("fork", "its process exited with code 7"),
        ("scribble", "something else wrote to the pipe of its process: a frame of"),
    ],
)
async def test_a_child_that_dies_is_a_failed_attempt_that_says_how_and_is_replaced(
    how: str, told: str
) -> None:
    async with room() as it:
        outcome = await it.outcome("child.die", how)
        name, message = failed(outcome)
        assert name == "ProcessDied"
        assert message.startswith(told)
        assert isinstance(outcome, Raised)
        assert (outcome.permanent, outcome.trips) == (False, False)
        assert await it.outcome("child.number", 5) == Returned("5")


async def test_an_idle_child_that_dies_is_replaced_before_it_harms_an_attempt() -> None:
    async with room() as it:
        pid = await it.pid()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: it.runner.children.count == 0)
        assert await it.pid() != pid


async def test_a_handler_past_its_deadline_cleans_up_and_its_child_is_replaced(
    tmp_path: Path,
) -> None:
    async with room() as it:
        path = tmp_path / "begun"
        outcome = await it.outcome("child.sleep", str(path))
        assert isinstance(outcome, TimedOut)
        assert (tmp_path / "begun.cleaned").exists()
        assert not lives(int(path.read_text()))
        assert await it.outcome("child.number", 5) == Returned("5")


@pytest.mark.both_loops
async def test_a_handler_that_does_not_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    async with room(grace=0.05) as it:
        path = tmp_path / "begun"
        outcome = await it.outcome("child.deaf", str(path))
        assert isinstance(outcome, TimedOut)
        assert not lives(int(path.read_text()))
        other = int((tmp_path / "begun.other").read_text())
        await until(lambda: not lives(other))


async def begun(
    it: Room, type_: str, path: Path, *, suspect: bool = False
) -> tuple[asyncio.Task[tuple[Outcome, bool]], Attempt]:
    attempt = Attempt()
    run = asyncio.create_task(it.run(type_, str(path), attempt, suspect=suspect))
    await until(lambda: path.exists() and path.read_text())
    return run, attempt


@pytest.mark.parametrize("end", [Interrupted(), CancelAsked(), Lost()])
async def test_a_computing_handler_that_is_told_to_end_is_killed_and_the_reason_stands(
    end: Interrupted | CancelAsked | Lost, tmp_path: Path
) -> None:
    async with room() as it:
        run, attempt = await begun(it, "child.compute", tmp_path / "begun")
        attempt.end(end)
        assert await run == (end, False)
        assert not lives(int((tmp_path / "begun").read_text()))


async def test_a_handler_sees_that_the_daemon_stops_and_may_finish(tmp_path: Path) -> None:
    async with room() as it:
        run, attempt = await begun(it, "child.patient", tmp_path / "begun")
        attempt.signals.tell(stopping=True)
        assert await run == (Returned('"stopping"'), False)


async def test_a_handler_sees_that_the_daemon_was_stopping_before_it_began(tmp_path: Path) -> None:
    async with room() as it:
        told = Attempt(Signals(stopping=True))
        assert await it.run("child.patient", str(tmp_path / "x"), told) == (
            Returned('"stopping"'),
            False,
        )


async def test_a_handler_sees_that_its_claim_is_lost(tmp_path: Path) -> None:
    async with room() as it:
        run, attempt = await begun(it, "child.patient", tmp_path / "begun")
        attempt.signals.tell(lost=True)
        assert await run == (Returned('"lost"'), False)


async def test_a_handler_that_finishes_its_work_when_told_to_stop_has_succeeded(
    tmp_path: Path,
) -> None:
    async with room() as it:
        run, attempt = await begun(it, "child.patient", tmp_path / "begun")
        attempt.end(Interrupted())
        assert await run == (Returned('"ended"'), False)


async def test_a_stray_sigterm_or_sigint_does_not_end_a_handler(tmp_path: Path) -> None:
    async with room() as it:
        run, attempt = await begun(it, "child.patient", tmp_path / "begun")
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(int((tmp_path / "begun").read_text()), number)
        attempt.signals.tell(stopping=True)
        assert await run == (Returned('"stopping"'), False)


@pytest.mark.both_loops
async def test_a_run_that_is_cancelled_from_outside_kills_its_child(tmp_path: Path) -> None:
    async with room() as it:
        run, _ = await begun(it, "child.compute", tmp_path / "begun")
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await until(lambda: not lives(int((tmp_path / "begun").read_text())))
        assert await it.outcome("child.number", 5) == Returned("5")


@pytest.mark.both_loops
async def test_as_many_run_at_once_as_there_may_be_children(tmp_path: Path) -> None:
    async with room(most=2) as it:
        one, two = str(tmp_path / "1"), str(tmp_path / "2")
        both = await asyncio.gather(
            it.outcome("child.meet", [one, two]), it.outcome("child.meet", [two, one])
        )
        assert list(both) == [Returned("true")] * 2
        more = await asyncio.gather(*(it.outcome("child.number", n) for n in range(20)))
        assert list(more) == [Returned(str(n)) for n in range(20)]
        assert it.runner.children.count == 2


async def test_one_more_than_the_children_waits_and_may_be_told_to_end_meanwhile(
    tmp_path: Path,
) -> None:
    async with room() as it:
        first, attempt = await begun(it, "child.patient", tmp_path / "begun")
        waiting = Attempt()
        second = asyncio.create_task(it.run("child.number", 5, waiting))
        third = asyncio.create_task(it.run("child.number", 6))
        await asyncio.sleep(0)
        waiting.end(Interrupted())
        assert await second == (Interrupted(), False)
        assert not third.done()
        attempt.signals.tell(stopping=True)
        await first
        assert await third == (Returned("6"), False)


async def test_progress_comes_in_order() -> None:
    async with room() as it:
        assert await it.outcome("child.progress", 50) == Returned("null")
        assert it.reported == [str(n) for n in range(50)]


@pytest.mark.parametrize(("type_", "suspect"), [("child.wrapped", False), ("loop.wrapped", True)])
async def test_middleware_runs_in_the_process_of_its_handler_and_sees_it_end(
    type_: str, suspect: bool
) -> None:
    async with room() as it:
        outcome = await it.outcome(type_, 0, suspect=suspect)
        assert isinstance(outcome, Returned)
        around, inside = json.loads(outcome.result)
        assert around == inside != os.getpid()
        assert isinstance(await it.outcome(type_, 600, suspect=suspect), TimedOut)
        assert it.reported == ['"ended"', '"ended"']


async def test_what_a_handler_logs_is_a_json_line_with_its_task(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with room() as it:
        assert await it.outcome("child.log", "hello") == Returned("null")
    logged, printed = capfd.readouterr().out.splitlines()
    line = json.loads(logged)
    assert line["event"] == "hello"
    assert line["level"] == "info"
    assert (line["task_id"], line["type"], line["extra"]) == ("task-1", "child.log", 1)
    assert (line["attempt"], line["claim_no"], line["correlation_id"]) == (2, 3, "corr")
    said = json.loads(printed)
    assert (said["event"], said["logger"], said["task_id"]) == ("printed", "stdout", "task-1")


@pytest.mark.parametrize(
    ("handlers", "why"),
    [
        (f"{in_children.__name__}:nowhere", "it has no handlers"),
        (f"{in_children.__name__}:few", "not there when a child loads it: child.busy, child.co"),
        ("there.is.no:registry", "there is no module 'there'"),
    ],
)
async def test_what_a_child_cannot_load_is_refused_at_the_door(handlers: str, why: str) -> None:
    children = pool(handlers)
    with pytest.raises(RegistryError, match=why) as refused:
        await check_children(registry, children, handlers)
    assert str(refused.value).startswith(handlers)
    assert children.count == 0


async def test_a_child_that_does_not_start_gives_its_place_back() -> None:
    children = pool("there.is.no:registry")
    for _ in range(2):
        with pytest.raises(NoChild, match="there is no module"):
            await children.take(asyncio.get_running_loop().create_future())
    await children.close()


# --- suspects --------------------------------------------------------------------------------


@pytest.mark.both_loops
async def test_an_async_handler_of_a_suspect_runs_on_a_loop_in_a_process_of_its_own() -> None:
    async with room() as it:
        pids: set[int] = set()
        for _ in range(2):
            outcome = await it.outcome("loop.facts", suspect=True)
            assert isinstance(outcome, Returned)
            pid, *told = json.loads(outcome.result)
            assert told == ["task-1", 3, "MainThread"]
            pids.add(pid)
        # Nothing of one suspect is left for the next.
        assert len(pids) == 2
        assert os.getpid() not in pids
        assert it.reported == ["7", "7"]
        await until(lambda: it.runner.suspects.count == 0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("value", ("ValueError", "no")),
        ("exit", ("SystemExit", "3")),
        ("cancel", ("CancelledError", "the handler cancelled itself")),
    ],
)
async def test_what_an_async_handler_of_a_suspect_raises_is_a_failure_as_ever(
    name: str, told: tuple[str, str]
) -> None:
    async with room() as it:
        assert failed(await it.outcome("loop.raise", name, suspect=True)) == told


async def test_a_suspect_may_reject_as_any_other() -> None:
    async with room() as it:
        assert isinstance(await it.outcome("loop.raise", "reject", suspect=True), Rejected)


async def test_an_async_handler_of_a_suspect_is_cancelled_at_its_deadline(tmp_path: Path) -> None:
    async with room() as it:
        path = tmp_path / "begun"
        assert isinstance(await it.outcome("loop.sleep", str(path), suspect=True), TimedOut)
        assert (tmp_path / "begun.cleaned").exists()
        assert not lives(int(path.read_text()))


async def test_an_async_handler_of_a_suspect_may_finish_as_it_is_told_to_end(
    tmp_path: Path,
) -> None:
    async with room() as it:
        run, attempt = await begun(it, "loop.finish", tmp_path / "begun", suspect=True)
        attempt.end(Interrupted())
        assert await run == (Returned('"finished"'), False)


@pytest.mark.both_loops
@pytest.mark.parametrize(
    ("type_", "how"), [("loop.die", "SIGKILL (as when"), ("thread.die", "SIGSEGV")]
)
async def test_a_suspect_whose_process_dies_has_crashed_and_says_how(type_: str, how: str) -> None:
    async with room() as it:
        outcome = await it.outcome(type_, suspect=True)
        assert isinstance(outcome, Crashed)
        assert outcome.failure.class_name == "ProcessDied"
        assert how in outcome.failure.message


async def test_a_suspect_that_chose_to_run_in_a_process_fails_an_attempt_as_it_dies() -> None:
    async with room() as it:
        assert failed(await it.outcome("child.die", "exit", suspect=True))[0] == "ProcessDied"


async def test_a_suspect_is_not_blamed_if_its_daemon_is_told_to_end_with_it() -> None:
    async with room() as it:
        attempt = Attempt()
        run = asyncio.create_task(it.run("loop.die", None, attempt, suspect=True))
        async with asyncio.timeout(30):
            # It dies so soon that any pause would miss it, and nothing tells that it is there.
            while not it.runner.suspects.count:  # noqa: ASYNC110 (see above)
                await asyncio.sleep(0)
        await until(lambda: it.runner.suspects.count == 0)
        attempt.end(Interrupted())
        assert await run == (Interrupted(), False)


async def test_a_type_that_a_process_does_not_find_counts_nothing() -> None:
    missing = pool(f"{in_children.__name__}:few")
    async with room() as it:
        it.runner.suspects, before = missing, it.runner.suspects
        with pytest.raises(NoChild, match=r"has none for 'loop\.facts'"):
            await it.outcome("loop.facts", suspect=True)
        assert isinstance(await it.outcome("child.echo", 1, suspect=True), Returned)
        await missing.close()
        it.runner.suspects = before
