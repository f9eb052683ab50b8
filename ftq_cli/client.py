"""The HTTP client of the command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import quote

import aiohttp

from ftq.text import Json, NotJson, parse
from ftq_cli.exits import CommandError, Exit

FINAL: Final = frozenset({"succeeded", "dead", "cancelled"})
# A request that got no answer, or a 503, is repeated this often: a submission has a key.
TRIES: Final = 3
PAUSE_SECONDS: Final = 0.25
# Above what the API itself may take.
TIMEOUT: Final = aiohttp.ClientTimeout(total=35, connect=5)

Document: TypeAlias = dict[str, Json]


class Refused(CommandError):
    """The API answered with a problem.

    Attributes:
        status: The HTTP status.
        document: The problem document.
    """

    def __init__(self, status: int, document: Document) -> None:
        """Word the problem for people."""
        title, detail = document.get("title", ""), document.get("detail", "")
        lines = [f"{status} {title}: {detail}"]
        errors = document.get("errors")
        lines += [
            "  " + ": ".join(str(value) for value in each.values())
            for each in (errors if isinstance(errors, list) else ())
            if isinstance(each, dict)
        ]
        super().__init__("\n".join(lines), _code(status))
        self.status = status
        self.document = document


def _code(status: int) -> Exit:
    if status >= 500:
        return Exit.UNREACHABLE
    return Exit.USAGE if status in (400, 413, 422) else Exit.FAILED


@dataclass(frozen=True, slots=True)
class Submission:
    """What is submitted, as the API takes it."""

    type: str
    payload: Json
    key: str
    delay_seconds: float = 0
    tenant: str = ""


class Api:
    """Speaks to the API.

    Args:
        session: The HTTP session.
        url: Where it answers.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        """Keep both; nothing is sent yet."""
        self._session = session
        self._url = url.rstrip("/")

    async def submit(self, asked: Submission) -> Document:
        """Submit a task: what the API said when it accepted it.

        Raises:
            CommandError: It was refused, or the API could not be reached.
        """
        body: Document = {"type": asked.type, "payload": asked.payload}
        if asked.delay_seconds:
            body["delay_seconds"] = asked.delay_seconds
        if asked.tenant:
            body["tenant"] = asked.tenant
        return await self._ask("POST", "/tasks", body, {"Idempotency-Key": asked.key})

    async def get(self, task_id: str) -> Document:
        """The task as it is now.

        Raises:
            CommandError: There is none, or the API could not be reached.
        """
        return await self._ask("GET", f"/tasks/{quote(task_id, safe='')}")

    async def final(self, task_id: str) -> Document:
        """The task once it has ended.

        Raises:
            CommandError: There is none, or the API could not be reached.
        """
        pause = 0.05
        while (task := await self.get(task_id)).get("state") not in FINAL:
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 1.5)
        return task

    async def _ask(
        self, method: str, path: str, body: Document | None = None, headers: Mapping[str, str] = {}
    ) -> Document:
        for tried in range(1, TRIES + 1):
            try:
                status, answer = await self._send(method, path, body, headers)
            except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
                raise CommandError(f"{self._url}: is not an HTTP URL", Exit.USAGE) from error
            except (aiohttp.ClientError, TimeoutError) as error:
                if tried == TRIES:
                    text = f"{self._url}: cannot be reached: {_why(error)}"
                    raise CommandError(text, Exit.UNREACHABLE) from error
            else:
                if status < 400:
                    return answer
                if status < 500 or tried == TRIES:
                    raise Refused(status, answer)
            await asyncio.sleep(PAUSE_SECONDS * 2 ** (tried - 1))
        raise AssertionError("the last try returns or raises")

    async def _send(
        self, method: str, path: str, body: Document | None, headers: Mapping[str, str]
    ) -> tuple[int, Document]:
        async with self._session.request(
            method, self._url + path, json=body, headers=headers
        ) as response:
            content = await response.read()
        try:
            said = parse(content)
        except NotJson:
            said = None
        if isinstance(said, dict):
            return response.status, said
        # Not what this API says: somebody else answered.
        return max(response.status, 502), {"title": "no answer of ftq's API"}


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return str(error) or "no answer in time"


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Api]:
    """A client for as long as the context lasts."""
    dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    async with aiohttp.ClientSession(timeout=TIMEOUT, json_serialize=dumps) as session:
        yield Api(session, url)
