"""The hot lane: the few calls of each task, without aiobotocore's pipeline around them.

It stands where an aiobotocore client stands, over that very client. The first call of a kind goes
through aiobotocore, and its request is the form of all that follow (`ftq_daemon.aws.form`). Those
are serialized by orjson, signed here, and sent on the client's own connections, with its proxies,
certificates and timeouts. Whatever is not a plain success is botocore's again: its parser reads
errors, its retry handlers and their quota decide on repeats. What has no form stays with
aiobotocore altogether.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Final, TypeAlias

import orjson
from botocore import xform_name
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.exceptions import HTTPClientError
from botocore.hooks import first_non_none_response
from botocore.model import OperationModel

from ftq.ports import Reply, Request
from ftq.wire.sign import MOMENT, Credentials
from ftq_daemon.aws.form import Form, Prepared, learn
from ftq_daemon.aws.replies import Replies, Tried
from ftq_daemon.aws.sdk import Client, Http, Operation, Sent, Source

OPERATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "dynamodb": ("BatchExecuteStatement",),
    "sqs": (
        "ChangeMessageVisibilityBatch",
        "DeleteMessageBatch",
        "ReceiveMessage",
        "SendMessageBatch",
    ),
}
# What the client's retry handlers are asked about when there is no reply.
_UNSENT: Final = (HTTPClientError, NoConnectionError)
Sleep: TypeAlias = Callable[[float], Awaitable[None]]
_asked: Final[ContextVar[Request | None]] = ContextVar("_asked", default=None)


class HotClient:
    """An aiobotocore client whose hot operations take the hot lane; all else is the client's.

    Args:
        client: The client.
        http: The client's HTTP session.
        source: The client's credentials.
        sleep: Waits between tries.
    """

    def __init__(
        self,
        client: Client,
        http: Http,
        source: Source,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Look at what the client sends; nothing is called yet."""
        service = client.meta.service_model
        self._client = client
        self._hot = {
            xform_name(name): _HotOperation(
                client, service.operation_model(name), http, source, sleep
            )
            for name in OPERATIONS[service.service_name]
        }

    def __getattr__(self, name: str) -> Operation:
        """An operation, by its name in Python."""
        found: Operation = self._hot.get(name) or getattr(self._client, name)
        return found


class _HotOperation:
    def __init__(
        self,
        client: Client,
        model: OperationModel,
        http: Http,
        source: Source,
        sleep: Sleep,
    ) -> None:
        self._slow: Operation = getattr(client, xform_name(model.name))
        self._events = client.meta.events
        self._model = model
        self._http = http
        self._source = source
        self._sleep = sleep
        self._replies = Replies(model)
        self._forms: dict[str, Form] = {}
        self._name = f"{model.service_model.service_id.hyphenize()}.{model.name}"
        self._events.register(f"before-send.{self._name}", self._look)

    async def __call__(self, **request: object) -> Reply:
        """Make the call; raises what the client raises."""
        form = self._forms.get(_place(request))
        body = None if form is None else _serialize(request)
        if form is None or body is None:
            return await self._slowly(request)
        who = await self._source.get_frozen_credentials()
        if who.account_id != form.account:
            return await self._slowly(request)
        context: dict[str, object] = {}
        attempts, tried = 1, await self._try(form, body, who)
        while tried.error is not None:
            delay = await self._delay(attempts, tried, context)
            if delay is None:
                break
            await self._sleep(delay)
            who = await self._source.get_frozen_credentials()
            attempts, tried = attempts + 1, await self._try(form, body, who)
        if tried.answer is not None:
            await self._over(tried, context)
        if tried.error is not None:
            raise tried.error
        return tried.parsed

    async def _slowly(self, request: Request) -> Reply:
        token = _asked.set(request)
        try:
            return await self._slow(**request)
        finally:
            _asked.reset(token)

    async def _look(self, request: Prepared, **_: object) -> None:
        """Learn from what the client is about to send, if we would have said the same."""
        asked = _asked.get()
        if asked is None or request.body is None:
            return
        if not _same_json(request.body, _serialize(asked)):
            return
        who = await self._source.get_frozen_credentials()
        form = learn(request, who, who.account_id)
        if form is not None:
            self._forms[_place(asked)] = form

    async def _try(self, form: Form, body: bytes, who: Credentials) -> Tried:
        moment = time.strftime(MOMENT, time.gmtime())
        try:
            answer = await self._http.send(
                Sent(form.url, form.signer.sign(body, who, moment), body)
            )
        except _UNSENT as error:
            return Tried(error=error)
        return await self._replies.read(answer)

    async def _delay(self, attempts: int, tried: Tried, context: dict[str, object]) -> float | None:
        """Seconds until the next try, as the client's own retry handlers say; None for none."""
        responses = await self._events.emit(
            f"needs-retry.{self._name}",
            response=None if tried.answer is None else (tried.answer, dict(tried.parsed)),
            endpoint=None,
            operation=self._model,
            attempts=attempts,
            caught_exception=tried.error if tried.answer is None else None,
            request_dict={"context": context},
        )
        delay: float | bool | None = first_non_none_response(responses)
        return None if delay is False else delay

    async def _over(self, tried: Tried, context: dict[str, object]) -> None:
        """Tell the client's handlers: who took of the quota for repeats gives back now."""
        await self._events.emit(
            f"after-call.{self._name}",
            http_response=tried.answer,
            parsed=dict(tried.parsed),
            model=self._model,
            context=context,
        )


def _place(request: Request) -> str:
    """What the endpoint might hang on: where the queue is, without account and name."""
    return str(request.get("QueueUrl", "")).rsplit("/", 2)[0]


def _serialize(request: Request) -> bytes | None:
    """The body; None for what JSON by orjson does not hold, such as half a surrogate pair."""
    try:
        return orjson.dumps(request, _base64)
    except orjson.JSONEncodeError:
        return None


def _same_json(theirs: bytes, ours: bytes | None) -> bool:
    try:
        return ours is not None and bool(orjson.loads(theirs) == orjson.loads(ours))
    except orjson.JSONDecodeError:
        return False  # theirs: some services once had other protocols


def _base64(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    raise TypeError(type(value).__name__)
