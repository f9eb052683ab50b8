"""What all tests share: fake credentials, the event loops, and the AWS stand-ins."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import pytest
import uvloop

from tests.backends import SEEN, Seen, merge, report, started

# No test reaches a real account, whatever the shell that started it can reach.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
ASYNCIO: Final[Mapping[str, LoopFactory]] = {"asyncio": asyncio.new_event_loop}
BOTH: Final[Mapping[str, LoopFactory]] = {**ASYNCIO, "uvloop": uvloop.new_event_loop}


class Worker(Protocol):
    """A test process of pytest-xdist, as the one that started it sees it."""

    config: pytest.Config
    workeroutput: dict[str, Seen]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_loops: runs on asyncio's loop and on uvloop")
    config.option.asyncio_debug = True
    config.stash[SEEN] = {}


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    return BOTH if item.get_closest_marker("both_loops") else ASYNCIO


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["backends"] = session.config.stash[SEEN]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Worker) -> None:
    if hasattr(node, "workeroutput"):  # one that crashed has none
        merge(node.config.stash[SEEN], node.workeroutput["backends"])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    terminalreporter.section("backends")
    for line in report(config.stash[SEEN]):
        terminalreporter.line(line)


@pytest.fixture(scope="session")
def ministack_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """SQS and DynamoDB."""
    with started("ministack", pytestconfig.stash[SEEN]) as url:
        yield url


@pytest.fixture(scope="session")
def localstack_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """SQS only."""
    with started("localstack", pytestconfig.stash[SEEN]) as url:
        yield url


@pytest.fixture(scope="session")
def dynamodb_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """DynamoDB only, where the caller has one."""
    with started("dynamodb", pytestconfig.stash[SEEN]) as url:
        yield url
