"""Alarms and dashboard look at what is really published, and are right about a bad day."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from ftq.metrics import BY_NAME, NAMESPACE
from tests.deploy import outage
from tests.deploy.cloudwatch import State, Store, history, numbers, state_of
from tests.deploy.outage import BAD_TASKS, BEGAN, CRASHES, DEPENDENCY_DOWN, END, NO_DAEMONS
from tests.deploy.watched import (
    GIVEN,
    TEMPLATES,
    Watched,
    document,
    listed,
    load,
    of_alarm,
    of_dashboard,
    queries,
    resources,
)

RUNBOOK: Final = Path("docs/how-to/alarms.md")
PUBLISHED: Final = json.loads((Path(__file__).parent / "published.json").read_text())
ALARMS: Final = resources("alarms", "AWS::CloudWatch::Alarm")
# What can be asked of each kind of metric, and makes sense.
ASKED: Final = {
    "counter": {"Sum"},
    "gauge": {"Sum", "Maximum", "Minimum", "Average"},
    "timing": {"Average", "Maximum", "Minimum", "p50", "p90", "p99"},
}


def watched() -> dict[str, list[Watched]]:
    """All that any template watches."""
    found = {name: [*of_alarm(alarm).values()] for name, alarm in ALARMS.items()}
    for name, alarm in resources("scaling", "AWS::CloudWatch::Alarm").items():
        found[f"scaling {name}"] = [*of_alarm(alarm).values()]
    for name, policy in resources("scaling", "AWS::ApplicationAutoScaling::ScalingPolicy").items():
        if "TargetTrackingScalingPolicyConfiguration" in policy:
            tracked = document(policy["TargetTrackingScalingPolicyConfiguration"])
            metrics = document(tracked["CustomizedMetricSpecification"])["Metrics"]
            found[f"scaling {name}"] = [each for _, each in queries(metrics)]
    (board,) = resources("dashboard", "AWS::CloudWatch::Dashboard").values()
    for number, each in enumerate(of_dashboard(str(board["DashboardBody"]))):
        found[f"dashboard {number} {each.name}"] = [each]
    return found


@pytest.mark.parametrize(("where", "what"), watched().items(), ids=[*watched()])
def test_what_is_watched_is_published_so(where: str, what: list[Watched]) -> None:
    assert what
    for each in what:
        if each.namespace == NAMESPACE:
            metric = BY_NAME[each.name]
            assert each.keys in metric.dimensions, each
            assert each.statistic in ASKED[metric.kind], each
            assert dict(each.dimensions)["service"] == GIVEN["MetricsService"]
        else:
            assert any(
                each.namespace == known["namespace"]
                and each.name in known["metrics"]
                and [*each.keys] in known["dimensions"]
                and each.statistic in known["statistics"]
                and all(
                    value in known.get("values", {}).get(key, [value])
                    for key, value in each.dimensions
                )
                for known in PUBLISHED
            ), each


def test_no_template_with_alarms_was_left_out() -> None:
    with_alarms = {
        path.stem for path in TEMPLATES.glob("*.yaml") if "AWS::CloudWatch::" in path.read_text()
    }
    assert with_alarms == {"alarms", "scaling", "dashboard"}


def test_the_index_is_called_as_the_table_calls_it() -> None:
    (table,) = resources("data", "AWS::DynamoDB::Table").values()
    (index,) = map(document, listed(table["GlobalSecondaryIndexes"]))
    names = {
        dict(each.dimensions)["GlobalSecondaryIndexName"]
        for alarm in ALARMS.values()
        for each in of_alarm(alarm).values()
        if "GlobalSecondaryIndexName" in each.keys
    }
    assert names == {index["IndexName"]}


@pytest.mark.parametrize("name", ALARMS)
def test_each_alarm_leads_to_its_section_of_the_runbook(name: str) -> None:
    about = str(ALARMS[name]["AlarmDescription"])
    page, _, section = about.rpartition(" ")[2].partition("#")
    assert Path(page) == RUNBOOK
    assert f"\n## {section}\n" in RUNBOOK.read_text()
    assert ALARMS[name]["AlarmName"] == f"ftq-{section}"
    assert "TreatMissingData" in ALARMS[name]


def test_the_runbook_has_no_alarm_that_is_not_there() -> None:
    sections = re.findall(r"^## ([a-z-]+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert [f"ftq-{each}" for each in sections] == [a["AlarmName"] for a in ALARMS.values()]


# --- CloudWatch's rules about missing data -------------------------------------------------------

# Its own tables: of 3 periods so many have to be bad; the values of five; the states.
# Where too few are there and all are bad, an alarm waits ("premature alarm state").
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
MISSING: Final = ("missing", "ignore", "breaching", "notBreaching")
TABLE: Final = [
    (3, "0 - X - X", "OK OK OK OK"),
    (3, "0 - - - -", "OK OK OK OK"),
    (3, "- - - - -", "INSUFFICIENT_DATA kept ALARM OK"),
    (3, "0 X X - X", "ALARM ALARM ALARM ALARM"),
    (3, "- - X - -", "ALARM kept ALARM OK"),
    (3, "- - - X -", "kept kept ALARM OK"),
    (3, "- - - - X", "kept kept ALARM OK"),
    (2, "0 - X - X", "ALARM ALARM ALARM ALARM"),
    (2, "0 0 X 0 X", "ALARM ALARM ALARM ALARM"),
    (2, "0 - X - -", "OK OK ALARM OK"),
    (2, "- - - - 0", "OK OK ALARM OK"),
    (2, "- - - X -", "ALARM kept ALARM OK"),
]


@pytest.mark.parametrize(("needed", "values", "states"), TABLE, ids=[str(row) for row in TABLE])
def test_missing_data_is_treated_as_cloudwatch_documents(
    needed: int, values: str, states: str
) -> None:
    for treatment, expected in zip(MISSING, states.split(), strict=True):
        befores: tuple[State, State] = ("OK", "ALARM")
        for before in befores:
            state = state_of(numbers(values), lambda v: v > 0, needed, 3, treatment, before)
            assert state == (before if expected == "kept" else expected), treatment


# --- a bad day -----------------------------------------------------------------------------------


# From when to when, in minutes, each alarm has to have gone off, and be quiet again soon after.
# While a breaker is open its messages are hidden: nothing seems to wait, and one alarm is enough.
GOES_OFF: Final[dict[str, list[tuple[int, int]]]] = {
    "QueueAge": [NO_DAEMONS],
    "DeadLetters": [(DEPENDENCY_DOWN[0], outage.OPERATOR[0]), (BAD_TASKS[0], outage.OPERATOR[1])],
    "DeadShare": [BAD_TASKS],
    "BreakerOpen": [DEPENDENCY_DOWN],
    "NoProgress": [NO_DAEMONS],
    "CrashLoop": [CRASHES],
    "DaemonsMissing": [NO_DAEMONS],
    "ApiFaults": [DEPENDENCY_DOWN],
    "ApiThrottled": [DEPENDENCY_DOWN],
    "TableThrottled": [DEPENDENCY_DOWN],
    "TableErrors": [DEPENDENCY_DOWN],
    "SweepFails": [DEPENDENCY_DOWN],
}
# What takes how long to see that all is well again, in minutes.
AFTER: Final = 20


def wrong(name: str, store: Store, late: dict[str, int]) -> bool:
    """Whether an alarm goes off too seldom, too late, too often or for too long."""
    changes = history(ALARMS[name], store, BEGAN + 900, BEGAN + (END - 3) * 60, late)
    found = [((at - BEGAN) // 60, state) for at, state in changes]
    spans = [
        (at, found[n + 1][0] if n + 1 < len(found) else END)
        for n, (at, state) in enumerate(found)
        if state == "ALARM"
    ]
    outages = GOES_OFF[name]
    needless = [
        (first, last)
        for first, last in spans
        if not any(a <= first and last <= b + AFTER for a, b in outages)
    ]
    missed = [(a, b) for a, b in outages if not any(a <= first <= b for first, _ in spans)]
    return bool(needless or missed)


def test_each_alarm_goes_off_in_its_outage_then_clears_and_never_else() -> None:
    store = outage.play()
    late: list[dict[str, int]] = [{"ftq": 60}, {"AWS/SQS": 120}]
    assert [(name, each) for name in ALARMS for each in late if wrong(name, store, each)] == []


def lived(name: str, minutes: dict[str, range], value: float = 50) -> list[State]:
    """The states of an alarm in an hour in which each of its metrics has data in these minutes."""
    store, alarm = Store(), ALARMS[name]
    for which, when in minutes.items():
        asked = of_alarm(alarm)[which]
        for minute in when:
            at = BEGAN + minute * 60
            store.put(asked.namespace, asked.name, asked.dimensions, at, value)
    return [state for _, state in history(alarm, store, BEGAN + 1200, BEGAN + 3600, {})]


@pytest.mark.parametrize(
    ("name", "which"),
    [(name, each) for name in ("TableThrottled", "TableErrors") for each in of_alarm(ALARMS[name])],
)
def test_each_metric_that_an_alarm_adds_up_sets_it_off_alone(name: str, which: str) -> None:
    assert lived(name, {which: range(30, 40)}) == ["OK", "ALARM", "OK"]


@pytest.mark.parametrize("which", sorted({*of_alarm(ALARMS["NoProgress"])} - {"visible"}))
def test_whatever_ends_is_progress(which: str) -> None:
    waiting = range(60)
    assert lived("NoProgress", {"visible": waiting}) == ["ALARM"]
    assert lived("NoProgress", {"visible": waiting, which: waiting}) == ["OK"]


def test_a_sweep_that_is_no_longer_run_is_told_of() -> None:
    assert lived("SweepFails", {"": range(60)}, 0) == ["OK"]
    assert lived("SweepFails", {"": range(30)}, 0) == ["OK", "ALARM"]


def test_a_further_queue_has_alarms_of_its_own_and_no_second_copy_of_the_others() -> None:
    whole = load("alarms")
    alarms = {name: document(each) for name, each in document(whole["Resources"]).items()}
    of_queue = {name for name, each in alarms.items() if "Condition" not in each}
    assert of_queue == {
        name
        for name, alarm in ALARMS.items()
        if any(("QueueName", "tasks") in each.dimensions for each in of_alarm(alarm).values())
    }
    conditions = document(whole["Conditions"])
    assert conditions["Whole"] == {"Fn::Equals": ["all", "all"]}
    others = {str(each["Condition"]) for each in alarms.values() if "Condition" in each}
    assert others == {"Whole", "NeverZero"}
    (first, _) = listed(document(conditions["NeverZero"])["Fn::And"])
    assert first == {"Condition": "Whole"}


def test_the_templates_have_no_other_alarms() -> None:
    assert set(GOES_OFF) == set(ALARMS)
    assert load("alarms")["Parameters"]
