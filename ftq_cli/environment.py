"""The environment of the programs that the local mode starts, and of its own AWS clients."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import botocore.session
from botocore.exceptions import BotoCoreError

from ftq_cli.exits import CommandError, Exit

REGION: Final = "us-east-1"
# What a stand-in takes for an account.
STAND_IN: Final = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
# Their output is read as UTF-8, and no log line fails for a character.
PYTHON: Final = {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}
ENDPOINT: Final = "AWS_ENDPOINT_URL"
# By service, as people call it.
ENDPOINTS: Final = {"SQS": f"{ENDPOINT}_SQS", "DynamoDB": f"{ENDPOINT}_DYNAMODB"}

_HERE: Final = ("127.0.0.1", "localhost")
# What is on disk, or answers on the network, is the user's account, and may be broken.
_NO_ACCOUNT: Final = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_swapping: Final = threading.Lock()


def base(environ: Mapping[str, str]) -> dict[str, str]:
    """What holds for every program: its charset, and no proxy between those on this machine."""
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if given.strip() == "*":
        return {**environ, **PYTHON}
    hosts = [host for host in (each.strip() for each in given.split(",")) if host]
    hosts += [host for host in _HERE if host not in hosts]
    # Some read the one, some the other.
    return {**environ, **PYTHON, **dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(hosts))}


def embedded(environ: Mapping[str, str], endpoint: str) -> dict[str, str]:
    """The environment of a program that uses the embedded AWS: nothing of a real account."""
    # Where traces go is no part of an account.
    kept = {
        key: value
        for key, value in base(environ).items()
        if not key.startswith("AWS_") or key.startswith("AWS_XRAY_")
    }
    region = _region(environ) or REGION
    return kept | _NO_ACCOUNT | STAND_IN | {ENDPOINT: endpoint, "AWS_REGION": region}


def names_aws(environ: Mapping[str, str]) -> bool:
    """Whether the user named an AWS to use instead of the embedded one.

    Raises:
        CommandError: For one service only: the other would be the real one, unasked.
    """
    if environ.get(ENDPOINT):
        return True
    named = {service for service, key in ENDPOINTS.items() if environ.get(key)}
    if not named:
        return False
    if missing := ENDPOINTS.keys() - named:
        [service], [key] = missing, [ENDPOINTS[each] for each in missing]
        text = f"{key} is not set, so {service} would be the real one: set it, or say --aws"
        raise CommandError(text, Exit.USAGE)
    return True


def given(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that uses the AWS that the SDK's own settings lead to.

    What the SDK does not find is filled in for a stand-in only: that asks for some credentials
    and some region.

    Raises:
        CommandError: A setting is broken; or the real AWS is meant, and something is missing.
    """
    stand_in = any(environ.get(key) for key in (ENDPOINT, *ENDPOINTS.values()))
    try:
        with applied(environ):
            session = botocore.session.get_session()
            found = session.get_credentials() is not None
            region = _region(environ) or str(session.get_config_variable("region") or "")
    except BotoCoreError as error:
        raise CommandError(f"the AWS SDK's settings: {error}", Exit.USAGE) from error
    if not stand_in and not found:
        raise CommandError("--aws: the AWS SDK finds no credentials", Exit.USAGE)
    if not stand_in and not region:
        raise CommandError("--aws: no region is configured; set AWS_REGION", Exit.USAGE)
    missing = {} if found else STAND_IN
    return {**base(environ), **missing, "AWS_REGION": region or REGION}


def described(environ: Mapping[str, str]) -> str:
    """Which AWS a program with this environment uses, for people."""
    if not any(environ.get(key) for key in (ENDPOINT, *ENDPOINTS.values())):
        return f"the AWS account of your credentials, region {environ['AWS_REGION']}"
    real = f"AWS in {environ['AWS_REGION']}"
    urls = [environ.get(key) or environ.get(ENDPOINT) or real for key in ENDPOINTS.values()]
    return " and ".join(dict.fromkeys(urls))


@contextmanager
def applied(environ: Mapping[str, str]) -> Iterator[None]:
    """Have `os.environ` be this: the SDK reads no other one when it makes sessions and clients."""
    with _swapping:
        before = dict(os.environ)
        _replace(environ)
        try:
            yield
        finally:
            _replace(before)


def _replace(environ: Mapping[str, str]) -> None:
    for key in os.environ.keys() - environ.keys():
        del os.environ[key]
    os.environ.update(environ)


def _region(environ: Mapping[str, str]) -> str:
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
