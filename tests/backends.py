"""The AWS stand-ins that tests run on: each is started once, when a test first asks for it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeAlias, TypeVar, overload

import pytest

from ftq_cli.embedded import HOST, StandIn, embedded_aws, running

T = TypeVar("T")

REQUIRE: Final = "FTQ_TEST_REQUIRE_BACKENDS"
DYNAMODB_URL: Final = "FTQ_TEST_DYNAMODB_URL"
ROOT: Final = Path(__file__).parents[1]
LOCALSTACK_PYTHON: Final = ROOT / ".venv-localstack" / "bin" / "python"

Seen: TypeAlias = dict[str, str]
"""What became of each backend that a test asked for."""

SEEN: Final = pytest.StashKey[Seen]()
USED: Final = "used"


@dataclass(frozen=True, slots=True)
class Backend:
    """One stand-in.

    Attributes:
        missing: Why this machine cannot run it; None if it can.
        run: Runs it, and gives its endpoint's URL.
        opt_in: Whether it may be missing even where backends are required.
    """

    missing: Callable[[], str | None]
    run: Callable[[], AbstractAsyncContextManager[str]]
    opt_in: bool = False


def no_ministack() -> str | None:
    return None if find_spec("ministack") else "the package ministack is not installed"


def no_localstack() -> str | None:
    where = LOCALSTACK_PYTHON.relative_to(ROOT)
    return None if LOCALSTACK_PYTHON.exists() else f"there is no {where} (`make localstack`)"


def no_dynamodb() -> str | None:
    return None if os.environ.get(DYNAMODB_URL) else f"{DYNAMODB_URL} is not set"


@asynccontextmanager
async def localstack() -> AsyncIterator[str]:
    """LocalStack without Docker. It has SQS only: its other services download their engines."""
    # Two of them, in two test processes, must not share files.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as files:

        def environment(port: int, _mark: str) -> Mapping[str, str]:
            return os.environ | {
                "GATEWAY_LISTEN": f"{HOST}:{port}",
                "LOCALSTACK_HOST": f"{HOST}:{port}",
                "SERVICES": "sqs",
                "SQS_ENDPOINT_STRATEGY": "path",
                "DNS_ADDRESS": "0",
                "SKIP_SSL_CERT_DOWNLOAD": "1",
                "DISABLE_EVENTS": "1",
                "LS_LOG": "warning",
                "FILESYSTEM_ROOT": files,
                "TMPDIR": files,
            }

        module, python = "localstack.runtime.main", str(LOCALSTACK_PYTHON)
        async with running(StandIn(module, "/_localstack/health", environment, python)) as url:
            yield url


@asynccontextmanager
async def dynamodb() -> AsyncIterator[str]:
    """Whatever the caller has, such as AWS's own DynamoDB Local."""
    yield os.environ[DYNAMODB_URL]


BACKENDS: Final[Mapping[str, Backend]] = {
    "ministack": Backend(no_ministack, embedded_aws),
    "localstack": Backend(no_localstack, localstack),
    "dynamodb": Backend(no_dynamodb, dynamodb, opt_in=True),
}


@contextmanager
def started(name: str, seen: Seen) -> Iterator[str]:
    """Run a backend and note it; skip or fail whoever asks for a missing one."""
    backend = BACKENDS[name]
    if reason := backend.missing():
        seen[name] = f"left out: {reason}"
        if os.environ.get(REQUIRE, "0") not in {"", "0"} and not backend.opt_in:
            pytest.fail(f"{name} is missing, and {REQUIRE} is set: {reason}", pytrace=False)
        pytest.skip(f"{name} is left out: {reason}")
    seen[name] = "did not start"
    with held(backend.run()) as url:
        seen[name] = USED
        yield url


@contextmanager
def held(manager: AbstractAsyncContextManager[str]) -> Iterator[str]:
    # On a thread and a loop of its own: it outlives every test's, and a test that asks for it
    # halfway is running on its loop already.
    runner = asyncio.Runner()
    with ThreadPoolExecutor(1) as thread:
        try:
            value = thread.submit(runner.run, manager.__aenter__()).result()
            try:
                yield value
            finally:
                thread.submit(runner.run, manager.__aexit__(None, None, None)).result()
        finally:
            thread.submit(runner.close).result()


def merge(seen: Seen, others: Seen) -> None:
    """Add what another test process saw."""
    for name, what in others.items():
        if seen.get(name, USED) == USED:  # whatever went wrong in one of them is worth saying
            seen[name] = what


def report(seen: Seen) -> list[str]:
    """One line for each backend."""
    return [f"{name}: {seen.get(name, 'no test asked for it')}" for name in BACKENDS]


@overload
async def eventually(condition: Callable[[], Awaitable[T]], within: float = ...) -> T: ...
@overload
async def eventually(condition: Callable[[], T], within: float = ...) -> T: ...
async def eventually(condition: Callable[[], Awaitable[T] | T], within: float = 10.0) -> T:
    """Wait until a condition holds, and return what it gave.

    Raises:
        AssertionError: It did not hold within so many seconds.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + within
    while True:
        given = condition()
        value = await given if isinstance(given, Awaitable) else given
        if value:
            return value
        assert clock() < deadline, f"not within {within} s; at last it gave {value!r}"
        await asyncio.sleep(0.02)
