"""Two shells around httpx that carry talks out: one waits in its thread, one on its event loop."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

import anyio
import anyio.to_thread
import httpx

from ftq.client.auth import Auth, bearer
from ftq.client.exchange import Ask, Outcome, Pause, Talk
from ftq.client.http import AGENT, base_of, lost, reply_of, timeout_of, trust_of, verify_of

T = TypeVar("T")
Token: TypeAlias = Callable[[], str]
AsyncToken: TypeAlias = Callable[[], str | Awaitable[str]]


class Carrier:
    """Carries talks out with a thread that waits.

    Args:
        url: Where the API answers.
        auth: Says who asks.
        timeout: Seconds to wait for an answer.
        transport: What carries the requests, instead of the network.
        sleep: Waits for so many seconds.

    Raises:
        SettingsError: The URL is none.
    """

    def __init__(
        self,
        url: str,
        auth: Auth | Token | None,
        timeout: float,
        transport: httpx.BaseTransport | None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Set the connections up."""
        self._base = base_of(url)
        self._auth = auth
        self._sleep = sleep
        self._http = httpx.Client(
            headers=AGENT,
            timeout=timeout_of(timeout),
            transport=transport,
            verify=verify_of(self._base),
            trust_env=trust_of(self._base),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def walk(self, talk: Talk[T]) -> T:
        """What a talk comes to."""
        outcome: Outcome | None = None
        try:
            while True:
                step = talk.send(outcome)
                if isinstance(step, Pause):
                    self._sleep(step.seconds)
                    outcome = None
                else:
                    outcome = self._send(step)
        except StopIteration as end:
            found: T = end.value
            return found

    def _send(self, ask: Ask) -> Outcome:
        url = self._base + ask.target
        headers = self._headers(url, ask)
        try:
            response = self._http.request(ask.method, url, content=ask.body, headers=headers)
        except (httpx.TransportError, httpx.DecodingError) as error:
            return lost(self._base, error)
        return reply_of(response)

    def _headers(self, url: str, ask: Ask) -> dict[str, str]:
        if self._auth is None:
            return dict(ask.headers)
        if callable(self._auth):
            return bearer(ask, self._auth())
        return dict(self._auth.headers(url, ask))


class AsyncCarrier:
    """Carries talks out on an event loop, asyncio's or trio's; else as `Carrier`."""

    def __init__(
        self,
        url: str,
        auth: Auth | AsyncToken | None,
        timeout: float,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        """Set the connections up."""
        self._base = base_of(url)
        self._auth = auth
        self._http = httpx.AsyncClient(
            headers=AGENT,
            timeout=timeout_of(timeout),
            transport=transport,
            verify=verify_of(self._base),
            trust_env=trust_of(self._base),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()

    async def walk(self, talk: Talk[T]) -> T:
        """What a talk comes to."""
        outcome: Outcome | None = None
        try:
            while True:
                step = talk.send(outcome)
                if isinstance(step, Pause):
                    await anyio.sleep(step.seconds)
                    outcome = None
                else:
                    outcome = await self._send(step)
        except StopIteration as end:
            found: T = end.value
            return found

    async def _send(self, ask: Ask) -> Outcome:
        url = self._base + ask.target
        headers = await self._headers(url, ask)
        try:
            response = await self._http.request(ask.method, url, content=ask.body, headers=headers)
        except (httpx.TransportError, httpx.DecodingError) as error:
            return lost(self._base, error)
        return reply_of(response)

    async def _headers(self, url: str, ask: Ask) -> dict[str, str]:
        if self._auth is None:
            return dict(ask.headers)
        if callable(self._auth):
            token = self._auth()
            return bearer(ask, await token if inspect.isawaitable(token) else token)
        # It may ask the network for fresh credentials.
        return dict(await anyio.to_thread.run_sync(self._auth.headers, url, ask))
