from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime

import pytest

from ftq.testing import Deadlock, Endless, VirtualLoop, now_ms, outside_work
from ftq.testing.clock import EPOCH_MS, run

DAY = 24 * 3600


def virtual_time() -> float:
    return asyncio.get_running_loop().time()


def test_a_day_of_sleep_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(DAY)
        return virtual_time()

    began = time.monotonic()
    assert run(main) == pytest.approx(DAY)
    assert time.monotonic() - began < 1


def test_wall_time_follows_the_loop_from_a_fixed_moment() -> None:
    async def main() -> tuple[int, int]:
        first = now_ms()
        await asyncio.sleep(1.5)
        return first, now_ms()

    assert run(main) == (EPOCH_MS, EPOCH_MS + 1_500)


def test_wall_time_is_the_machines_where_no_virtual_loop_runs() -> None:
    async def main() -> int:
        return now_ms()

    for read in (now_ms(), asyncio.run(main())):
        assert abs(read / 1000 - datetime.now(UTC).timestamp()) < 5


def test_timers_come_in_the_order_of_their_times() -> None:
    order: list[tuple[float, str]] = []

    async def wait(seconds: float, name: str) -> None:
        await asyncio.sleep(seconds)
        order.append((virtual_time(), name))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for seconds, name in ((3.0, "c"), (1.0, "a"), (2.0, "b"), (1.0, "a2")):
                group.create_task(wait(seconds, name))

    run(main)
    assert order == [(1.0, "a"), (1.0, "a2"), (2.0, "b"), (3.0, "c")]


def test_timeouts_fire_in_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        return virtual_time()

    assert run(main) == pytest.approx(60)


def test_a_long_run_of_short_sleeps_adds_up() -> None:
    async def main() -> int:
        for _ in range(10_000):
            await asyncio.sleep(0.1)
        return now_ms()

    assert run(main) == EPOCH_MS + 1_000_000


def test_the_clock_waits_for_a_thread() -> None:
    def work() -> str:
        threading.Event().wait(0.02)
        return "done"

    async def main() -> tuple[str, float]:
        timer = asyncio.create_task(asyncio.sleep(DAY))
        result = await asyncio.to_thread(work)
        at = virtual_time()
        timer.cancel()
        return result, at

    result, at = run(main)
    assert result == "done"
    assert at < 10


def test_timers_go_on_while_a_thread_runs() -> None:
    async def main() -> bool:
        done = threading.Event()
        asyncio.get_running_loop().call_later(0.02, done.set)
        return await asyncio.to_thread(done.wait, 5)

    assert run(main)


def test_the_clock_jumps_again_after_a_thread() -> None:
    async def main() -> float:
        await asyncio.to_thread(lambda: None)
        await asyncio.sleep(DAY)
        return virtual_time()

    assert run(main) >= DAY


def test_a_thread_that_fails_or_is_given_up_does_not_stop_the_clock() -> None:
    def fail() -> None:
        raise ValueError("as it should")

    async def main() -> float:
        with pytest.raises(ValueError, match="as it should"):
            await asyncio.to_thread(fail)
        release = threading.Event()
        abandoned = asyncio.create_task(asyncio.to_thread(release.wait, 5))
        await asyncio.sleep(0)
        abandoned.cancel()
        await asyncio.wait([abandoned])
        await asyncio.sleep(DAY)
        release.set()
        return virtual_time()

    assert run(main) >= DAY


def test_announced_work_outside_is_waited_for() -> None:
    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def work() -> None:
            threading.Event().wait(0.02)
            loop.call_soon_threadsafe(answer.set_result, "from outside")

        thread = threading.Thread(target=work)
        with outside_work():
            thread.start()
            result = await answer
        thread.join()
        return result, virtual_time()

    result, at = run(main)
    assert result == "from outside"
    assert at < 10


def test_announcing_work_on_an_ordinary_loop_does_nothing() -> None:
    async def main() -> str:
        with outside_work():
            return "fine"

    assert asyncio.run(main()) == "fine"


def test_a_deadlock_is_an_error_that_names_who_waits() -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.gather(asyncio.create_task(for_ever(), name="the sleeper"))

    with pytest.raises(Deadlock, match=r"nothing is scheduled.*the sleeper.*for_ever"):
        run(main)


def test_a_run_without_an_end_is_an_error() -> None:
    async def main() -> None:
        for _ in range(10**9):
            await asyncio.sleep(60)

    with pytest.raises(Endless, match="still going"):
        run(main, limit_seconds=DAY)


def test_what_main_raises_is_raised_and_what_it_left_is_cancelled() -> None:
    ended: list[str] = []

    async def background() -> None:
        try:
            await asyncio.sleep(DAY)
        finally:
            ended.append("background")

    async def main() -> None:
        task = asyncio.create_task(background())
        await asyncio.sleep(1)
        assert not task.done()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main)
    assert ended == ["background"]


def test_the_debug_mode_of_asyncio_works_on_it() -> None:
    async def main() -> bool:
        await asyncio.sleep(DAY)
        return asyncio.get_running_loop().get_debug()

    assert run(main, debug=True)


def test_it_is_a_loop_like_any_other() -> None:
    loop = VirtualLoop()
    try:
        assert loop.run_until_complete(asyncio.sleep(DAY, "slept")) == "slept"
        assert loop.now_ms() == EPOCH_MS + DAY * 1000
    finally:
        loop.close()
