"""The backends on which each contract test is played."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.contract.stages import Backend, Memory, Wire

# Each is an endpoint that a fixture of the whole suite starts, or skips for a reason it names.
_URLS = {"ministack": "ministack_url", "localstack": "localstack_url", "dynamodb": "dynamodb_url"}


def _backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    name: str = request.param
    if name == Memory.name:
        yield Memory()
        return
    name, _, client = name.partition(" by ")
    wire = Wire(name, request.getfixturevalue(_URLS[name]), hot=client == "hot")
    yield wire
    wire.close()


# The judge is opt-in (the report at the end says so): not asked for, it makes no skipped tests.
_JUDGE = ["dynamodb by hot"] if os.environ.get("FTQ_TEST_DYNAMODB_URL") else []


@pytest.fixture(scope="session", params=["memory", "ministack by hot", "ministack by aio", *_JUDGE])
def table_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    yield from _backend(request)


@pytest.fixture(
    scope="session",
    params=[
        "memory",
        "ministack by hot",
        "ministack by aio",
        "localstack by hot",
        "localstack by aio",
    ],
)
def queue_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    yield from _backend(request)
