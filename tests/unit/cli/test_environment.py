from __future__ import annotations

import os
from pathlib import Path

import pytest

from ftq_cli.environment import applied, base, described, embedded, given, names_aws
from ftq_cli.exits import CommandError, Exit

REAL = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
NO_ACCOUNT = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def of_aws(environ: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in environ.items() if key.startswith("AWS_")}


def test_nothing_of_a_real_account_reaches_the_embedded_aws() -> None:
    shell = {**REAL, "AWS_PROFILE": "prod", "AWS_ENDPOINT_URL_SQS": "https://real", "HOME": "/h"}
    environ = embedded({**shell, "AWS_REGION": "eu-west-1"}, "http://here")
    assert of_aws(environ) == {
        **NO_ACCOUNT,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://here",
    }
    assert environ["HOME"] == "/h"


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "a.b, localhost"}, "a.b,localhost,127.0.0.1"),
        ({"NO_PROXY": "a", "no_proxy": "b"}, "b,127.0.0.1,localhost"),
    ],
)
def test_no_proxy_stands_between_programs_of_this_machine(
    shell: dict[str, str], expected: str
) -> None:
    environ = base({"HTTPS_PROXY": "http://proxy", **shell})
    assert (environ["NO_PROXY"], environ["no_proxy"]) == (expected, expected)
    assert environ["HTTPS_PROXY"] == "http://proxy", "a real AWS may need it"


def test_no_proxy_for_anything_stays_so() -> None:
    assert base({"NO_PROXY": "*"})["NO_PROXY"] == "*"


def test_the_programs_say_what_they_say_in_utf_8() -> None:
    environ = base({"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"})
    assert environ["PYTHONUTF8"] == "1"
    assert environ["PYTHONIOENCODING"] == "utf-8:backslashreplace"


@pytest.mark.parametrize(
    ("shell", "named"),
    [
        ({}, False),
        ({"AWS_ENDPOINT_URL": ""}, False),
        ({"AWS_ENDPOINT_URL_S3": "http://s3"}, False),
        ({"AWS_ENDPOINT_URL": "http://a"}, True),
        ({"AWS_ENDPOINT_URL_SQS": "http://a", "AWS_ENDPOINT_URL_DYNAMODB": "http://b"}, True),
        ({"AWS_ENDPOINT_URL_SQS": "http://a", "AWS_ENDPOINT_URL": "http://b"}, True),
    ],
)
def test_an_endpoint_names_an_aws(shell: dict[str, str], named: bool) -> None:
    assert names_aws(shell) is named


def test_half_an_aws_is_refused() -> None:
    says = "AWS_ENDPOINT_URL_DYNAMODB is not set, so DynamoDB would be the real one"
    with pytest.raises(CommandError, match=says) as refused:
        names_aws({"AWS_ENDPOINT_URL_SQS": "http://a"})
    assert refused.value.code is Exit.USAGE


def test_credentials_that_are_there_are_used() -> None:
    shell = {**REAL, **NO_ACCOUNT, "AWS_ENDPOINT_URL": "http://there"}
    assert of_aws(given(shell)) == {**shell, "AWS_REGION": "us-east-1"}


def test_credentials_are_found_where_the_sdk_finds_them(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile of-mine]\naws_access_key_id = a\naws_secret_access_key = b\nregion = eu-west-3\n"
    )
    shell = {**NO_ACCOUNT, "AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "of-mine"}
    before = dict(os.environ)
    assert of_aws(given(shell)) == {**shell, "AWS_REGION": "eu-west-3"}
    assert os.environ == before


@pytest.mark.parametrize("key", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"])
def test_without_credentials_a_stand_in_gets_some(key: str) -> None:
    environ = given({**NO_ACCOUNT, key: "http://there"})
    assert environ["AWS_ACCESS_KEY_ID"] == environ["AWS_SECRET_ACCESS_KEY"] == "local"


@pytest.mark.parametrize(
    ("shell", "says"),
    [
        (NO_ACCOUNT, "no credentials"),
        ({**NO_ACCOUNT, **REAL}, "no region"),
        ({**NO_ACCOUNT, **REAL, "AWS_PROFILE": "gone"}, "profile \\(gone\\) could not be found"),
        ({**NO_ACCOUNT, "AWS_ACCESS_KEY_ID": "a", "AWS_REGION": "r"}, "Partial credentials"),
    ],
)
def test_what_a_real_account_lacks_is_named(shell: dict[str, str], says: str) -> None:
    with pytest.raises(CommandError, match=says) as refused:
        given(shell)
    assert refused.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("shell", "says"),
    [
        ({}, "the AWS account of your credentials, region r"),
        ({"AWS_ENDPOINT_URL": "http://a"}, "http://a"),
        ({"AWS_ENDPOINT_URL_SQS": "http://a"}, "http://a and AWS in r"),
        ({"AWS_ENDPOINT_URL_SQS": "http://a", "AWS_ENDPOINT_URL": "http://b"}, "http://a and http://b"),
    ],
)  # fmt: skip
def test_an_aws_is_described(shell: dict[str, str], says: str) -> None:
    assert described({**shell, "AWS_REGION": "r"}) == says


def test_an_environment_is_applied_for_a_while() -> None:
    before = dict(os.environ)
    with applied({"A": "1"}):
        assert dict(os.environ) == {"A": "1"}
    assert dict(os.environ) == before
