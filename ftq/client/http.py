"""What both clients have of httpx: where they send, how long they wait, what its errors mean."""

from __future__ import annotations

import random
import ssl
import time
import uuid
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import httpx

from ftq.client.exchange import RETRY, Lost, Reply, World
from ftq.errors import SettingsError
from ftq.retry import RetryPolicy

# Above the 30 s that API Gateway gives the Lambda: it knows better than we whether it failed.
TIMEOUT_SECONDS: Final = 35.0
CONNECT_SECONDS: Final = 5.0
AGENT: Final = {"accept": "application/json", "user-agent": "ftq-client"}


def world_of(retry: RetryPolicy | None) -> World:
    """The real world."""
    return World(
        retry=retry or RETRY,
        now=lambda: time.time_ns() // 1_000_000,
        monotonic=time.monotonic,
        dice=random.random,
        fresh=lambda: uuid.uuid4().hex,
    )


def base_of(url: str) -> str:
    """Where the API answers, without a slash at the end.

    Raises:
        SettingsError: That is no HTTP URL.
    """
    try:
        parsed = httpx.URL(url)
        # httpx alone takes a bracket that is never closed, and any number for a port.
        split = urlsplit(url)
        fits = parsed.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except (httpx.InvalidURL, ValueError):
        fits = False
    if not fits:
        raise SettingsError([f"{url}: is not an HTTP URL"])
    return url.rstrip("/")


def timeout_of(seconds: float) -> httpx.Timeout:
    """Seconds for an answer, and for a connection at most as many."""
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))


def verify_of(base: str) -> ssl.SSLContext | bool:
    """How servers are checked: as httpx does, and not at all prepared for where there is no TLS."""
    # Loading the certificates takes longer than a request to a local API. This trusts nobody.
    return True if base.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def trust_of(base: str) -> bool:
    """Whether proxies of the environment are used: never for this very machine."""
    host = httpx.URL(base).host
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def reply_of(response: httpx.Response) -> Reply:
    """An answer as a value."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, response.content)


def lost(base: str, error: httpx.TransportError | httpx.DecodingError) -> Lost:
    """A request without an answer, for people; nobody reads it if no connection was made."""
    unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
    slow = isinstance(error, httpx.TimeoutException)
    words = "no answer in time" if slow else str(error) or type(error).__name__
    return Lost(f"{base}: cannot be reached: {words}", sent=not unsent)
