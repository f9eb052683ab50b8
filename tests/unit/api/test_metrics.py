"""What the API and the scheduled sweep tell CloudWatch is what they answered and saw."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from api_lambda.backlog import backlog
from api_lambda.log import configure
from api_lambda.metrics import Teller
from api_lambda.routes import Api
from ftq import Registry
from ftq.errors import CallRefused
from ftq.metrics import METRICS
from ftq.ports import Call
from ftq.report import STALE, Report
from ftq.text import Json
from ftq.wire import reports
from tests.emf import points, total
from tests.unit.api.door import NOW, TABLE, Door

SAID_BY_API = [metric for metric in METRICS if "api" in metric.said_by]
SAID_BY_SWEEPER = [metric for metric in METRICS if metric.said_by == ("sweeper",)]


def mailing() -> Registry:
    registry = Registry()

    @registry.handler("mail")
    async def mail(_: dict[str, str]) -> None: ...

    return registry


@pytest.fixture
def door() -> Door:
    door = Door()
    teller = Teller.of("ftq", mailing(), door.clock.ms)
    door.api = Api(replace(door.api.service, tell=teller.submissions))
    return door


def test_each_submission_is_counted_once_by_how_it_was_answered(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("ERROR")  # metrics are said whatever the level
    good: list[Json] = [{"type": "mail", "payload": {"n": n}} for n in range(7)]
    bad: list[Json] = [{"type": "mail", "payload": {"n": "other"}}, {"type": "mail"}, "no object"]
    statuses = [door.post(each, key=f"k{n}").status for n, each in enumerate(good)]
    statuses += [door.post(each, key="k1").status for each in bad]
    statuses.append(door.post({"type": "made.up", "payload": {}}).status)
    entries: list[Json] = [{"type": "mail", "payload": n} for n in range(5)]
    batch = door.ask("POST", "/tasks/batch", json.dumps({"tasks": [*entries, {"type": "?"}]})).doc[
        "results"
    ]
    assert isinstance(batch, list)
    statuses += [int(str(each["status"])) for each in batch if isinstance(each, dict)]

    def refuse(call: Call) -> None:
        raise CallRefused(call.operation, "ValidationException", "no")

    door.port.before = refuse
    statuses.append(door.post({"type": "mail", "payload": {}}).status)
    configure("INFO")
    said = points(capsys.readouterr().out.encode().splitlines())
    assert total(said, "TasksAccepted") == statuses.count(202) == 13
    assert total(said, "TasksNotStored", "mail") == statuses.count(503) == 1
    assert total(said, "TasksRefused") == len(statuses) - 14
    # A type without a handler is no name, and a fault before there is a type is nobody's.
    assert total(said, "TasksAccepted", "unknown") == 1
    assert {each.dimensions[1][1] for each in said if len(each.dimensions) == 2} == {
        "mail",
        "unknown",
    }
    assert {(each.name, tuple(key for key, _ in each.dimensions)) for each in said} == {
        (metric.name, keys) for metric in SAID_BY_API for keys in metric.dimensions
    }


def report(name: str, *, age: int = 0, draining: bool = False, stopped: bool = False) -> Report:
    return Report(name, "1", "q", NOW - age, 0, 64, 0, draining=draining, stopped=stopped)


def test_the_backlog_is_shared_by_the_daemons_that_work_on_it(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in range(10):
        door.post({"type": "mail", "payload": n})
    found = backlog(door.aws, TABLE, [door.queue_url], NOW)
    assert found == {"BacklogVisible": 10, "DaemonsReporting": 0, "BacklogPerDaemon": 10}
    told = [report(f"d{n}") for n in range(120)]
    told += [report("old", age=STALE + 1), report("going", draining=True)]
    told += [report("gone", stopped=True)]
    for each in told:
        door.aws.call(reports.write(TABLE, each))
    found = backlog(door.aws, TABLE, [door.queue_url], NOW)
    assert found == {"BacklogVisible": 10, "DaemonsReporting": 120, "BacklogPerDaemon": 0.083}
    capsys.readouterr()
    Teller("shop", {}, door.clock.ms).tell(found)
    said = points(capsys.readouterr().out.encode().splitlines())
    assert {(each.name, each.dimensions) for each in said} == {
        (metric.name, (("service", "shop"),)) for metric in SAID_BY_SWEEPER
    }
