"""A fleet's health and metrics: each process is asked, and they answer as one."""

from __future__ import annotations

import asyncio
import json
from typing import Final

import aiohttp

from ftq_daemon.fleet.fleet import Fleet
from ftq_daemon.fleet.member import Member
from ftq_daemon.fleet.sums import Sums

PATIENCE_SECONDS: Final = 3.0


class FleetAnswers:
    """Asks the processes of a fleet.

    Args:
        fleet: Whose.
        session: For the questions.
    """

    def __init__(self, fleet: Fleet, session: aiohttp.ClientSession) -> None:
        """Nothing is asked yet."""
        self._fleet = fleet
        self._session = session
        self._last: dict[Member, str] = {}
        # What those that have ended had counted: a counter never goes back.
        self._ended = ""

    async def alive(self) -> str:
        """Why the container should be replaced: a process that hangs. One that died is replaced."""
        return await self._problems("/healthz")

    async def ready(self) -> str:
        """Why not all processes claim work."""
        missing = self._fleet.count - len(self._up())
        if missing:
            return f"{missing} of {self._fleet.count} processes are not up"
        return await self._problems("/readyz")

    async def metrics(self) -> bytes:
        """The exposition of all, added up."""
        members = self._up()
        texts = await asyncio.gather(*(self._ask(each, "/metrics") for each in members))
        for each, (status, text) in zip(members, texts, strict=True):
            if status == 200:
                self._last[each] = text
        self._bury()
        sums = Sums()
        for text in (self._ended, *self._last.values()):
            sums.add(text)
        return sums.render().encode()

    def _bury(self) -> None:
        """Keep what processes that have ended were last seen to have counted."""
        gone = [each for each in self._last if self._fleet.members.get(each.number) is not each]
        sums = Sums()
        sums.add(self._ended)
        for each in gone:
            sums.add(self._last.pop(each), counted_only=True)
        self._ended = sums.render()

    def _up(self) -> list[Member]:
        return [each for each in self._fleet.members.values() if each.health_url]

    async def _problems(self, path: str) -> str:
        members = self._up()
        answers = await asyncio.gather(*(self._ask(each, path) for each in members))
        return "; ".join(
            f"process {each.number}: {_status(text)}"
            for each, (status, text) in zip(members, answers, strict=True)
            if status != 200
        )

    async def _ask(self, one: Member, path: str) -> tuple[int, str]:
        try:
            async with (
                asyncio.timeout(PATIENCE_SECONDS),
                self._session.get(f"{one.health_url}{path}") as response,
            ):
                return response.status, await response.text()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return 0, json.dumps({"status": f"does not answer: {type(error).__name__}"})


def _status(text: str) -> str:
    return str(json.loads(text)["status"])
