from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial

import pytest

from ftq.errors import Throttled
from ftq.ports import Call, Reply
from ftq.testing import Process, ProcessLoop, RemotePort, current_process, sender
from ftq.testing.clock import run

CALL = Call("sqs", "SendMessage", {})


def play(main: Callable[[], Coroutine[object, None, None]]) -> None:
    run(main, loop_factory=ProcessLoop)


class Ticker:
    """Counts seconds, in a task of its own within whatever process starts it."""

    def __init__(self) -> None:
        self.ticks: list[float] = []
        self.cleaned = False

    async def run(self) -> None:
        await asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        try:
            while True:
                await asyncio.sleep(1)
                self.ticks.append(asyncio.get_running_loop().time())
        finally:
            self.cleaned = True


class Slow:
    """A port whose calls take ten seconds."""

    def __init__(self) -> None:
        self.applied: list[tuple[float, str]] = []

    async def call(self, call: Call) -> Reply:
        assert current_process() is None
        await asyncio.sleep(10)
        self.applied.append((asyncio.get_running_loop().time(), sender()))
        return {"MessageId": "m"}


def test_a_stalled_process_stands_still_with_all_its_tasks_and_catches_up_once() -> None:
    async def main() -> None:
        process, inside, outside = Process("p"), Ticker(), Ticker()
        _ = process.spawn(inside.run)
        other = asyncio.create_task(outside.run())
        await asyncio.sleep(2.5)
        process.stall()
        await asyncio.sleep(10)
        assert inside.ticks == [1, 2]
        process.resume()
        await asyncio.sleep(2)
        # The timer that ran out meanwhile comes at once, the next a second later.
        assert inside.ticks == [1, 2, 12.5, 13.5]
        assert len(outside.ticks) == 14
        other.cancel()

    play(main)


def test_a_killed_process_never_runs_again_not_even_to_clean_up() -> None:
    async def main() -> None:
        process, inside = Process("p"), Ticker()
        task = process.spawn(inside.run)
        await asyncio.sleep(2.5)
        process.kill()
        process.resume()
        task.cancel()
        await asyncio.sleep(100)
        assert (inside.ticks, inside.cleaned, task.done()) == ([1, 2], False, False)
        process.bury()
        with pytest.raises(asyncio.CancelledError):
            await task

    play(main)


def test_a_process_can_be_killed_after_any_number_of_steps() -> None:
    async def main() -> None:
        done: list[int] = []

        async def work() -> None:
            for n in range(10):
                done.append(n)
                await asyncio.sleep(0)

        lengths = []
        for steps in range(5):
            done.clear()
            process = Process("p")
            process.kill_after(steps)
            task = process.spawn(work)
            await asyncio.sleep(1)
            assert process.killed
            lengths.append(len(done))
            process.bury()
            task.cancel()
            await asyncio.wait({task})
        assert lengths == [0, 1, 2, 3, 4]

    play(main)


def test_a_timer_that_is_cancelled_while_its_process_stands_still_does_not_come() -> None:
    async def main() -> None:
        rang: list[str] = []
        process = Process("p")

        async def work() -> None:
            loop = asyncio.get_running_loop()
            second = loop.call_later(2, rang.append, "second")
            loop.call_later(1, second.cancel)
            await asyncio.sleep(0.5)

        task = process.spawn(work)
        await task
        process.stall()
        await asyncio.sleep(10)
        process.resume()
        await asyncio.sleep(1)
        assert rang == []

    play(main)


def test_a_request_that_was_sent_arrives_though_its_sender_is_killed_or_stalled() -> None:
    async def main() -> None:
        port = Slow()
        answered: list[float] = []
        killed, stalled = Process("killed"), Process("stalled")

        async def ask(process: Process) -> None:
            await RemotePort(process, port).call(CALL)
            answered.append(asyncio.get_running_loop().time())

        tasks = [each.spawn(partial(ask, each)) for each in (killed, stalled)]
        await asyncio.sleep(5)
        killed.kill()
        stalled.stall()
        await asyncio.sleep(10)
        assert port.applied == [(10, "killed"), (10, "stalled")]
        assert answered == []
        stalled.resume()
        await tasks[1]
        assert answered == [15]
        killed.bury()
        tasks[0].cancel()
        await asyncio.wait(tasks)

    play(main)


def test_a_remote_ports_errors_reach_whoever_waits_and_nobody_else() -> None:
    class Busy:
        async def call(self, call: Call) -> Reply:
            await asyncio.sleep(1)
            raise Throttled(call.operation, "Throttled", "later")

    async def main() -> None:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        process = Process("p")
        port = RemotePort(process, Busy())
        with pytest.raises(Throttled):
            await process.spawn(lambda: port.call(CALL))
        given_up = process.spawn(lambda: port.call(CALL))
        await asyncio.sleep(0.5)
        given_up.cancel()
        await asyncio.wait({given_up})
        await asyncio.sleep(5)
        assert complaints == []

    play(main)


def test_a_process_needs_a_loop_that_knows_processes() -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="loop_factory=ProcessLoop"):
            await RemotePort(Process("p"), Slow()).call(CALL)

    run(main)
