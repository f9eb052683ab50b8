"""The scaling template against the policy that is simulated, by CloudWatch's own arithmetic."""

from __future__ import annotations

import re
from typing import cast

import pytest

from benchmarks.fleet import Policy
from ftq.text import Json
from tests.deploy.cloudwatch import compute
from tests.deploy.test_templates import properties

POLICY = Policy(slots=16, acceptable=30.0, handler=1.5)
VALUES = {
    "HandlerSeconds": "1.5",
    "Concurrency": "16",
    "Processes": "1",
    "AcceptableSeconds": "30",
}


def expression(**values: str) -> str:
    """What is tracked, with its parameters filled in."""
    configuration = cast(
        "dict[str, dict[str, list[dict[str, Json]]]]",
        properties("scaling", "Follow")["TargetTrackingScalingPolicyConfiguration"],
    )
    (tracked,) = [
        each
        for each in configuration["CustomizedMetricSpecification"]["Metrics"]
        if each["ReturnData"]
    ]
    text = cast("dict[str, str]", tracked["Expression"])["Fn::Sub"]
    return (
        re.sub(r"\$\{(\w+)\}", lambda found: {**VALUES, **values}[found[1]], text)
        .replace("\n", " ")
        .strip()
    )


@pytest.mark.parametrize(
    ("waiting", "running", "seconds", "busy"),
    [(0, 1, 2.0, 0), (4800, 10, 2.0, 12.5), (7, 3, 0.2, 16), (900, 0, 2.0, 0)],
)
def test_the_template_tracks_what_is_simulated(
    waiting: float, running: float, seconds: float, busy: float
) -> None:
    given = {"waiting": waiting, "running": running, "seconds": seconds, "busy": busy}

    found = compute(expression(), {name: {0: value} for name, value in given.items()}, [0])

    assert found[0] == pytest.approx(POLICY.needed(waiting, running, seconds, busy))


def test_what_was_never_measured_has_the_parameters_value() -> None:
    series = {"waiting": {0: 320.0}, "running": {0: 1.0}, "seconds": {}, "busy": {0: 0.0}}

    assert compute(expression(), series, [0])[0] == pytest.approx(POLICY.needed(320, 1, 1.5, 0))


def test_a_minute_in_which_daemons_are_late_to_say_how_busy_they_are_is_no_idle_one() -> None:
    steady = {"waiting": 0.0, "running": 4.0, "seconds": 2.0}
    series = {name: {0: value, 60: value} for name, value in steady.items()} | {"busy": {0: 12.0}}

    found = compute(expression(), series, [0, 60])

    assert found[60] == found[0] == pytest.approx(POLICY.needed(0, 4, 2.0, 12))


def test_a_daemon_of_two_processes_takes_twice_what_waits_and_each_is_as_busy_as_itself() -> None:
    given = {"waiting": 320.0, "running": 2.0, "seconds": 2.0, "busy": 8.0}
    series = {name: {0: value} for name, value in given.items()}

    found = compute(expression(Processes="2"), series, [0])

    assert found[0] == pytest.approx(POLICY.needed(160, 2, 2.0, 8))
