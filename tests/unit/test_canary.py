"""Secrets are planted in every input of both programs, and none is found in any output."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog
from pydantic import BaseModel, field_validator

from api_lambda import log as api_log
from api_lambda.settings import ApiSettings
from ftq import Context, Registry, Reject, SettingsError
from ftq.redaction import read_names
from ftq.settings import read
from ftq.testing import ProcessLoop
from ftq.testing.clock import run
from ftq.text import Json
from ftq.wire import queue
from ftq_daemon.settings import DaemonSettings
from ftq_daemon.sinks.emf import EmfSink, Who
from ftq_daemon.sinks.log import LogSink, configure
from ftq_daemon.sinks.metrics import Metrics
from ftq_daemon.sinks.tally import Gauges, Tally
from tests.unit.api.door import Door
from tests.unit.daemon.bench import Bench

# Each plant is another one, so that a leak tells where it is.
BIRD = "hunter2"


@pytest.fixture(autouse=True)
def _everything_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.stdout, sys.stderr
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.handlers, level, sys.stdout, sys.stderr = before[0], before[1], before[2], before[3]
    root.setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    structlog.reset_defaults()


class Login(BaseModel):
    user: str = ""
    pin: str = ""

    @field_validator("user")
    @classmethod
    def _known(cls, user: str) -> str:
        if user.startswith("bad"):
            raise ValueError(f"no such user: password={user}")
        return user


def nest() -> Registry:
    """Handlers that are as careless as they can be."""
    registry = Registry()

    @registry.handler("nest.raise")
    async def raise_(payload: dict[str, str]) -> None:
        secret = f"{BIRD}-local"
        try:
            raise KeyError(f"secret={BIRD}-cause", secret)
        except KeyError as error:
            url = f"https://u:{BIRD}-userinfo@h/?X-Amz-Signature={BIRD}-signed {payload['jwt']}"
            raise ValueError(f"{url} token={BIRD}-message iban={BIRD}-named") from error

    @registry.handler("nest.reject")
    async def reject(payload: object) -> None:
        raise Reject(json.dumps({"apiKey": f"{BIRD}-reason"}))

    @registry.handler("nest.say")
    async def say(payload: object, context: Context) -> dict[str, str]:
        structlog.get_logger("shop").info(
            "in", password=f"{BIRD}-structlog", auth={"a": f"{BIRD}-nested"}
        )
        logging.getLogger("urllib3").warning("Authorization: Bearer %s", f"{BIRD}-foreign")
        own = logging.getLogger("own")
        own.propagate, own.handlers = False, [logging.StreamHandler()]
        own.error("cookie: %s", f"{BIRD}-own-handler")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(f"api_key={BIRD}-warning", stacklevel=1)
        print(f"passwd: {BIRD}-printed")  # noqa: T201  # as handlers do
        sys.stderr.write(f"pwd={BIRD}-stderr\n")
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"token={BIRD}-loop", "exception": OSError(f"secret={BIRD}-loop-error")}
        )
        dies = threading.Thread(target=int, args=(f"password={BIRD}-thread",))
        dies.start()
        dies.join()
        await context.progress({"note": f"{BIRD}-progress"})
        return {"token": f"{BIRD}-result"}

    @registry.handler("nest.login")
    async def login(payload: Login) -> None:
        raise AssertionError("its payload is not valid")

    return registry


JWT = f"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ{BIRD}.{BIRD}-jwt"


def _fails(error: Exception) -> None:
    raise AssertionError from error


async def _days_work(bench: Bench) -> str:
    """All that may go wrong in a daemon, once; what its dead letters carry besides their bodies."""
    registry, names = nest(), read_names("iban")
    log = configure("DEBUG", names, whole=True)
    worker = await bench.start(registry, names=names)
    tally = Tally(registry)
    gauges = Gauges()
    events = worker.daemon.events
    events.sinks = [*events.sinks, LogSink("d1", "DEBUG", log.write, names, audit=True), tally]
    payload: Json = {"jwt": JWT, "plain": f"{BIRD}-payload"}
    tasks = [
        await bench.submit("nest.raise", payload),
        await bench.submit("nest.reject", payload),
        await bench.submit("nest.say", payload),
        await bench.submit("nest.login", {"user": f"bad-{BIRD}-user", "pin": f"{BIRD}-pin"}),
    ]
    foreign = queue.mark("x", f"{BIRD}-attribute")
    for body in (
        f"{BIRD}-body",
        json.dumps({"v": f"{BIRD}-version", "id": "a"}),
        json.dumps({"id": f"{BIRD} id"}),
        json.dumps({"id": "b", "type": f"{BIRD} type", "payload": 1}),
        json.dumps({"id": "c", "type": "nest.say", "correlation_id": f"{BIRD} id", "payload": 1}),
        json.dumps({"id": "d", "type": "nest.say", "correlation_id": JWT, "payload": 1}),
    ):
        await bench.send(body, foreign if body.startswith(BIRD) else None)
    await worker.tells("task.succeeded", 3)
    ended = await bench.ended(*(task.id for task in tasks), "c", "d")
    # The copy of a message keeps the attributes of whoever sent it (R18); ours beside them.
    letters = [dict(message.attributes) for message in await bench.dead_letters()]
    assert sum(letter.pop("x", None) is not None for letter in letters) == 1
    kept = [f"{task.last_error} {task.history} {task.correlation_id}" for task in ended]
    EmfSink(tally, gauges, Who("ftq", "d1"), log.write, bench.now, _fails).close()
    metrics = Metrics(tally, gauges).render()
    await worker.drain()
    log.close(5)
    return f"{letters} {kept} {metrics!r}"


def test_no_secret_leaves_the_daemon_but_to_whom_it_belongs(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def work() -> str:
        async with Bench() as bench:
            return await _days_work(bench)

    told = run(work, limit_seconds=24 * 3600, loop_factory=ProcessLoop)
    out, err = capfd.readouterr()
    assert out.count("[redacted]") > 20, "something was said at all"
    for line in out.splitlines():
        assert isinstance(json.loads(line), dict)
    assert BIRD not in out
    assert err == ""
    assert BIRD not in told


# --- the API ----------------------------------------------------------------------------------


def test_no_secret_leaves_the_api_but_to_whom_it_belongs(
    capfd: pytest.CaptureFixture[str],
) -> None:
    door = Door(registry=nest())
    api_log.configure("DEBUG", read_names("iban"))
    asked: Json = {"user": f"bad-{BIRD}-user", "pin": f"{BIRD}-pin", f"token={BIRD}-field": 1}
    refused = door.post({"type": "nest.login", "payload": asked})
    foreign = door.post({"type": "nest.login", "payload": {}}, x_correlation_id=JWT)
    assert (refused.status, foreign.status) == (422, 422)
    taken = door.post({"type": "nest.raise", "payload": {"jwt": JWT}}, f"{BIRD}-key")
    assert taken.status == 202
    logging.getLogger("botocore").warning("Authorization: %s", f"{BIRD}-foreign")
    try:
        raise OSError(f"password={BIRD}-error")
    except OSError as error:
        logging.getLogger("botocore").exception("failed")
        api_log.log_bug("api.bug", error)
    out, err = capfd.readouterr()
    assert len([json.loads(line) for line in out.splitlines()]) == 6
    assert BIRD not in f"{out}{err}{refused.body}{foreign.body}{taken.body}"


def test_names_of_ones_own_are_secret_in_each_result_of_a_batch_too() -> None:
    door = Door(registry=nest())
    door.api = replace(door.api, service=replace(door.api.service, names=read_names("user")))
    asked: Json = {"type": "nest.login", "payload": {"user": f"bad user={BIRD}-user"}}
    one = door.post(asked)
    answered = door.ask("POST", "/tasks/batch", json.dumps({"tasks": [asked]}))
    assert (one.status, answered.status) == (422, 200)
    assert "[redacted]" in answered.body
    assert BIRD not in f"{one.body}{answered.body}"


@pytest.mark.parametrize("model", [ApiSettings, DaemonSettings])
def test_no_setting_that_is_refused_shows_a_secret(
    model: type[ApiSettings | DaemonSettings],
) -> None:
    environ = {
        "FTQ_QUEUE_URL": f"ftp://u:{BIRD}@h/",
        "FTQ_QUEUES": f"a=https://u:{BIRD}@h/*0",
        "FTQ_TABLE": f"token={BIRD} ",
        "FTQ_HANDLERS": f"{JWT}",
        "FTQ_REDACT": f"secret={BIRD}",
        "FTQ_SERVICE": f"Bearer {BIRD}",
    }
    with pytest.raises(SettingsError) as caught:
        read(model, environ)
    assert len(caught.value.problems) >= 4
    assert BIRD not in str(caught.value)
