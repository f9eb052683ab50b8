"""The API of somewhere else, on this machine: who is let in, and as whom it asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import pytest

from ftq.client.exchange import Ask
from ftq_cli.front import Front
from ftq_cli.gateway import HttpRequest, HttpResponse
from tests.unit.api.door import Door
from tests.unit.client.bridge import URL, Bridge, refused

KEY = "a-key-that-only-its-terminal-knows"


def front(bridge: Bridge, token: str | None = None) -> Front:
    return Front(URL, None if token is None else lambda: token, KEY, bridge)


def header(response: HttpResponse, wanted: str) -> str:
    return dict(response.headers).get(wanted, "")


async def cookie(of: Front) -> str:
    """What a browser has that opened the address of the terminal."""
    let_in = await of.answer(HttpRequest("GET", of.entrance))
    assert (let_in.status, header(let_in, "location")) == (303, "/console")
    made = header(let_in, "set-cookie")
    assert "HttpOnly; SameSite=Strict" in made
    return made.partition(";")[0]


async def ask(of: Front, target: str, **headers: str) -> HttpResponse:
    sent = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return await of.answer(HttpRequest("GET", target, sent))


async def test_who_knows_the_address_gets_the_page(bridge: Bridge) -> None:
    it = front(bridge)
    page = await ask(it, "/console", cookie=await cookie(it))
    assert page.status == 200
    assert b"<!doctype html>" in page.body.lower()
    assert "default-src" in header(page, "content-security-policy")


@pytest.mark.parametrize("cookies", ["", "ftq_a-key-=guessed", "ftq_a-key-", "=;;,@", "\udcff"])
async def test_nobody_else_gets_anything(bridge: Bridge, cookies: str) -> None:
    it = front(bridge)
    for target in ("/console", "/tasks", "/stats", "//", "/%2e"):
        assert (await ask(it, target, cookie=cookies)).status == 403
    for target in ("/", "/?key=", "/?key=guessed", "/?key=%ff"):
        refused_entry = await ask(it, target)
        assert (refused_entry.status, header(refused_entry, "set-cookie")) == (403, "")
    assert not bridge.seen


async def test_it_asks_as_who_started_it_and_keeps_the_browsers_cookies(bridge: Bridge) -> None:
    it = front(bridge, token="mine")
    await ask(
        it, "/tasks?limit=1", cookie=await cookie(it), authorization="Bearer theirs", x_more="1"
    )
    [seen] = bridge.seen
    assert seen.url.raw_path == b"/tasks?limit=1"
    assert seen.headers["authorization"] == "Bearer mine"
    assert not {"cookie", "x-more"} & set(seen.headers)


async def test_without_an_identity_the_page_says_who_asks(bridge: Bridge) -> None:
    it = front(bridge)
    await ask(it, "/stats", cookie=await cookie(it), authorization="Bearer theirs")
    assert bridge.seen[0].headers["authorization"] == "Bearer theirs"


async def test_a_task_goes_through_with_its_key(bridge: Bridge, door: Door) -> None:
    it = front(bridge)
    headers = [("Cookie", await cookie(it)), ("Idempotency-Key", "k"), ("Content-Type", "text/x")]
    done = await it.answer(HttpRequest("POST", "/tasks", headers, b'{"type":"a","payload":1}'))
    assert done.status == 202
    assert bridge.sent_keys() == ["k"]
    assert bridge.seen[0].headers["content-type"] == "text/x"


class Expired:
    """Credentials that have ended."""

    def headers(self, url: str, ask: Ask) -> Mapping[str, str]:
        raise RuntimeError("the session has expired")


async def test_what_does_not_work_is_said(bridge: Bridge) -> None:
    away = front(bridge)
    bridge.faults = deque([refused])
    lost = await ask(away, "/stats", cookie=await cookie(away))
    assert (lost.status, b"cannot be reached" in lost.body) == (502, True)
    it = Front(URL, Expired(), KEY, bridge)
    ended = await ask(it, "/stats", cookie=await cookie(it))
    assert (ended.status, b"the session has expired" in ended.body) == (502, True)
