from __future__ import annotations

import base64
import time

import pytest

from ftq_cli.api_server import Function
from ftq_cli.gateway import BROKEN, HttpRequest, HttpResponse, event_of, response_of

NOW = 1_764_000_000.25


def event(
    target: str = "/tasks",
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
    method: str = "POST",
) -> dict[str, object]:
    return event_of(HttpRequest(method, target, headers, body), "id-1", NOW)


def context(of: dict[str, object]) -> dict[str, object]:
    found = of["requestContext"]
    assert isinstance(found, dict)
    return found


def test_an_event_has_what_payload_format_2_says() -> None:
    made = event("/tasks/a%20b?x=1", (("Host", "api.example.com"), ("User-Agent", "curl/8")))
    assert (made["version"], made["routeKey"], made["rawPath"]) == (
        "2.0",
        "$default",
        "/tasks/a%20b",
    )
    assert made["headers"] == {"host": "api.example.com", "user-agent": "curl/8"}
    about = context(made)
    assert about["http"] == {
        "method": "POST",
        "path": "/tasks/a%20b",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "curl/8",
    }
    assert (about["domainName"], about["domainPrefix"]) == ("api.example.com", "api")
    assert (about["requestId"], about["stage"]) == ("id-1", "$default")
    assert (about["time"], about["timeEpoch"]) == ("24/Nov/2025:16:00:00 +0000", 1_764_000_000_250)


def test_a_query_is_kept_raw_and_decoded_with_repeats_joined() -> None:
    made = event("/tasks?state=dead&type=a%2Eb&type=c&empty=&n=1%2B1")
    assert made["rawQueryString"] == "state=dead&type=a%2Eb&type=c&empty=&n=1%2B1"
    assert made["queryStringParameters"] == {
        "state": "dead",
        "type": "a.b,c",
        "empty": "",
        "n": "1+1",
    }


def test_without_a_query_or_a_body_there_are_no_such_fields() -> None:
    made = event()
    assert made["rawQueryString"] == ""
    assert made.keys().isdisjoint({"queryStringParameters", "body", "cookies"})
    assert made["isBase64Encoded"] is False


def test_repeated_headers_are_joined_and_cookies_stand_apart() -> None:
    made = event(headers=(("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1; b=2"), ("cookie", "c=3")))
    assert made["headers"] == {"x-a": "1,2"}
    assert made["cookies"] == ["a=1", "b=2", "c=3"]


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/JSON; charset=utf-8",
        "text/plain",
        "application/problem+json",
    ],
)
def test_text_travels_as_it_is(media_type: str) -> None:
    made = event(headers=(("Content-Type", media_type),), body='{"ü": 1}'.encode())
    assert (made["body"], made["isBase64Encoded"]) == ('{"ü": 1}', False)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [("application/octet-stream", b"{}"), ("", b"{}"), ("application/json", b"\xff\xfe")],
)
def test_what_is_no_text_travels_as_base64(media_type: str, body: bytes) -> None:
    made = event(headers=(("Content-Type", media_type),), body=body)
    assert made["isBase64Encoded"] is True
    assert base64.b64decode(str(made["body"])) == body


def test_an_answer_becomes_a_response() -> None:
    answer = {
        "statusCode": 202,
        "headers": {"Content-Type": "application/json", "X-N": 1, "X-B": True, "Content-Length": 9},
        "cookies": ["a=1; Path=/", "b=2"],
        "body": '{"ü":1}',
        "isBase64Encoded": False,
    }
    assert response_of(answer) == HttpResponse(
        202,
        (
            ("content-type", "application/json"),
            ("x-n", "1"),
            ("x-b", "true"),
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "b=2"),
        ),
        '{"ü":1}'.encode(),
    )


def test_a_base64_answer_is_decoded_and_text_without_a_type_is_plain() -> None:
    body = base64.b64encode(b"\x00\xff").decode()
    encoded = response_of({"statusCode": 200, "body": body, "isBase64Encoded": True})
    assert encoded.body == b"\x00\xff"
    assert response_of({"statusCode": 200, "body": "hi"}).headers == (
        ("content-type", "text/plain; charset=utf-8"),
    )
    assert response_of({"statusCode": 204}) == HttpResponse(204, (), b"")


def test_an_answer_without_a_status_is_the_body_of_a_200() -> None:
    assert response_of({"a": 1}) == HttpResponse(
        200, (("content-type", "application/json"),), b'{"a": 1}'
    )
    assert response_of("text").body == b"text"


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "abc"},
        {"statusCode": 99},
        {"statusCode": True},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "headers": [1]},
        {"statusCode": 200, "body": "!", "isBase64Encoded": True},
        {1, 2},
        object(),
    ],
)
def test_an_answer_that_makes_no_sense_is_a_500(answer: object) -> None:
    assert response_of(answer) == BROKEN


async def test_a_handler_that_raises_is_a_500() -> None:
    def broken(event: object, context: object) -> object:
        raise RuntimeError("no")

    assert await Function(broken).answer(HttpRequest("GET", "/")) == BROKEN


async def test_a_handler_that_takes_too_long_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftq_cli.api_server.MOST_SECONDS", 0.01)

    def slow(event: object, context: object) -> object:
        time.sleep(0.1)
        return {"statusCode": 200}

    assert (await Function(slow).answer(HttpRequest("GET", "/"))).status == 503
