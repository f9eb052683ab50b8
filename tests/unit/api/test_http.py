"""What holds for every request: routes, headers, correlation, bugs, log lines."""

from __future__ import annotations

import base64
import json
import logging

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api_lambda.log import configure
from api_lambda.routes import ROUTES
from ftq.errors import CallRefused
from ftq.ports import Call
from tests.unit.api.door import Door, Got, event, read

REQUESTS = {
    "accepted": ("POST", "/tasks", '{"type": "a", "payload": 1}', 202),
    "no JSON": ("POST", "/tasks", "{", 400),
    "fields": ("POST", "/tasks", "{}", 422),
    "no task": ("GET", "/tasks/nobody", None, 404),
    "health": ("GET", "/health", None, 200),
    "no route": ("GET", "/", None, 404),
    "no method": ("DELETE", "/tasks", None, 405),
    "options": ("OPTIONS", "/tasks", None, 204),
}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"), REQUESTS.values(), ids=REQUESTS.keys()
)
def test_every_answer_has_its_headers_and_form(
    door: Door, method: str, path: str, body: str | None, status: int
) -> None:
    got = door.ask(method, path, body, {"X-Correlation-Id": "order-7/retry=1"})
    assert got.status == status
    assert got.headers["x-correlation-id"] == "order-7/retry=1"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in got.headers["content-security-policy"]
    assert got.headers["referrer-policy"] == "no-referrer"
    assert got.headers["x-frame-options"] == "DENY"
    if status >= 400:
        _is_problem(got)
    elif got.body:
        assert got.headers["content-type"] == "application/json"


def _is_problem(got: Got) -> None:
    assert got.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= got.doc.keys()
    assert got.doc["status"] == got.status


# --- routes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "", "/task", "/tasks/", "/tasks/a/b", "/Tasks", "//tasks", "/health/x", "tasks"]
)
def test_a_path_that_is_none_of_ours_is_a_404(door: Door, path: str) -> None:
    got = door.ask("GET", path)
    assert (got.status, got.doc["type"]) == (404, "urn:ftq:problem:no-such-route")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/redrives", "OPTIONS, POST"),
        ("HEAD", "/redrives", "OPTIONS, POST"),
        ("PUT", "/tasks", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/tasks/x", "GET, HEAD, OPTIONS"),
        ("GET", "/tasks/batch", "OPTIONS, POST"),
        ("PATCH", "/health", "GET, HEAD, OPTIONS"),
        ("", "/health", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_method_that_is_not_for_a_path_is_told_what_is(
    door: Door, method: str, path: str, allow: str
) -> None:
    got = door.ask(method, path)
    assert (got.status, got.headers["allow"]) == (405, allow)


def test_options_says_what_is_allowed(door: Door) -> None:
    got = door.ask("OPTIONS", "/health")
    assert (got.status, got.headers["allow"], got.body) == (204, "GET, HEAD, OPTIONS", "")
    assert door.ask("OPTIONS", "/nowhere").status == 404


def test_head_is_get_without_the_body(door: Door) -> None:
    task_id = door.post({"type": "a", "payload": 1}).id
    assert [door.ask("HEAD", f"/tasks/{each}").status for each in (task_id, "no")] == [200, 404]
    assert door.ask("HEAD", f"/tasks/{task_id}").body == ""


def test_a_stage_before_the_path_is_no_part_of_it(door: Door) -> None:
    body = '{"type": "a", "payload": 1}'
    got = door.ask("POST", "/prod/tasks", body, stage="prod")
    assert (got.status, got.headers["location"]) == (202, f"/prod/tasks/{got.id}")
    # Behind a domain of its own the stage does not show.
    got = door.ask("POST", "/tasks", body, stage="prod")
    assert (got.status, got.headers["location"]) == (202, f"/tasks/{got.id}")
    assert door.ask("GET", "/production/health", stage="prod").status == 404


def test_no_stage_gets_a_line_into_a_header(door: Door) -> None:
    stage = "a\r\nset-cookie: b"
    got = door.ask("POST", f"/{stage}/tasks", '{"type": "a", "payload": 1}', stage=stage)
    assert (got.status, got.headers["location"]) == (
        202,
        f"/a%0D%0Aset-cookie%3A%20b/tasks/{got.id}",
    )


def test_every_route_is_listed_once() -> None:
    assert len({(method, path) for method, path, _ in ROUTES}) == len(ROUTES)


# --- health -----------------------------------------------------------------------------------


def test_health_is_whether_the_table_answers(door: Door) -> None:
    assert door.ask("GET", "/health").doc == {"status": "ok"}

    def refuse(call: Call) -> None:
        raise CallRefused(call.operation, "ResourceNotFoundException", "no table arn:aws:x")

    door.port.before = refuse
    got = door.ask("GET", "/health")
    assert (got.status, got.headers["retry-after"]) == (503, "2")
    assert "arn:" not in got.body


# --- correlation ------------------------------------------------------------------------------


def test_an_id_is_made_for_who_brings_none_and_the_task_keeps_it(door: Door) -> None:
    got = door.post({"type": "a", "payload": 1})
    task = door.record(got.id)
    assert task is not None
    assert got.headers["x-correlation-id"] == got.doc["correlation_id"] == task.correlation_id


@pytest.mark.parametrize(
    "given_id", ["", " a", "a b", "a,b", "-a", "ü", "a\r\nx-evil: 1", "a" * 129]
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/tasks"), ("GET", "/tasks/x")])
def test_a_malformed_id_is_refused_by_name(
    door: Door, method: str, path: str, given_id: str
) -> None:
    body = '{"type": "a", "payload": 1}'
    got = door.ask(method, path, body, {"x-correlation-id": given_id})
    assert (got.status, got.fields) == (422, ["X-Correlation-Id"])
    assert got.headers["x-correlation-id"] not in ("", given_id)
    assert door.port.calls == []


# --- bugs and log lines -----------------------------------------------------------------------


def test_a_bug_is_a_500_that_tells_nothing(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    def crash(call: Call) -> None:
        raise RuntimeError(f"cannot store {call.request}")

    configure("INFO")
    door.port.before = crash
    got = door.post({"type": "a", "payload": "secret"}, x_correlation_id="c")
    _is_problem(got)
    assert got.status == 500
    out = capsys.readouterr().out
    assert "secret" not in got.body + out
    bug, request = (json.loads(line) for line in out.splitlines())
    assert (bug["event"], bug["level"], bug["error"]) == ("api.bug", "error", "RuntimeError")
    assert bug["correlation_id"] == "c"
    assert any("submit.py" in frame for frame in bug["where"])
    assert request["status"] == 500


def test_each_request_is_one_line(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    configure("INFO")
    door.get("nobody\n")
    (line,) = capsys.readouterr().out.splitlines()
    logged = json.loads(line)
    assert list(logged) == [
        "timestamp", "level", "event", "correlation_id", "method", "route", "status", "ms",
    ]  # fmt: skip
    assert (logged["route"], logged["status"], logged["level"]) == ("/tasks/{id}", 404, "info")


def test_what_failed_in_aws_is_logged_without_its_words(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(call: Call) -> None:
        raise CallRefused(call.operation, "ValidationException", "the item is secret")

    configure("INFO")
    door.port.before = refuse
    door.post({"type": "a", "payload": "secret"})
    out = capsys.readouterr().out
    assert "secret" not in out
    logged = json.loads(out.splitlines()[0])
    assert (logged["event"], logged["operation"]) == ("api.not_stored", "PutItem")
    assert logged["code"] == "ValidationException"


def test_the_log_level_holds(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    configure("WARNING")
    door.ask("GET", "/health")
    configure("INFO")
    assert capsys.readouterr().out == ""


def test_whatever_others_log_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    class Unspeakable:
        def __str__(self) -> str:
            raise ValueError("no words")

    configure("INFO")
    shop = logging.getLogger("shop")
    shop.warning("%d of them", "not a number")
    shop.warning(Unspeakable())
    shop.warning("charged", extra={"order": float("nan"), "api_key": "hunter2"})
    out = capsys.readouterr().out.splitlines()
    lines = [json.loads(each, parse_constant=pytest.fail) for each in out]
    assert [each["event"] for each in lines] == ["%d of them", "<Unspeakable>", "charged"]
    assert (lines[2]["order"], lines[2]["api_key"]) == (None, "[redacted]")
    assert set(lines[2]) == {"timestamp", "level", "event", "logger", "order", "api_key"}


# --- anything at all --------------------------------------------------------------------------

FUZZ = settings(max_examples=200, deadline=None, derandomize=True, database=None)
texts = st.text(max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
NAMES = ["type", "payload", "delay_seconds", "not_before", "tenant", "x"]
documents = st.dictionaries(st.sampled_from(NAMES), json_values, max_size=6)
plausible = st.fixed_dictionaries(
    {"type": st.sampled_from(["a", "a.b", "#", ""]), "payload": json_values},
    optional={
        "delay_seconds": st.integers(-1, 2000) | st.floats(),
        "not_before": st.datetimes().map(lambda at: f"{at.isoformat()}Z") | texts,
        "tenant": st.sampled_from(["t", "", "t\n"]) | texts,
    },
)
bodies = st.none() | texts | documents.map(json.dumps) | plausible.map(json.dumps)
paths = st.sampled_from(["/tasks", "/health", "/tasks/a", "/tasks/%ff", "/s/tasks"]) | texts
headers = st.dictionaries(
    st.sampled_from(["Idempotency-Key", "x-correlation-id", "X-Amzn-Trace-Id"]) | texts,
    texts | st.just("k"),
    max_size=4,
)


def _is_sound(got: Got) -> None:
    assert got.status < 500, got.body
    assert got.body == "" or isinstance(json.loads(got.body), dict)
    for name, value in got.headers.items():
        assert (name + value).isascii()
        assert (name + value).isprintable()


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "DELETE"]) | texts,
    path=paths,
    body=bodies,
    headers=headers,
    is_base64=st.booleans(),
    stage=st.sampled_from(["$default", "s"]) | texts,
)
@example("GET", "/\r\n\ud800/tasks", None, {}, False, "\r\n\ud800")
def test_no_request_breaks_the_door(
    method: str,
    path: str,
    body: str | None,
    headers: dict[str, str],
    is_base64: bool,
    stage: str,
) -> None:
    door = Door()
    made = event(method, path, body, headers, is_base64, stage)
    _is_sound(read(door.api.handle(made)))


@FUZZ
@given(document=plausible, is_base64=st.booleans())
def test_no_document_breaks_the_door_and_what_it_takes_it_gives_back(
    document: dict[str, object], is_base64: bool
) -> None:
    door = Door()
    body = json.dumps(document)
    if is_base64:
        body = base64.b64encode(body.encode()).decode()
    got = door.ask("POST", "/tasks", body, base64=is_base64)
    _is_sound(got)
    if got.status == 202:
        assert door.get(got.id).doc["payload"] == document["payload"]


@FUZZ
@given(
    made=st.dictionaries(
        st.sampled_from(
            ["rawPath", "headers", "requestContext", "body", "isBase64Encoded", "version"]
        ),
        json_values,
    )
)
def test_no_event_breaks_the_door(made: dict[str, object]) -> None:
    _is_sound(read(Door().api.handle(made)))
