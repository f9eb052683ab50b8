"""The real API behind a client, without a network: requests become Lambda's events and back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from ftq import Registry
from ftq.client import AsyncClient, Client
from ftq.client.auth import Auth
from ftq.client.exchange import RETRY, World
from ftq_cli.gateway import HttpRequest, event_of, response_of
from tests.unit.api.door import Door

URL = "http://api.test"
Fault = Callable[[httpx.Request, Callable[[httpx.Request], httpx.Response]], httpx.Response]


def refused(
    request: httpx.Request, api: Callable[[httpx.Request], httpx.Response]
) -> httpx.Response:
    """Nobody listens."""
    raise httpx.ConnectError("refused")


def reply_lost(
    request: httpx.Request, api: Callable[[httpx.Request], httpx.Response]
) -> httpx.Response:
    """It is done, and nobody hears of it."""
    api(request)
    raise httpx.ReadTimeout("slow")


def says(status: int, text: str = '{"message": "no"}', **headers: str) -> Fault:
    """What a gateway answers itself, without asking the API."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request, api: httpx.Response(status, text=text, headers=named)


@dataclass
class Bridge(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Carries requests to an API.

    Attributes:
        door: The API.
        faults: What happens to the next requests; those beyond pass.
        seen: All requests.
        pauses: Seconds that the client let pass.
        after: Called after each request that the API answered.
    """

    door: Door
    faults: deque[Fault | None] = field(default_factory=deque)
    seen: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    after: Callable[[httpx.Request], None] = lambda request: None
    dice: float = 0.5
    keys: int = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        fault = self.faults.popleft() if self.faults else None
        return fault(request, self.api) if fault else self.api(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self.handle_request(request)

    def api(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        target = request.url.raw_path.decode()
        came = HttpRequest(request.method, target, list(request.headers.items()), body)
        answer = self.door.api.handle(event_of(came, "r", self.door.clock.seconds()))
        said = response_of(answer)
        self.after(request)
        return httpx.Response(said.status, headers=list(said.headers), content=said.body)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.door.clock.now += round(seconds * 1000)

    @property
    def world(self) -> World:
        """The clock of the API, and dice that always fall the same."""
        clock = self.door.clock
        return World(RETRY, clock.ms, clock.seconds, lambda: self.dice, self._fresh)

    def _fresh(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [f"{each.method} {each.url.path}" for each in self.seen]

    def sent_keys(self) -> list[str]:
        """The idempotency keys of the requests that had one."""
        return [each.headers["idempotency-key"] for each in self.seen]

    def client(
        self, registry: Registry | None = None, auth: Auth | Callable[[], str] | None = None
    ) -> Client:
        """A client over this bridge."""
        return Client(
            URL,
            registry=registry,
            auth=auth,
            transport=self,
            world=self.world,
            sleep=self.sleep,
        )

    def async_client(self, registry: Registry | None = None) -> AsyncClient:
        """An async client over this bridge."""
        return AsyncClient(URL, registry=registry, transport=self, world=self.world)
