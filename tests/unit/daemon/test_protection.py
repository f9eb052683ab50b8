"""Scale-in protection follows the work, and nothing depends on it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine

import pytest
from aiohttp import web

from ftq.testing.clock import run
from ftq_daemon.aws.ecs import EcsAgent
from ftq_daemon.events import Event, Events
from ftq_daemon.protection import ScaleInProtection


class Agent:
    """Remembers what it was told, and when."""

    def __init__(self) -> None:
        self.told: list[tuple[float, bool]] = []
        self.failing = False

    async def protect(self, on: bool, minutes: int) -> None:
        assert 1 <= minutes <= 2880
        if self.failing:
            raise OSError("no answer")
        self.told.append((asyncio.get_running_loop().time(), on))


class Stage:
    def __init__(self) -> None:
        self.agent = Agent()
        self.busy = False
        self.heard: list[Event] = []
        self.protection = ScaleInProtection(
            self.agent.protect, lambda: self.busy, Events([self.heard.append])
        )

    @property
    def switched(self) -> list[bool]:
        return [on for _, on in self.agent.told]


def played(story: Callable[[Stage], Coroutine[object, None, None]]) -> None:
    async def main() -> None:
        stage = Stage()
        following = asyncio.create_task(stage.protection.run())
        try:
            await story(stage)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    run(main, limit_seconds=24 * 3600)


def test_an_idle_daemon_asks_for_nothing() -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(3600)
        assert stage.agent.told == []

    played(story)


def test_it_is_on_while_busy_and_off_once_idle_for_a_while() -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(10)
        stage.busy = True
        await asyncio.sleep(60)
        stage.busy = False
        await asyncio.sleep(60)
        (on_at, on), (off_at, off) = stage.agent.told
        assert (on, off) == (True, False)
        assert on_at <= 11
        assert 98 <= off_at <= 102

    played(story)


def test_short_gaps_between_tasks_change_nothing() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(20):
            stage.busy = True
            await asyncio.sleep(5)
            stage.busy = False
            await asyncio.sleep(10)
        assert stage.switched == [True]

    played(story)


def test_it_is_renewed_well_before_it_expires() -> None:
    async def story(stage: Stage) -> None:
        stage.busy = True
        await asyncio.sleep(3 * 3600)
        assert all(stage.switched)
        times = [at for at, _ in stage.agent.told]
        assert max(b - a for a, b in itertools.pairwise(times)) < 20 * 60

    played(story)


def test_an_agent_that_fails_is_asked_again_later_and_stops_nothing() -> None:
    async def story(stage: Stage) -> None:
        stage.agent.failing = stage.busy = True
        await asyncio.sleep(100)
        assert len(stage.heard) == 4
        stage.agent.failing = False
        await asyncio.sleep(60)
        assert stage.switched == [True]

    played(story)


def test_the_end_of_the_daemon_takes_it_off() -> None:
    stages: list[Stage] = []

    async def story(stage: Stage) -> None:
        stages.append(stage)
        stage.busy = True
        await asyncio.sleep(5)

    played(story)
    assert stages[0].switched == [True, False]


@pytest.mark.parametrize(
    ("status", "reply", "works"),
    [
        (200, {"protection": {"ProtectionEnabled": True}}, True),
        (200, {"failure": {"Reason": "DEPLOYMENT_BLOCKED"}}, False),
        (400, {"error": {"Code": "AccessDeniedException"}}, False),
    ],
)
async def test_the_agent_is_spoken_to_as_ecs_documents_it(
    status: int, reply: dict[str, object], works: bool
) -> None:
    asked: list[object] = []

    async def state(request: web.Request) -> web.Response:
        asked.append(await request.json())
        return web.json_response(reply, status=status)

    app = web.Application()
    app.router.add_put("/api/abc/task-protection/v1/state", state)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        agent = EcsAgent(f"http://127.0.0.1:{runner.addresses[0][1]}/api/abc")
        if works:
            await agent.protect(True, 30)
            await agent.protect(False, 30)
            assert asked == [
                {"ProtectionEnabled": True, "ExpiresInMinutes": 30},
                {"ProtectionEnabled": False},
            ]
        else:
            with pytest.raises(OSError, match="the ECS agent refused"):
                await agent.protect(True, 30)
    finally:
        await runner.cleanup()


async def test_an_agent_that_is_not_there_is_an_oserror() -> None:
    with pytest.raises(OSError, match="the ECS agent does not answer"):
        await EcsAgent("http://127.0.0.1:1/").protect(True, 30)
