"""Who asks: a token, or AWS's signature, anew for each try."""

from __future__ import annotations

import hashlib
import hmac
import re
import subprocess
import sys
from collections import deque
from urllib.parse import quote

import httpx
import pytest

from ftq.client import AsyncClient, SigV4
from ftq.errors import SettingsError
from ftq.testing.clock import run
from tests.unit.client.bridge import URL, Bridge, says


def test_no_one_in_particular_asks(bridge: Bridge) -> None:
    bridge.client().submit("a", 1)
    assert "authorization" not in bridge.seen[0].headers


def test_a_token_is_asked_for_at_each_try(bridge: Bridge) -> None:
    tokens = iter(("one", "two"))
    bridge.faults = deque([says(503)])
    bridge.client(auth=lambda: next(tokens)).submit("a", 1)
    assert [each.headers["authorization"] for each in bridge.seen] == ["Bearer one", "Bearer two"]


def test_a_token_may_come_from_a_coroutine(bridge: Bridge) -> None:
    async def token() -> str:
        return "later"

    async def main() -> None:
        async with AsyncClient(URL, auth=token, transport=bridge, world=bridge.world) as client:
            await client.submit("a", 1)

    run(main)
    assert bridge.seen[0].headers["authorization"] == "Bearer later"


def _signature(request: httpx.Request, secret: str, region: str) -> tuple[str, str]:
    """The signature that a request has, and the one it should have.

    "Create a signed AWS API request", IAM user guide, step by step.
    """
    said = request.headers["authorization"]
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=[^/]+/(\d{8}/[^,]+), SignedHeaders=([^,]+), Signature=(\w+)",
        said,
    )
    assert found is not None, said
    scope, signed, signature = found.groups()
    assert scope.split("/")[1:] == [region, "execute-api", "aws4_request"]
    raw_path, _, query = request.url.raw_path.decode().partition("?")
    canonical = "\n".join(
        [
            request.method,
            quote(raw_path, safe="/-_.~"),
            "&".join(sorted(query.split("&"))),
            *(f"{name}:{request.headers[name]}" for name in signed.split(";")),
            "",
            signed,
            hashlib.sha256(request.content).hexdigest(),
        ]
    )
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            request.headers["x-amz-date"],
            scope,
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return signature, hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def test_a_request_is_signed_for_the_gateway_over_all_that_it_says(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session")
    client = bridge.client(auth=SigV4(region="eu-central-1"))
    task_id = client.submit("a", {"n": "ü"}, key="k:1").id
    client.cancel(task_id)
    [*client.list(type="a.b", tenant="a:b@c", limit=1)]
    for request in bridge.seen:
        has, should = _signature(request, "test", "eu-central-1")
        assert has == should, request.url
        assert request.headers["x-amz-security-token"] == "a-session"
    assert "idempotency-key" in bridge.seen[0].headers["authorization"]


async def test_the_async_client_signs_too(bridge: Bridge) -> None:
    signs = SigV4(region="eu-central-1")
    async with AsyncClient(URL, auth=signs, transport=bridge, world=bridge.world) as client:
        await client.submit("a", 1)
    has, should = _signature(bridge.seen[0], "test", "eu-central-1")
    assert has == should


def test_without_credentials_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SettingsError, match="finds no credentials"):
        SigV4(region="eu-central-1")


def test_the_client_loads_no_aws_sdk_unless_it_signs() -> None:
    program = "import sys, ftq.client; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
