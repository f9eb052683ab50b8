"""The hot calls' way to HTTP: connections of their own, for plain endpoints.

aiohttp does all that HTTP can be, at a price for each call that is most of what such a call costs
(docs/adr/0018). Where there is a proxy, or a URL with more to it than host and path, the client's
own session sends, as it does for every call that is not hot.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
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
_PORTS: Final = {"http": 80, "https": 443}


class _Proxies(Protocol):
    def proxy_url_for(self, url: str) -> str | None: ...


class _Inside(Protocol):
    """What an AIOHTTPSession was told, and keeps to itself."""

    _timeout: aiohttp.ClientTimeout
    _max_pool_connections: int
    _proxy_config: _Proxies

    def _build_ssl_contexts(self, proxy_url: None) -> tuple[ssl.SSLContext, None]: ...


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
        inside = cast("_Inside", session)
        self._inside = inside
        self._timeout = inside._timeout
        self._room = asyncio.Semaphore(inside._max_pool_connections)
        self._places: dict[str, _Place | None] = {}
        self._tls: ssl.SSLContext | None = None

    async def send(self, request: Sent) -> Answer:
        """Send a request and read its reply; raises what the client's session would."""
        url = request.url
        if url not in self._places:
            proxied = self._inside._proxy_config.proxy_url_for(url)
            self._places[url] = None if proxied else _place(url)
        place = self._places[url]
        rows = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        if place is None or rows.count("\n") + rows.count("\r") > 2 * len(request.headers):
            return await self._session.send(request)
        head = f"{place.head}{rows}Content-Length: {len(request.body)}\r\n\r\n"
        async with self._room:
            talk = _waiting(place) or await self._connected(place)
            try:
                answer = await talk.ask(head.encode() + request.body, self._timeout.sock_read)
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

    async def _connected(self, place: _Place) -> Talk:
        loop, url = asyncio.get_running_loop(), place.url
        if place.secure and self._tls is None:
            # Certificates are files.
            self._tls, _ = await asyncio.to_thread(self._inside._build_ssl_contexts, None)
        tls = self._tls if place.secure else None
        try:
            async with asyncio.timeout(self._timeout.sock_connect):
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
