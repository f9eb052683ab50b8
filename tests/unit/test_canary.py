"""Secrets are planted in every input of both programs, and none is found in any output."""

from __future__ import annotations

import json
import logging
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

from api_lambda import bootstrap, sweeper
from api_lambda import log as api_log
from api_lambda.handler import handler
from ftq import Context
from ftq.context import OnItsWay, Signals
from ftq.errors import Unavailable
from ftq.outcome import Returned
from ftq.ports import Call
from ftq.redaction import read_names
from ftq.task import Task
from ftq.testing import ProcessLoop
from ftq.testing.clock import run
from ftq.text import Json
from ftq.wire import queue
from ftq_daemon.__main__ import BAD_USAGE
from ftq_daemon.__main__ import main as daemon
from ftq_daemon.children.process import ChildProcess
from ftq_daemon.clock import World
from ftq_daemon.events import Failed
from ftq_daemon.sinks.emf import EmfSink, Who
from ftq_daemon.sinks.log import LogSink, configure
from ftq_daemon.sinks.metrics import Metrics
from ftq_daemon.sinks.tally import Gauges, Tally
from ftq_daemon.tracing.otlp import OtlpBackend
from ftq_daemon.tracing.port import Backend
from ftq_daemon.tracing.sink import Traces
from ftq_daemon.tracing.xray import XrayBackend
from tests.unit.api.door import TABLE, Door, Got, event
from tests.unit.api.door import read as got
from tests.unit.careless import BIRD, JWT, registry
from tests.unit.daemon.bench import Bench
from tests.unit.daemon.tracing.listener import listening

NAMES = read_names("iban, plain, user")
HANDLERS = "tests.unit.careless:registry"
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
# Each type, with a payload; whose handler traces is last.
WORK: dict[str, Json] = {
    "nest.raise": {"jwt": JWT, "plain": f"{BIRD}-payload"},
    "nest.reject": {"jwt": JWT},
    "nest.login": {"user": f"bad-{BIRD}-user", "pin": f"{BIRD}-pin"},
    "nest.say": {"plain": f"{BIRD}-payload"},
    "nest.trace": 1,
}


@pytest.fixture(autouse=True)
def _everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.stdout, sys.stderr
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    logging.captureWarnings(False)  # who captures them already would not begin to here
    # Who sets a provider up first would keep it, in whichever test that was.
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    yield
    root.handlers, level, sys.stdout, sys.stderr = before[0], before[1], before[2], before[3]
    root.setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    structlog.reset_defaults()


# --- the daemon -------------------------------------------------------------------------------


def _fails(error: Exception) -> None:
    raise AssertionError from error


@dataclass(slots=True)
class Traced:
    """Where traces go, and what came there."""

    backend: Backend
    said: Callable[[int], list[str]]


@contextmanager
def in_xray() -> Iterator[Traced]:
    with listening() as listener:
        backend = XrayBackend("127.0.0.1", listener.port, "tasks", "1.0", NAMES)

        def said(attempts: int) -> list[str]:
            found = [json.dumps(each) for each in listener.wait(attempts)]
            backend.close()
            return found

        yield Traced(backend, said)


@contextmanager
def by_otlp() -> Iterator[Traced]:
    spans = InMemorySpanExporter()
    backend = OtlpBackend("tasks", "1.0", NAMES, spans)

    def said(_: int) -> list[str]:
        backend.close()
        return [str(span.to_json()) for span in spans.get_finished_spans()]

    yield Traced(backend, said)


async def _days_work(bench: Bench, traced: Traced) -> str:
    """All that may go wrong in a daemon, once; what its dead letters carry besides their bodies."""
    log = configure("DEBUG", NAMES, whole=True)
    worker = await bench.start(registry, names=NAMES)
    tally = Tally(registry)
    gauges = Gauges()
    events = worker.daemon.events
    traces = Traces(traced.backend, 1, World(bench.now, random.Random(1).random, lambda: ""))
    logs = LogSink("d1", "DEBUG", log.write, NAMES, audit=True, payloads=True)
    events.sinks = [*events.sinks, logs, tally, traces]
    tasks = [await bench.submit(type_, payload) for type_, payload in WORK.items()]
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
    ended = await bench.ended(*(task.id for task in tasks), "c", "d")
    events.emit(Failed("attempt", f"token={BIRD}-failed iban={BIRD}-too"))
    await worker.tells("task.succeeded", 3)
    # The copy of a message keeps the attributes of whoever sent it (R18); ours beside them.
    letters = [dict(message.attributes) for message in await bench.dead_letters()]
    assert sum(letter.pop("x", None) is not None for letter in letters) == 1
    EmfSink(tally, gauges, Who("ftq", "d1"), log.write, bench.now, _fails).close()
    metrics = Metrics(tally, gauges).render()
    await worker.drain()
    assert events.broken == 0
    log.close(5)
    attempts = sum(each.name == "task.claimed" for each in worker.told)
    told = traced.said(attempts)
    assert any("iban" in each for each in told), "what the handler said is there"
    return f"{letters} {[*map(_kept, ended)]} {metrics!r} {told}"


def _kept(task: Task) -> str:
    return f"{task.last_error} {task.history} {task.correlation_id}"


@pytest.mark.parametrize("tracing", [in_xray, by_otlp])
def test_no_secret_leaves_the_daemon_but_to_whom_it_belongs(
    tracing: Callable[[], AbstractContextManager[Traced]], capfd: pytest.CaptureFixture[str]
) -> None:
    async def work() -> str:
        with tracing() as traced:
            async with Bench() as bench:
                return await _days_work(bench, traced)

    told = run(work, limit_seconds=24 * 3600, loop_factory=ProcessLoop)
    out, err = capfd.readouterr()
    assert out.count("[redacted]") > 20, "something was said at all"
    said = [json.loads(line) for line in out.splitlines()]
    assert {"py.warnings", "stdout", "stderr"} <= {line.get("logger") for line in said}
    assert _seen(out, told) == []
    assert err == ""


def test_bytes_on_standard_output_and_errors_that_nobody_caught_are_lines_too(
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Ends:
        def __del__(self) -> None:
            raise OSError(f"iban={BIRD}-unraisable")

    log = configure("INFO", NAMES, whole=True)
    sys.stdout.buffer.write(f"iban={BIRD}-bytes\n".encode())
    ends = Ends()
    del ends
    sys.excepthook(OSError, OSError(f"iban={BIRD}-uncaught"), None)
    log.close(5)
    out, err = capfd.readouterr()
    said = [json.loads(line) for line in out.splitlines()]
    assert [line["event"] for line in said] == ["iban=[redacted]", "daemon.failed", "daemon.failed"]
    assert ["OSError: iban=[redacted]" in line["exception"] for line in said[1:]] == [True, True]
    assert _seen(out, err) == []


def _seen(*outputs: str) -> list[str]:
    """Where the bird is, with what is beside it."""
    found = []
    for each in outputs:
        at = each.find(BIRD)
        found += [each[max(0, at - 200) : at + 100]] if at >= 0 else []
    return found


async def test_no_secret_leaves_a_process_of_handlers(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: dict[str, object] = {}
    with listening() as listener:
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", listener.address)
        child = await ChildProcess.start(HANDLERS, "DEBUG", NAMES, "xray")
        try:
            for type_, payload in WORK.items():
                signals = Signals()
                context = Context(
                    "t", type_, 1, 1, 0.0, "c", "", signals, lambda _: OnItsWay(), TRACE
                )
                outcomes[type_] = await child.run(json.dumps(payload), context, signals, 30)
        finally:
            child.kill()
            await child.exited
        documents = str(listener.wait(2))
    assert outcomes.pop("nest.say") == Returned(f'{{"token":"{BIRD}-result"}}')
    out, err = capfd.readouterr()
    assert (out.count("[redacted]") > 8, "iban" in documents) == (True, True)
    assert _seen(out, err, documents, str(outcomes)) == []
    assert all(isinstance(json.loads(line), dict) for line in out.splitlines())


# --- the Lambda -------------------------------------------------------------------------------


@dataclass(slots=True)
class Lambda:
    """The function as its runtime calls it, on an account in memory."""

    door: Door
    answers: list[Got] = field(default_factory=list)

    def call(self, method: str, path: str, body: Json = None, **headers: str) -> Got:
        """Answer one request."""
        text = body if isinstance(body, str) else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answered = got(handler(event(method, path, text, named), None))
        self.answers.append(answered)
        return answered

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lambda]:
    made = Lambda(Door())
    settings = {
        "FTQ_QUEUE_URL": made.door.queue_url,
        "FTQ_TABLE": TABLE,
        "FTQ_HANDLERS": HANDLERS,
        "FTQ_REDACT": "iban",
        "FTQ_AUDIT": "all",
        "FTQ_LOG_LEVEL": "DEBUG",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for module in (bootstrap, sweeper):
        monkeypatch.setattr(module, "connect", lambda region, client: made.door.port)
    caches = bootstrap.api, sweeper._port
    for cached in caches:
        cached.cache_clear()
    yield made
    for cached in caches:
        cached.cache_clear()
    api_log.configure("INFO")


def test_no_secret_leaves_the_lambda_but_to_whom_it_belongs(
    function: Lambda, capfd: pytest.CaptureFixture[str]
) -> None:
    login: Json = {"user": f"bad-{BIRD}-user", "pin": f"{BIRD}-pin"}
    asked: Json = {"type": "nest.login", "payload": login}
    taken: Json = {"type": "nest.raise", "payload": {"jwt": JWT}}
    odd: Json = {"type": "nest.say", "payload": 1, f"token={BIRD}-field": 1}
    assert [function.call("POST", "/tasks", each).status for each in (asked, odd)] == [422, 422]
    assert function.call("POST", "/tasks", taken, x_correlation_id=JWT).status == 422
    assert function.call("POST", "/tasks", taken, idempotency_key=f"{BIRD}-key").status == 202
    assert function.call("POST", "/tasks", f'{{"password": "{BIRD}-cut').status == 400
    assert function.call("POST", "/tasks/batch", {"tasks": [asked, taken]}).status == 200
    assert function.call("GET", f"/tasks?token={BIRD}-query").status == 422
    assert function.call("GET", f"/{BIRD}-path").status == 404

    def breaks(error: Exception) -> None:
        def before(_: Call) -> None:
            raise error

        function.door.port.before = before

    breaks(OSError(f"{BIRD}-bug, as payloads are quoted"))
    assert function.call("GET", "/stats").status == 500
    breaks(Unavailable("GetItem", "X", f"https://u:{BIRD}-url@h/ iban={BIRD}-too"))
    assert function.call("GET", "/tasks/a").status == 503
    with pytest.raises(Unavailable) as raised:
        sweeper.handler({}, function)
    logging.getLogger("botocore").warning("Authorization: %s", f"{BIRD}-foreign")
    try:
        raise OSError(f"password={BIRD}-error")
    except OSError:
        logging.getLogger("botocore").exception("failed")
    out, err = capfd.readouterr()
    said = [json.loads(line) for line in out.splitlines()]
    assert {"stdout", "py.warnings"} <= {line.get("logger") for line in said}, "its validators"
    assert out.count("[redacted]") > 5
    assert _seen(out, err, *(f"{each.headers} {each.body}" for each in function.answers)) == []
    assert f"{BIRD}-url" not in str(raised.value)


# --- both -------------------------------------------------------------------------------------

BAD_SETTINGS = {
    "FTQ_QUEUE_URL": f"ftp://u:{BIRD}@h/?iban={BIRD}",
    "FTQ_QUEUES": f"a=https://u:{BIRD}@h/*0",
    "FTQ_TABLE": f"token={BIRD} ",
    "FTQ_HANDLERS": f"{JWT}",
    "FTQ_SERVICE": f"Bearer {BIRD}",
}


@pytest.mark.parametrize("faults", [BAD_SETTINGS, {"FTQ_HANDLERS": "leaky:registry"}])
def test_a_program_that_cannot_begin_says_why_without_secrets(
    faults: dict[str, str],
    function: Lambda,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "leaky.py").write_text(
        f"print('iban={BIRD}-printed')\nraise ValueError('token={BIRD}-load iban={BIRD}-too')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FTQ_DLQ_URL", f"{function.door.queue_url}-dead")
    for name, value in faults.items():
        monkeypatch.setenv(name, value)
    assert function.call("GET", "/health").status == 500
    assert daemon() == BAD_USAGE
    out, err = capfd.readouterr()
    assert "api.misconfigured" in out
    assert all(name in err for name in faults)
    assert _seen(out, err) == []


def test_names_of_ones_own_are_secret_in_each_result_of_a_batch_too() -> None:
    door = Door(registry=registry)
    door.api = replace(door.api, service=replace(door.api.service, names=read_names("user")))
    asked: Json = {"type": "nest.login", "payload": {"user": f"bad user={BIRD}-user"}}
    one = door.post(asked)
    answered = door.ask("POST", "/tasks/batch", json.dumps({"tasks": [asked]}))
    assert (one.status, answered.status) == (422, 200)
    assert "[redacted]" in answered.body
    assert BIRD not in f"{one.body}{answered.body}"
