"""The hot calls' way to HTTP: connections of their own, for plain endpoints.

aiohttp does all that HTTP can be, at a price for each call that is most of what such a call costs
(docs/adr/0018). Where there is a proxy, or a URL with more to it than host and path, the client's
own session sends, as it does for every call that is not hot; and so it does for all if it is not
as we know it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, cast
from urllib.parse import urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)

from ftq_daemon.aws.sdk import Answer, Http, Sent
from ftq_daemon.aws.talk import Talk, TornError

if TYPE_CHECKING:
    import aiohttp
    from aiobotocore.httpsession import AIOHTTPSession

# As long as aiobotocore keeps a connection that nobody uses: AWS closes them after 20 s.
IDLE_SECONDS: Final = 12.0
_log: Final = logging.getLogger(__name__)
_PORTS: Final = {"http": 80, "https": 443}


class _Proxies(Protocol):
    def proxy_url_for(self, url: str) -> str | None: ...


class _Inside(Protocol):
    """What an AIOHTTPSession was told, and keeps to itself."""

    _timeout: aiohttp.ClientTimeout
    _max_pool_connections: int
    _proxy_config: _Proxies

    def _build_ssl_contexts(self, proxy_url: None) -> tuple[ssl.SSLContext, None]: ...


@dataclass(frozen=True, slots=True)
class _Told:
    """The same, once it was found there.

    Attributes:
        connect_seconds: How long a connection may take.
        read_seconds: How long may pass between two pieces of a reply.
        connections: How many there may be.
        proxy_url_for: The proxy for a URL, if there is one.
        tls_contexts: Makes the TLS context, from files.
    """

    connect_seconds: float | None
    read_seconds: float | None
    connections: int
    proxy_url_for: Callable[[str], str | None]
    tls_contexts: Callable[[None], tuple[ssl.SSLContext, None]]


def _told(session: AIOHTTPSession) -> _Told | None:
    inside = cast("_Inside", session)
    try:
        return _Told(
            inside._timeout.sock_connect,
            inside._timeout.sock_read,
            inside._max_pool_connections,
            inside._proxy_config.proxy_url_for,
            inside._build_ssl_contexts,
        )
    except AttributeError as error:
        # Nobody promised us these: another release of aiobotocore may have others.
        _log.warning("hot calls are sent by aiobotocore's HTTP session: %s", error)
        return None


@dataclass(slots=True)
class _Place:
    """Where requests go.

    Attributes:
        url: As it is asked for.
        host: The host.
        port: The port.
        secure: Whether by TLS.
        head: How each request begins.
        idle: Connections that wait for one, the last used last.
    """

    url: str
    host: str
    port: int
    secure: bool
    head: str
    idle: deque[Talk] = field(default_factory=deque)


class Direct:
    """Sends the requests of one client.

    Args:
        session: The client's HTTP session: its timeouts, certificates and limits hold here too,
            and it sends what we do not.
    """

    def __init__(self, session: AIOHTTPSession) -> None:
        """Learn what the session was told; nothing is connected yet."""
        # The stubs have requests and replies of another library here.
        self._session = cast("Http", session)
        self._told = _told(session)
        self._room = asyncio.Semaphore(self._told.connections if self._told else 1)
        self._places: dict[str, _Place | None] = {}
        self._tls: ssl.SSLContext | None = None

    async def send(self, request: Sent) -> Answer:
        """Send a request and read its reply; raises what the client's session would."""
        url, told = request.url, self._told
        if told is None:
            return await self._session.send(request)
        if url not in self._places:
            self._places[url] = None if told.proxy_url_for(url) else _place(url)
        place = self._places[url]
        rows = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        if place is None or rows.count("\n") + rows.count("\r") > 2 * len(request.headers):
            return await self._session.send(request)
        head = f"{place.head}{rows}Content-Length: {len(request.body)}\r\n\r\n"
        async with self._room:
            talk = _waiting(place) or await self._connected(place, told)
            try:
                answer = await talk.ask(head.encode() + request.body, told.read_seconds)
            except TimeoutError as error:
                raise ReadTimeoutError(endpoint_url=url, error=error) from error
            except TornError as error:
                raise ConnectionClosedError(endpoint_url=url, error=error) from error
            except OSError as error:
                raise EndpointConnectionError(endpoint_url=url, error=error) from error
            if talk.open:
                place.idle.append(talk)
            return answer

    async def aclose(self) -> None:
        """End the connections that wait."""
        for place in self._places.values():
            while place is not None and place.idle:
                place.idle.pop().abort()
        await asyncio.sleep(0)  # the loop's turn to close them

    async def _connected(self, place: _Place, told: _Told) -> Talk:
        loop, url = asyncio.get_running_loop(), place.url
        if place.secure and self._tls is None:
            # Certificates are files.
            self._tls, _ = await asyncio.to_thread(told.tls_contexts, None)
        tls = self._tls if place.secure else None
        try:
            async with asyncio.timeout(told.connect_seconds):
                _, talk = await loop.create_connection(Talk, place.host, place.port, ssl=tls)
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=url, error=error) from error
        except ssl.SSLError as error:
            raise SSLError(endpoint_url=url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=url, error=error) from error
        return talk


def _waiting(place: _Place) -> Talk | None:
    """A connection that can be used again; those that waited for too long end."""
    oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
    while place.idle:
        talk = place.idle.pop()
        if talk.open and talk.since > oldest:
            return talk
        talk.abort()
    return None


def _place(url: str) -> _Place | None:
    """Where a URL leads; None if it has more to it than host, port and path."""
    parts = urlsplit(url)
    host, default = parts.hostname or "", _PORTS.get(parts.scheme)
    plain = host.isascii() and host and ":" not in host and "@" not in parts.netloc
    if default is None or not plain or parts.query or parts.fragment or not parts.path.isascii():
        return None
    port = parts.port or default
    name = host if port == default else f"{host}:{port}"
    path = parts.path or "/"
    # What aiohttp says for aiobotocore.
    said = "Accept: */*\r\nAccept-Encoding: identity\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: {name}\r\n{said}"
    return _Place(url, host, port, parts.scheme == "https", head)
