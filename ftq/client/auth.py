"""Who asks: nothing, a bearer token, or a signature of AWS's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from ftq.client.exchange import Ask
from ftq.errors import SettingsError

SERVICE: Final = "execute-api"


class Auth(Protocol):
    """Adds to each try of a request what says who asks."""

    def headers(self, url: str, ask: Ask) -> Mapping[str, str]:
        """All headers of a request, those that it has included.

        Args:
            url: The whole URL that is asked.
            ask: The request.
        """
        ...


class SigV4:
    """Signs requests with AWS's Signature Version 4, as an API with IAM authorization wants.

    The credentials are those that the AWS SDK finds, and are renewed as it does. It needs
    botocore, which is loaded here and nowhere else in the client.

    Args:
        region: The API's region.
        service: What it is signed for.

    Raises:
        SettingsError: The SDK finds no credentials.
    """

    def __init__(self, *, region: str, service: str = SERVICE) -> None:
        """Find the credentials."""
        import botocore.session

        found = botocore.session.get_session().get_credentials()
        if found is None:
            raise SettingsError(["SigV4: the AWS SDK finds no credentials"])
        self._credentials = found
        self._region = region
        self._service = service

    def headers(self, url: str, ask: Ask) -> Mapping[str, str]:
        """The request's headers and its signature's. May wait for fresh credentials."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(ask.method, url, dict(ask.headers), ask.body or b"")
        frozen = self._credentials.get_frozen_credentials()
        SigV4Auth(frozen, self._service, self._region).add_auth(request)
        return {str(name).lower(): str(value) for name, value in request.headers.items()}


def bearer(ask: Ask, token: str) -> dict[str, str]:
    """A request's headers with a bearer token (RFC 6750)."""
    return {**ask.headers, "authorization": f"Bearer {token}"}
