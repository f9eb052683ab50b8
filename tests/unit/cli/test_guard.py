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


def test_a_page_whose_origin_is_set_passes() -> None:
    page = "http://localhost:5173"
    headers = [OWN, ("Origin", page), ("Sec-Fetch-Site", "cross-site")]
    assert refusal(headers, [page]) is None
    assert refusal([("Host", "evil.org"), ("Origin", page)], [page]) is not None
    assert refusal([OWN, ("Origin", page), ("Origin", "http://evil.org")], [page]) is not None
    assert refusal(headers, ["http://localhost:5174"]) is not None
