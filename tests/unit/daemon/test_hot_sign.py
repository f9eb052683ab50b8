"""The hot lane signs as botocore does, byte for byte, or leaves the request to it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import cast

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from ftq.wire.sign import Scope, Signer
from ftq_daemon.aws.form import Prepared, learn


@dataclass(frozen=True)
class Keys:
    access_key: str
    secret_key: str
    token: str | None = None


KEYS = st.text(st.characters(codec="ascii", min_codepoint=33, exclude_characters="/"), min_size=1)
VALUES = st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), min_size=1)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
WHO = st.builds(
    ReadOnlyCredentials, KEYS, st.text(min_size=1).filter(str.isprintable), KEYS | st.none()
)
SCOPES = st.builds(Scope, WORDS, WORDS)
URLS = st.builds(
    lambda scheme, host, port, path: f"{scheme}://{host}{port}{path}",
    st.sampled_from(["http", "https"]),
    st.sampled_from(
        ["sqs.eu-central-1.amazonaws.com", "LocalHost", "123456789012.ddb.us-east-1.api.aws"]
    ),
    st.sampled_from(["", ":80", ":443", ":4566"]),
    st.sampled_from(["", "/", "/a/b"]),
)
HEADERS = st.fixed_dictionaries(
    {"X-Amz-Target": VALUES, "Content-Type": VALUES, "User-Agent": VALUES},
    optional={"x-amzn-query-mode": VALUES},
)
MOMENTS = st.datetimes(*(datetime.datetime(year, 1, 1) for year in (2020, 2040)))  # noqa: DTZ001  # botocore's are so


def by_botocore(
    url: str,
    headers: dict[str, str],
    body: bytes,
    who: Keys,
    scope: Scope,
    now: datetime.datetime,
) -> Prepared:
    request = AWSRequest("POST", url, headers, body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: now)
        keys = ReadOnlyCredentials(who.access_key, who.secret_key, who.token)
        SigV4Auth(keys, scope.service, scope.region).add_auth(request)
    return cast("Prepared", request.prepare())


@given(URLS, HEADERS, st.binary(min_size=1), WHO, SCOPES, MOMENTS)
def test_any_request_gets_the_headers_that_botocore_would_give_it(
    url: str,
    headers: dict[str, str],
    body: bytes,
    who: Keys,
    scope: Scope,
    now: datetime.datetime,
) -> None:
    theirs = by_botocore(url, headers, body, who, scope, now).headers
    ours = Signer(url, headers, scope).sign(body, who, f"{now:%Y%m%dT%H%M%SZ}")
    lengthless = {name: value for name, value in theirs.items() if name != "Content-Length"}
    assert ours == lengthless


@given(URLS, HEADERS, st.binary(min_size=1), st.binary(min_size=1), WHO, WHO, SCOPES, MOMENTS)
def test_a_form_learned_from_one_request_makes_the_next_with_other_credentials(
    url: str,
    headers: dict[str, str],
    first: bytes,
    second: bytes,
    before: Keys,
    after: Keys,
    scope: Scope,
    now: datetime.datetime,
) -> None:
    form = learn(by_botocore(url, headers, first, before, scope, now), before, None)
    assert form is not None
    later = now + datetime.timedelta(days=1)
    theirs = by_botocore(url, headers, second, after, scope, later)
    ours = form.signer.sign(second, after, f"{later:%Y%m%dT%H%M%SZ}")
    assert ours["Authorization"] == theirs.headers["Authorization"]
    assert form.url == theirs.url


WHOM = Keys("AKID", "secret", "token")
PLAIN = {"X-Amz-Target": "AmazonSQS.ReceiveMessage", "Content-Type": "application/x-amz-json-1.0"}
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  # as botocore's own


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"},
        {"X-Amz-Region-Set": "*"},
        {"X-Something-New": "1"},
    ],
)
def test_a_request_that_says_more_than_we_know_has_no_form(headers: dict[str, str]) -> None:
    scope = Scope("us-east-1", "sqs")
    request = by_botocore("http://h/", PLAIN | headers, b"{}", WHOM, scope, NOW)
    assert learn(request, WHOM, None) is None


@pytest.mark.parametrize(
    "header",
    [
        "AWS4-ECDSA-P256-SHA256 Credential=AKID/20260102/sqs/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1/sqs/aws4_request, Signature=0",
        "Bearer token",
    ],
)
def test_a_request_that_is_signed_in_another_way_has_no_form(header: str) -> None:
    request = by_botocore("http://h/", PLAIN, b"{}", WHOM, Scope("us-east-1", "sqs"), NOW)
    request.headers = {**request.headers, "Authorization": header}
    assert learn(request, WHOM, None) is None


def test_a_request_without_a_signature_has_no_form() -> None:
    request = cast("Prepared", AWSRequest("POST", "http://h/", PLAIN, b"{}").prepare())
    assert learn(request, WHOM, None) is None


def test_a_request_signed_with_credentials_that_are_gone_has_no_form() -> None:
    request = by_botocore("http://h/", PLAIN, b"{}", WHOM, Scope("us-east-1", "sqs"), NOW)
    assert learn(request, Keys("AKID2", "other", "t"), None) is None
