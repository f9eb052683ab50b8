"""Whatever comes in: an answer in JSON, no 5xx, nothing of what was sent in answers or log lines.

Requests are Lambda's events, as API Gateway makes them and as it never would; they go through the
function that Lambda calls.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from api_lambda import handler as lambda_function
from api_lambda.batch import ERRORS as BATCH_ERRORS
from api_lambda.http import Answer
from api_lambda.log import configure
from ftq import Context, Registry
from ftq.lifecycle import State
from ftq.limits import (
    CLASS_NAME_CHARS,
    HISTORY_ENTRIES,
    INLINE_PAYLOAD_BYTES,
    ITEM_BYTES,
    PAYLOAD_BYTES,
    PROGRESS_BYTES,
    RESULT_BYTES,
)
from ftq.task import Entry, Task, failure
from ftq.text import Json, size
from ftq.wire.item import to_item
from tests.unit.api.door import NOW, Door, Got, event, read

CANARY = "canary-7f3a91"
LAMBDA_ANSWER_BYTES = 6 * 2**20
PROBLEM = {"type", "title", "status", "detail"}

shop = Registry()


class Order(BaseModel):
    number: int
    lines: list[int] = []


@shop.handler("order.ship")
async def ship(order: Order, context: Context) -> None:
    raise AssertionError("only declared")


@pytest.fixture(autouse=True)
def _logging() -> None:
    configure("INFO")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Door:
    """An API that knows its handlers, as Lambda's function has it."""
    door = Door(registry=shop)
    monkeypatch.setattr(lambda_function, "api", lambda: door.api)
    return door


def _call(made: object) -> Got:
    """Call the function, and look at what holds for every answer."""
    answer = lambda_function.handler(made, None)
    assert len(json.dumps(answer).encode()) < LAMBDA_ANSWER_BYTES
    return _sound(answer)


def _sound(answer: Answer) -> Got:
    got = read(answer)
    assert answer["isBase64Encoded"] is False
    assert got.status < 500, got.body
    for name, value in got.headers.items():
        assert (name + value).isascii()
        assert (name + value).isprintable()
    assert got.headers["x-content-type-options"] == "nosniff"
    if got.status >= 400 and got.body:
        assert got.headers["content-type"] == "application/problem+json"
        assert got.doc.keys() >= PROBLEM
        assert got.doc["status"] == got.status
    return got


# --- any event --------------------------------------------------------------------------------

ANY = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# What breaks parsers, terminals, headers and paths.
ODD = st.sampled_from(
    [
        *("", " ", "\x00", "\r\nset-cookie: a=b", "\ud800", "\udfff\ud800", "\u202e", "\ufeff"),
        *("\uffff", "e\u0301", "\u00e9", "İ", "ß", "\U0001f469\u200d\U0001f680", "'", '"', "\\"),
        *("../..", "%2e%2e%2f", "%252e", "%", "%zz", "%00", "%ff", "..;/", "//", "{{7*7}}"),
        *("${jndi:x}", "-1", "1e999", "NaN", "9" * 5000, "a" * 8192, "%41" * 2700),
        *("&".join(["a=b"] * 2000), "[" * 3000),
    ]
)
texts = ODD | st.text(max_size=30) | st.characters(categories=["Cs"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just(10**400)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "Idempotency-Key", "X-Correlation-Id", "Content-Type", "Content-Encoding", "Cookie", "Host",
        "Transfer-Encoding", "X-HTTP-Method-Override", "X-Forwarded-Proto", "Origin",
        "Authorization", "X-Amzn-Trace-Id", "Content-Length", "Expect",
    ]
)  # fmt: skip
PATHS = st.sampled_from(
    [
        "/tasks", "/tasks/batch", "/tasks/x", "/tasks/x/cancel", "/tasks/x/redrive", "/redrives",
        "/dead-letters", "/stats", "/health", "/openapi.json",
    ]
)  # fmt: skip
fields = st.sampled_from(
    ["type", "payload", "delay_seconds", "not_before", "tenant", "queue", "tasks", "claim_no",
     "limit", "rate", "before", "cursor", "error", "dry_run", "idempotency_key", "__proto__"]
)  # fmt: skip
documents = st.dictionaries(fields, values, max_size=5)
bodies = (
    st.none()
    | texts
    | st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode())
    | documents.map(json.dumps)
    | documents.map(lambda each: json.dumps({"type": "order.ship", "payload": 1, **each}))
    | documents.map(lambda each: json.dumps({"tasks": [each, {"type": "a", "payload": each}]}))
    | documents.map(lambda each: base64.b64encode(json.dumps(each).encode()).decode())
)
QUERIES = st.dictionaries(
    st.sampled_from(["state", "type", "tenant", "limit", "cursor", "window"]) | texts,
    texts,
    max_size=3,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs.items()))


@st.composite
def requests(draw: st.DrawFn) -> dict[str, object]:
    method = draw(st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE"]) | texts)
    path = draw(PATHS | st.tuples(PATHS, texts).map("".join) | texts)
    made = event(
        method,
        "/",
        draw(bodies),
        draw(st.dictionaries(NAMES | texts, texts, max_size=4)),
        draw(st.booleans()),
        draw(st.sampled_from(["$default", "$default", "prod"]) | texts),
    )
    return {**made, "rawPath": path, "rawQueryString": draw(QUERIES | texts)}


@ANY
@given(made=requests())
def test_no_request_breaks_the_function(api: Door, made: dict[str, object]) -> None:
    _call(made)


@ANY
@given(
    made=requests(),
    odd=st.dictionaries(
        st.sampled_from(
            ["version", "rawPath", "rawQueryString", "headers", "requestContext", "body",
             "isBase64Encoded", "cookies", "routeKey", "multiValueHeaders"]
        ),
        values,
    ),
    gone=st.sets(st.sampled_from(["version", "rawPath", "headers", "requestContext", "body"])),
)  # fmt: skip
def test_no_event_breaks_the_function(
    api: Door, made: dict[str, object], odd: dict[str, object], gone: set[str]
) -> None:
    _call({name: value for name, value in {**made, **odd}.items() if name not in gone})


@pytest.mark.parametrize("made", [None, [], "event", 7, {}, {"requestContext": {"http": None}}])
def test_what_is_no_event_at_all_is_a_400(api: Door, made: object) -> None:
    got = _call(made)
    assert (got.status, got.doc["type"]) == (400, "urn:ftq:problem:unknown-event")


REST = {
    "version": "1.0",
    "httpMethod": "POST",
    "path": "/tasks",
    "headers": {},
    "multiValueHeaders": {},
    "requestContext": {"httpMethod": "POST", "stage": "prod"},
    "body": "{}",
}
BALANCER = {
    "requestContext": {"elb": {"targetGroupArn": "arn:aws:x"}},
    "httpMethod": "GET",
    "path": "/health",
    "headers": {},
    "body": "",
    "isBase64Encoded": False,
}


@pytest.mark.parametrize("made", [REST, BALANCER, {"Records": []}], ids=["rest", "alb", "sqs"])
def test_an_event_of_another_form_is_told_so(api: Door, made: Mapping[str, object]) -> None:
    got = _call(made)
    assert (got.status, got.doc["type"]) == (400, "urn:ftq:problem:unknown-event")
    assert "HTTP API" in str(got.doc["detail"])
    assert api.port.calls == []


# --- the canary -------------------------------------------------------------------------------

HIDDEN = {
    "a payload": {"body": {"type": "order.ship", "payload": {"number": CANARY}}},
    "a payload of another shape": {"body": {"type": "order.ship", "payload": CANARY}},
    "a payload that nobody wants": {"body": {"type": "no.such", "payload": CANARY}},
    "a field of another kind": {"body": {"type": 1, "payload": 1, "tenant": {"x": CANARY}}},
    "a tenant": {"body": {"type": "a", "payload": 1, "tenant": f"{CANARY} x"}},
    "a queue": {"body": {"type": "a", "payload": 1, "queue": CANARY}},
    "a type": {"body": {"type": f"{CANARY} x", "payload": 1}},
    "a moment": {"body": {"type": "a", "payload": 1, "not_before": CANARY}},
    "no JSON": {"text": f'{{"type": "a", "payload": {CANARY}}}'},
    "a key twice": {"text": f'{{"type": "a", "payload": {{"{CANARY}": 1, "{CANARY}": 2}}}}'},
    "a body in gzip": {"text": CANARY, "headers": {"content-encoding": "gzip"}},
    "an encoding": {"text": "{}", "headers": {"content-encoding": CANARY}},
    "an idempotency key": {"body": {"type": "a"}, "headers": {"idempotency-key": CANARY}},
    "a malformed key": {"text": "{}", "headers": {"idempotency-key": f"{CANARY} x"}},
    "a malformed correlation id": {"text": "{}", "headers": {"x-correlation-id": f"{CANARY} x"}},
    "a header": {"text": "{}", "headers": {CANARY: CANARY, "authorization": CANARY}},
    "a cookie": {"text": "{}", "more": {"cookies": [CANARY]}},
    "a path": {"path": f"/tasks/{CANARY}/x", "text": "{}"},
    "a task id": {"path": f"/tasks/{CANARY}", "method": "GET"},
    "a method": {"method": CANARY, "text": "{}"},
    "a query's value": {"method": "GET", "more": {"rawQueryString": f"limit=1&cursor={CANARY}"}},
}  # fmt: skip


@pytest.mark.parametrize("where", HIDDEN.values(), ids=HIDDEN.keys())
def test_nothing_of_a_refused_request_comes_back_or_into_the_log(
    api: Door, capsys: pytest.CaptureFixture[str], where: dict[str, Json]
) -> None:
    body = json.dumps(where["body"]) if "body" in where else where.get("text")
    headers = {str(name): str(value) for name, value in _dict(where.get("headers", {})).items()}
    made = event(
        str(where.get("method", "POST")),
        str(where.get("path", "/tasks")),
        str(body) if body is not None else None,
        headers,
    )
    got = _call({**made, **_dict(where.get("more", {}))})
    assert got.status >= 400
    seen = json.dumps(dict(got.headers)) + got.body + capsys.readouterr().out
    assert CANARY not in seen.lower()
    assert "Traceback" not in seen


def _dict(value: Json) -> dict[str, Json]:
    assert isinstance(value, dict)
    return value


def test_a_line_that_comes_in_stays_within_its_own(
    api: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = 'x\r\n{"level":"error","event":"forged"}'
    for name in ("x-correlation-id", "idempotency-key"):
        _call(event("POST", "/tasks", '{"type": "a", "payload": 1}', {name: evil}))
    _call(event(evil, f"/tasks/{evil}", None))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["api.request"] * 3


# --- encodings --------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate", "zstd", "gzip, identity"])
def test_a_compressed_body_is_a_415_that_says_so(api: Door, encoding: str) -> None:
    packed = base64.b64encode(gzip.compress(b'{"type": "a", "payload": 1}')).decode()
    got = _call(event("POST", "/tasks", packed, {"Content-Encoding": encoding}, True))
    assert (got.status, got.doc["type"]) == (415, "urn:ftq:problem:encoded-body")
    assert "Content-Encoding" in str(got.doc["detail"])
    assert api.port.calls == []


def test_a_compressed_body_that_does_not_say_so_is_a_400(api: Door) -> None:
    packed = base64.b64encode(gzip.compress(b'{"type": "a", "payload": 1}')).decode()
    assert _call(event("POST", "/tasks", packed, None, True)).status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-encoding": "identity"},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"transfer-encoding": "chunked"},
        {"x-http-method-override": "DELETE", "x-http-method": "GET", "x-method-override": "PUT"},
    ],
    ids=str,
)
def test_what_else_headers_say_of_a_body_changes_nothing(
    api: Door, headers: dict[str, str]
) -> None:
    body = '{"type": "order.ship", "payload": {"number": 7}}'
    assert _call(event("POST", "/tasks", body, headers)).status == 202


@pytest.mark.parametrize(
    "body",
    ['1b\r\n{"type": "a", "payload": 1}\r\n0\r\n\r\n', '{"type": "a", "payload": 1}\r\n0\r\n'],
)
def test_what_chunks_leave_behind_is_a_400(api: Door, body: str) -> None:
    assert _call(event("POST", "/tasks", body)).status == 400


@pytest.mark.parametrize("lie", ["true", 1, "yes", [True], None])
def test_only_true_says_that_a_body_is_base64(api: Door, lie: object) -> None:
    made = event("POST", "/tasks", '{"type": "order.ship", "payload": {"number": 7}}')
    assert _call({**made, "isBase64Encoded": lie}).status == 202


# --- Unicode, numbers, sizes ------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["\x00", "\u202eevil", "e\u0301", "\u00e9", "\ufeff", "\uffff", "\ufdd0", "\U0010ffff"]
)
def test_odd_unicode_comes_back_as_it_was_sent(door: Door, text: str) -> None:
    task_id = door.post({"type": "a", "payload": {text: text}}).id
    assert door.get(task_id).doc["payload"] == {text: text}


def test_what_looks_alike_is_not_alike(door: Door) -> None:
    composed, apart = (
        door.post({"type": "a", "payload": each}, key="k") for each in ("é", "e\u0301")
    )
    assert (composed.status, apart.status) == (202, 409)


@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 400, "1e308", "1e-400", "0.1e1"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tasks", '{"type": "order.ship", "payload": {"number": 1}, "delay_seconds": %s}'),
        ("/tasks", '{"type": "order.ship", "payload": {"number": %s}}'),
        ("/tasks", '{"type": "order.ship", "payload": {"number": 1}, "not_before": %s}'),
        ("/redrives", '{"limit": %s}'),
        ("/redrives", '{"rate": %s}'),
        ("/redrives", '{"before": %s}'),
        ("/tasks/x/redrive", '{"claim_no": %s}'),
    ],
)
def test_a_number_of_any_size_is_taken_or_refused(
    api: Door, path: str, body: str, number: str
) -> None:
    assert _call(event("POST", path, body % number)).status in (202, 404, 422)


def test_the_largest_batch_of_faults_has_an_answer_that_lambda_takes(api: Door) -> None:
    # Names of 200 characters that take 12 bytes each when they are told.
    entry = {f"{n:02}" + "\U0001f680" * 198: 1 for n in range(50)}
    body = json.dumps({"tasks": [entry] * 100}, ensure_ascii=False)
    got = _call(event("POST", "/tasks/batch", body[: 4 * 2**20] if len(body) > 2**22 else body))
    assert got.status == 200
    results = got.doc["results"]
    assert isinstance(results, list)
    assert all(
        len(json.loads(json.dumps(each))["problem"]["errors"]) <= BATCH_ERRORS for each in results
    )


def test_the_largest_record_that_there_can_be_fits_an_item() -> None:
    wide = "\U0001f680"
    name = "d" * 255
    entry = Entry(10**9, name, NOW, "interrupted", wide * CLASS_NAME_CHARS, 10**9)
    task = Task(
        id="i" * 128,
        type="t" * 100,
        queue="q" * 1024,
        state=State.RUNNING,
        fingerprint="f" * 64,
        correlation_id="c" * 128,
        tenant="t" * 128,
        claimed_by=name,
        claim_token=name,
        payload="p" * INLINE_PAYLOAD_BYTES,
        result="r" * RESULT_BYTES,
        progress="p" * PROGRESS_BYTES,
        cause="c" * 64,
        last_error=failure("exception", wide * 500, wide * 5000),
        history=(entry,) * HISTORY_ENTRIES,
    )
    # "DynamoDB item sizes and formats": names and strings by their UTF-8, numbers 21 at most.
    sizes = [
        len(name) + max(21, *(size(each) for each in value.values()))
        for name, value in to_item(task).items()
    ]
    assert sum(sizes) < ITEM_BYTES // 4
    beside = PAYLOAD_BYTES + 1024
    assert beside < ITEM_BYTES


@pytest.mark.parametrize("character", ["\u20ac", "\U0001f680", '"', "\\", "\x01", "x"])
def test_the_largest_payload_has_an_answer_that_lambda_takes(
    api: Door, monkeypatch: pytest.MonkeyPatch, character: str
) -> None:
    room = 2**18 - 2
    payload = character * (room // len(json.dumps(character, ensure_ascii=False).encode()[1:-1]))
    door = Door()
    monkeypatch.setattr(lambda_function, "api", lambda: door.api)
    body = json.dumps({"type": "a", "payload": payload})
    accepted = _call(event("POST", "/tasks", body))
    assert accepted.status == 202
    assert _call(event("GET", f"/tasks/{accepted.id}")).doc["payload"] == payload
