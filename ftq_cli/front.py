"""The API of somewhere else, on this machine: a browser asks here, and the command says who asks.

Browsers do not sign requests as AWS's IAM wants it. Whoever can reach this port acts as whoever
started it: so it listens on this machine alone, lets no other page in (`ftq_cli.guard`), and asks
for a key that only its own terminal was told.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from api_lambda.http import SECURITY
from api_lambda.problems import Kind
from ftq.client.carriers import AsyncCarrier
from ftq.client.exchange import Ask, Outcome, Reply, Talk
from ftq_cli.gateway import HttpRequest, HttpResponse, problem

if TYPE_CHECKING:
    import httpx

    from ftq.client.auth import Auth
    from ftq.client.carriers import AsyncToken

CONSOLE: Final = "/console"
LOCKED: Final = problem(
    Kind(403, "locked", "This console is its terminal's"),
    "Open the address that `ftq console` printed.",
)
AWAY: Final = Kind(502, "unreachable", "The API cannot be reached")
# Above the 30 s that API Gateway gives the Lambda.
SECONDS: Final = 35.0
_ASKED: Final = frozenset(
    {"accept", "authorization", "content-type", "idempotency-key", "x-correlation-id"}
)
# What belongs to one connection, or to the body as it was encoded on the way here.
_OWN: Final = frozenset(
    {"connection", "content-encoding", "content-length", "date", "keep-alive", "server",
     "set-cookie", "transfer-encoding"}
)  # fmt: skip


class Front:
    """Answers requests with what the API answers.

    Args:
        url: Where the API answers.
        auth: Says who asks; None leaves that to the page.
        key: What a browser has to know.
        transport: What carries the requests, instead of the network.

    Raises:
        SettingsError: The URL is none.
    """

    def __init__(
        self,
        url: str,
        auth: Auth | AsyncToken | None,
        key: str,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Set the connections up; nothing is sent yet."""
        self._key = key
        # Cookies of all ports of a machine are sent to each of them.
        self._cookie = f"ftq_{key[:6]}"
        self._api = AsyncCarrier(url, auth, SECONDS, transport)

    @property
    def entrance(self) -> str:
        """The path that lets a browser in."""
        return f"/?key={self._key}"

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer one request; every error becomes a problem document."""
        headers = {name.lower(): value for name, value in request.headers}
        path = urlsplit(request.target)
        if path.path == "/":
            return self._let_in(dict(parse_qsl(path.query)).get("key", ""))
        if not self._knows(headers.get("cookie", "")):
            return LOCKED
        asked = {name: value for name, value in headers.items() if name in _ASKED}
        return await self._ask(Ask(request.method, request.target, request.body or None, asked))

    def _let_in(self, key: str) -> HttpResponse:
        if not hmac.compare_digest(key.encode(), self._key.encode()):
            return LOCKED
        cookie = f"{self._cookie}={self._key}; HttpOnly; SameSite=Strict; Path=/"
        return HttpResponse(
            303, (*SECURITY.items(), ("location", CONSOLE), ("set-cookie", cookie)), b""
        )

    def _knows(self, cookies: str) -> bool:
        try:
            found = SimpleCookie(cookies).get(self._cookie)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self._key.encode())

    async def _ask(self, ask: Ask) -> HttpResponse:
        try:
            outcome = await self._api.walk(_once(ask))
        except Exception as error:  # whatever an SDK's credentials end with: people have to know
            return problem(AWAY, f"No credentials: {type(error).__name__}: {error}")
        if not isinstance(outcome, Reply):
            return problem(AWAY, outcome.why if outcome else "")
        kept = [(name, value) for name, value in outcome.headers.items() if name not in _OWN]
        return HttpResponse(outcome.status, tuple(kept), outcome.body)


def _once(ask: Ask) -> Talk[Outcome | None]:
    """A talk of one request, which is not tried again: the page says what it wants."""
    return (yield ask)
