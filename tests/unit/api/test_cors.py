"""Web pages of other origins: kept out, unless their origin is set."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from api_lambda.routes import Api
from api_lambda.settings import ApiSettings
from ftq import SettingsError
from ftq.settings import read as read_settings
from tests.unit.api.door import Door, Got

APP = "https://app.example.com"
MINIMAL = {"FTQ_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/q", "FTQ_TABLE": "tasks"}


def _cors(got: Got) -> Mapping[str, str]:
    return {
        name: value for name, value in got.headers.items() if name.startswith("access-control-")
    }


@pytest.fixture
def open_door(door: Door) -> Door:
    door.api = Api(door.api.service, frozenset({APP, "http://localhost:5173"}))
    return door


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_without_the_setting_no_page_may_ask(door: Door, method: str) -> None:
    asked = {"origin": APP, "access-control-request-method": "GET"}
    got = door.ask(method, "/health", None, asked)
    assert _cors(got) == {}
    assert "vary" not in got.headers


@pytest.mark.parametrize(
    "origin",
    ["", "null", "*", "https://app.example.com.evil.org", f"{APP}:8443", "http://app.example.com",
     "https://APP.example.com", f"{APP}, https://evil.org"],
)  # fmt: skip
def test_a_page_of_another_origin_may_not_ask(open_door: Door, origin: str) -> None:
    got = open_door.ask("GET", "/health", None, {"origin": origin})
    assert (_cors(got), got.headers["vary"]) == ({}, "origin")


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/tasks/no", 404), ("/no", 404)])
def test_a_page_that_may_ask_reads_every_answer(open_door: Door, path: str, status: int) -> None:
    got = open_door.ask("GET", path, None, {"Origin": APP})
    assert got.status == status
    assert _cors(got) == {
        "access-control-allow-origin": APP,
        "access-control-expose-headers": "location, retry-after, x-correlation-id",
    }


def test_a_preflight_is_answered_for_its_path(open_door: Door) -> None:
    asked = {"origin": APP, "access-control-request-method": "POST"}
    got = open_door.ask("OPTIONS", "/redrives", None, asked)
    assert (got.status, got.headers["access-control-allow-methods"]) == (204, "OPTIONS, POST")
    allowed = got.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "idempotency-key"} <= set(allowed)
    assert open_door.port.calls == []


def test_nobody_s_credentials_are_sent_along(open_door: Door) -> None:
    for method in ("GET", "OPTIONS"):
        asked = {"origin": APP, "access-control-request-method": "GET"}
        got = open_door.ask(method, "/health", None, asked)
        assert "access-control-allow-credentials" not in got.headers
        assert got.headers["access-control-allow-origin"] != "*"


# --- the setting ------------------------------------------------------------------------------


def test_origins_are_set_apart_by_commas_or_spaces() -> None:
    given = "https://a.example, http://localhost:5173 http://[::1]:80"
    with pytest.raises(SettingsError):
        read_settings(ApiSettings, {**MINIMAL, "FTQ_CORS_ORIGINS": given})
    fine = given.removesuffix(" http://[::1]:80")
    found = read_settings(ApiSettings, {**MINIMAL, "FTQ_CORS_ORIGINS": fine})
    assert found.cors_origins == ("https://a.example", "http://localhost:5173")
    assert read_settings(ApiSettings, MINIMAL).cors_origins == ()


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "app.example.com", "https://a.example/", "https://a.example/x", "https://*.a.example",
     "https://A.example", "ftp://a.example", "https://u@a.example", "https://a.example:443",
     "http://a.example:80", "https://a.example:99999", "https://a.example:0", "https://a..example", "https://"],
)  # fmt: skip
def test_what_is_no_origin_is_refused_at_start(origin: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(ApiSettings, {**MINIMAL, "FTQ_CORS_ORIGINS": origin})
    (problem,) = caught.value.problems
    assert problem.startswith("FTQ_CORS_ORIGINS=")
    assert repr(origin.replace("u@", "[redacted]@")) in problem
