"""As whom the command asks the API."""

from __future__ import annotations

import pytest

from ftq.client import SigV4
from ftq.errors import SettingsError
from ftq_cli.identity import identity

GATEWAY = "https://abc123.execute-api.eu-central-1.amazonaws.com"
OWN = "https://tasks.example.com"


def test_an_api_of_api_gateways_is_asked_with_a_signature() -> None:
    assert isinstance(identity(GATEWAY, {}), SigV4)


@pytest.mark.parametrize(
    "url", [OWN, "http://127.0.0.1:8700", "https://x.amazonaws.com.evil.example"]
)
def test_nobody_else_is_shown_one(url: str) -> None:
    assert identity(url, {}) is None


def test_a_token_is_shown_instead() -> None:
    found = identity(GATEWAY, {"FTQ_API_TOKEN": "t"})
    assert callable(found)
    assert found() == "t"


def test_a_signature_can_be_asked_for_and_be_done_without() -> None:
    assert isinstance(identity(OWN, {"FTQ_API_AUTH": "iam", "AWS_REGION": "eu-west-1"}), SigV4)
    assert identity(GATEWAY, {"FTQ_API_AUTH": "none"}) is None


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"FTQ_API_AUTH": "basic"}, "FTQ_API_AUTH='basic': must be iam, none or auto"),
        ({"FTQ_API_AUTH": "iam"}, "FTQ_API_AUTH=iam: signing for .* needs AWS_REGION"),
    ],
)
def test_what_cannot_be_done_is_said(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        identity(OWN, environ)
