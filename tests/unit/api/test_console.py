"""GET /console: the page, and the policy that it is shown under."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from api_lambda.console import HERE
from api_lambda.routes import Api
from api_lambda.settings import ConsoleMode
from tests.unit.api.door import Door

MOST_BYTES = 60_000


def set_to(door: Door, mode: ConsoleMode) -> Door:
    door.api = Api(replace(door.api.service, console=mode))
    return door


def test_it_is_a_page_that_reads_nothing(door: Door) -> None:
    got = door.ask("GET", "/console")
    assert (got.status, got.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert got.body.startswith("<!doctype html>")
    assert door.port.calls == []
    assert len(got.body.encode()) < MOST_BYTES


def test_its_policy_allows_its_own_script_and_style_and_nothing_else(door: Door) -> None:
    got = door.ask("GET", "/console")
    policy = dict(
        rule.strip().partition(" ")[::2]
        for rule in got.headers["content-security-policy"].split(";")
    )
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        ((content,),) = [re.findall(rf"<{tag}>(.*?)</{tag}>", got.body, re.DOTALL)]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy.pop(rule) == f"'sha256-{digest}'"
    assert policy == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert got.headers["x-frame-options"] == "DENY"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["cache-control"] == "no-store"


def test_it_loads_nothing_from_anywhere_and_makes_no_markup_of_text(door: Door) -> None:
    page = door.ask("GET", "/console").body
    addresses = set(re.findall(r"https?://[^\s'\"]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}, "names of a vocabulary, not addresses"
    assert re.findall(r"\bsrc=|<link(?! rel=\"icon\")|@import|url\(", page) == []
    script = (HERE / "app.js").read_text(encoding="utf-8")
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\("
    assert re.findall(markup, script) == []


@pytest.mark.parametrize("mode", ["read", "write"])
def test_it_knows_what_to_offer(door: Door, mode: ConsoleMode) -> None:
    page = set_to(door, mode).ask("GET", "/console").body
    assert f'<html lang="en" data-mode="{mode}">' in page


def test_there_is_none_if_it_is_off(door: Door) -> None:
    got = set_to(door, "off").ask("GET", "/console")
    assert (got.status, got.headers["content-type"]) == (404, "application/problem+json")
    assert got.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("path", ["/console/", "/console/app.js", "/console/../app.js"])
def test_nothing_is_served_beside_it(door: Door, path: str) -> None:
    assert door.ask("GET", path).status == 404


def test_head_has_its_headers_and_no_body(door: Door) -> None:
    got = door.ask("HEAD", "/console")
    assert (got.status, got.body) == (200, "")


def test_it_is_for_reading_only(door: Door) -> None:
    got = door.ask("POST", "/console", "{}")
    assert (got.status, got.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
