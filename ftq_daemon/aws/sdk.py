"""What the hot lane touches of aiobotocore, as types: its own are unknown to mypy."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from botocore.model import ServiceModel

from ftq.ports import Reply
from ftq.value import value
from ftq.wire.sign import Credentials


class Identity(Credentials, Protocol):
    """Credentials and whose they are."""

    @property
    def account_id(self) -> str | None:
        """The account, where the SDK knows it."""
        ...


class Source(Protocol):
    """Credentials that the SDK keeps fresh."""

    def get_frozen_credentials(self) -> Awaitable[Identity]:
        """Those that hold now; fetches new ones when these are about to expire."""
        ...


@value(frozen=True, slots=True)
class Sent:
    """A request, with what an HTTP session reads of it."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    stream_output: bool = False


class Answer(Protocol):
    """An HTTP reply."""

    @property
    def status_code(self) -> int:
        """Its status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers, names in small letters."""
        ...

    @property
    def content(self) -> Awaitable[bytes]:
        """The body, read once."""
        ...


class Http(Protocol):
    """The HTTP session of a client."""

    def send(self, request: Sent, /) -> Awaitable[Answer]:
        """Send a request and read its reply.

        Raises:
            HTTPClientError: There is none.
        """
        ...


class Emitter(Protocol):
    """The events of a client."""

    def emit(self, event: str, **about: object) -> Awaitable[list[tuple[object, object]]]:
        """Ask all who listen; each with its answer."""
        ...

    def register(self, event: str, listener: object) -> None:
        """Listen."""
        ...


class Meta(Protocol):
    """What a client says of itself."""

    events: Emitter
    service_model: ServiceModel


class Client(Protocol):
    """A client of one service."""

    meta: Meta


class Operation(Protocol):
    """An operation of a client."""

    def __call__(self, **parameters: object) -> Awaitable[Reply]:
        """Make the call."""
        ...
