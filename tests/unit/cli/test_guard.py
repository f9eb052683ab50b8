from __future__ import annotations

import json

import pytest

from ftq_cli.guard import refusal

OWN = ("Host", "127.0.0.1:8700")


@pytest.mark.parametrize(
    "headers",
    [
        [OWN],
        [("host", "localhost:8700")],
        [("Host", "LOCALHOST")],
        [OWN, ("Origin", "http://127.0.0.1:8700")],
        [OWN, ("Sec-Fetch-Site", "same-origin")],
        [OWN, ("Sec-Fetch-Site", "none")],
    ],
)
def test_a_request_of_this_machine_passes(headers: list[tuple[str, str]]) -> None:
    assert refusal(headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Host", "evil.example:8700")],
        [("Host", "127.0.0.1.evil.example")],
        [("Host", "localhost:8700@evil.example")],
        [OWN, ("Host", "evil.example")],
        [OWN, ("Origin", "https://evil.example")],
        [OWN, ("Origin", "null")],
        [OWN, ("Origin", "http://127.0.0.1:3000")],
        [OWN, ("origin", "http://127.0.0.1:8700"), ("Origin", "http://evil.example")],
        [OWN, ("Sec-Fetch-Site", "cross-site")],
    ],
)
def test_a_request_of_a_foreign_page_is_refused(headers: list[tuple[str, str]]) -> None:
    refused = refusal(headers)
    assert refused is not None
    assert refused.status == 403
    assert dict(refused.headers)["content-type"] == "application/problem+json"
    assert json.loads(refused.body).keys() == {"type", "title", "status", "detail"}


NAMES = {"127.0.0.1", "localhost", "ftq_api.internal", "[::1]"}


@pytest.mark.parametrize("host", ["ftq_api.internal", "FTQ_api.internal:80", "[::1]:8700", "[::1]"])
def test_a_name_that_is_allowed_passes_and_is_an_origin_of_its_own(host: str) -> None:
    assert refusal([("Host", host)], names=NAMES) is None
    assert refusal([("Host", host), ("Origin", f"http://{host}")], names=NAMES) is None
    assert refusal([("Host", host), ("Origin", "http://evil.example")], names=NAMES) is not None
    assert refusal([("Host", host)]) is not None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "ftq_api.internal.evil.example", "ftq_api.internal@evil.example",
     "ftq_api.internal:80:80", "::1", "[::2]", "[::1", ""],
)  # fmt: skip
def test_a_name_that_is_not_allowed_is_refused_whatever_else_is(host: str) -> None:
    refused = refusal([("Host", host)], names=NAMES)
    assert refused is not None
    assert b"--allowed-host" in refused.body


def test_a_page_whose_origin_is_set_passes() -> None:
    page = "http://localhost:5173"
    headers = [OWN, ("Origin", page), ("Sec-Fetch-Site", "cross-site")]
    assert refusal(headers, [page]) is None
    assert refusal([("Host", "evil.org"), ("Origin", page)], [page]) is not None
    assert refusal([OWN, ("Origin", page), ("Origin", "http://evil.org")], [page]) is not None
    assert refusal(headers, ["http://localhost:5174"]) is not None
