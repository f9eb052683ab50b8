"""A daemon that is wired as in production, in front of an AWS that only listens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ftq import Registry
from ftq.errors import Unavailable
from ftq.settings import read
from ftq_daemon.bootstrap import running
from ftq_daemon.settings import DaemonSettings
from ftq_daemon.sinks.lines import Lines
from tests.unit.daemon.hot_door import Said, door


@asynccontextmanager
async def a_log(path: Path) -> AsyncIterator[Lines]:
    with path.open("wb") as file:
        lines = Lines(file.fileno(), lambda count: b"%d lost\n" % count)
        yield lines
        lines.close(1)


@pytest.mark.parametrize(("client", "hot"), [("", True), ("hot", True), ("aiobotocore", False)])
async def test_the_setting_says_who_makes_the_calls_of_each_task(
    client: str, hot: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with door() as at, a_log(tmp_path / "log") as lines:
        monkeypatch.setenv("AWS_ENDPOINT_URL", at.url)
        environ = {
            "FTQ_QUEUE_URL": f"{at.url}/1/tasks",
            "FTQ_DLQ_URL": f"{at.url}/1/dead",
            "FTQ_TABLE": "tasks",
            "FTQ_HANDLERS": "shop:registry",
            "FTQ_HEALTH_HOST": "127.0.0.1",
            "FTQ_HEALTH_PORT": "0",
            "FTQ_AWS_CLIENT": client,
        }
        settings = read(DaemonSettings, environ)
        async with running(settings, Registry(), None, lines) as daemon:
            at.heard.clear()
            for _ in range(2):  # the first of a kind is aiobotocore's
                await daemon.queues[0].receive(1, 0)
            at.script = [Said(500)]
            with pytest.raises(Unavailable):  # and tried once: the poller asks again by itself
                await daemon.queues[0].receive(1, 0)
    assert [request.hot for request in at.heard] == [False, hot, hot]
