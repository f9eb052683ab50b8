"""Values that are wrong only beside others are refused before the first stack is touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import cfnlint  # type: ignore[import-untyped]  # it carries no types
import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # as above

from deploy.ecs.errors import UsageError
from deploy.ecs.templates import FRACTIONS, Known, check, read

TEMPLATES: Final = read()
SAID: Final = {
    "Name": "ftq",
    "Image": "mailer:1",
    "Handlers": "mailer:registry",
    "VpcId": "vpc-1",
    "SubnetIds": "subnet-1,subnet-2",
    "ZipKey": "api/1.zip",
    "Release": "1",
}
FARGATE: Final = "data/schemas/extensions/aws_ecs_taskdefinition/fargate_cpu_memory.json"
ALL: Final = ("data", "api", "daemon", "scaling", "alarms")


def refusal(
    said: Mapping[str, str], standing: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """What is said of values, '' if nothing."""
    try:
        check(Known(said={**SAID, **said}, standing={**(standing or {})}), ALL, TEMPLATES)
    except UsageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"Cpu": "256", "MemoryMiB": "4096"},
            "Cpu=256, MemoryMiB=4096: daemon.yaml: Fargate has 512, 1024 or 2048 MiB for that CPU.",
        ),
        (
            {"OnDemandWeight": "0"},
            "OnDemandWeight=0, SpotWeight=0: daemon.yaml: one of the two weights must be",
        ),
        (
            {"LeastConcurrency": "65"},
            "daemon.yaml: LeastConcurrency=65: must be at most Concurrency=64",
        ),
        ({"LeastDaemons": "11"}, "LeastDaemons=11: must be at most MostDaemons=10"),
        (
            {"Auth": "JWT", "JwtAudience": "me"},
            "Auth=JWT, JwtIssuer=, JwtAudience=me: api.yaml: Auth=JWT needs JwtIssuer.",
        ),
        (
            {"Auth": "JWT", "JwtIssuer": "https://id"},
            "Auth=JWT, JwtIssuer=https://id, JwtAudience=: api.yaml: Auth=JWT needs JwtAudience.",
        ),
        (
            {"SnapStart": "PublishedVersions", "ApiRuntime": "python3.11"},
            "SnapStart=PublishedVersions, ApiRuntime=python3.11: api.yaml: SnapStart=",
        ),
        ({"CorsOrigins": "*"}, "api.yaml: CorsOrigins='*': '*' is no origin such as https://"),
    ],
)
def test_what_does_not_go_together_is_named_with_its_limit(
    said: Mapping[str, str], told: str
) -> None:
    assert refusal(said).startswith(told)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"Cpu": "256", "MemoryMiB": "512"},
        {"OnDemandWeight": "0", "SpotWeight": "1"},
        {"LeastDaemons": "9", "MostDaemons": "10"},
        {"Auth": "JWT", "JwtIssuer": "https://id", "JwtAudience": "me,you"},
        {"CorsOrigins": "https://app.example.com"},
    ],
)
def test_what_goes_together_is_taken(said: Mapping[str, str]) -> None:
    assert not refusal(said)


def test_what_a_stack_has_already_counts_too() -> None:
    has = {"daemon": {"Concurrency": "8"}}

    assert "LeastConcurrency=9: must be at most Concurrency=8" in refusal(
        {"LeastConcurrency": "9"}, has
    )


@pytest.mark.parametrize("cpu", ["256", "512", "1024", "2048", "4096", "8192"])
def test_fargates_sizes_are_those_that_aws_names(cpu: str) -> None:
    path = Path(cfnlint.__file__).parent / FARGATE  # as AWS's documentation has them
    known = Draft7Validator(json.loads(path.read_text()))

    for mib in (512, *range(1024, 65_537, 1024)):
        asked = {"RequiresCompatibilities": ["FARGATE"], "Cpu": cpu, "Memory": mib}
        assert known.is_valid(asked) == (not refusal({"Cpu": cpu, "MemoryMiB": str(mib)})), mib


def test_each_number_that_need_not_be_whole_is_a_parameter() -> None:
    numbers = {p.name for each in TEMPLATES.values() for p in each.parameters.values() if p.number}

    assert {*FRACTIONS} <= numbers
