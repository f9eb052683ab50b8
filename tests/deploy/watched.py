"""What alarms, policies and the dashboard of the templates watch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from cfnlint.decode import decode  # type: ignore[import-untyped]  # it carries no types

from ftq.text import Json, parse

TEMPLATES: Final = Path("deploy/ecs")
Document: TypeAlias = Mapping[str, Json]
# What the templates are given, where nothing else is said.
GIVEN: Final = {
    "Name": "ftq",
    "MetricsService": "shop",
    "QueueName": "tasks",
    "DlqName": "dead",
    "TableName": "table",
    "ApiId": "api",
    "FunctionName": "function",
    "SweeperName": "sweeper",
    "ClusterName": "cluster",
    "ServiceName": "service",
    "AWS::Region": "eu-central-1",
    "Runbook": "docs/how-to/alarms.md",
}


@dataclass(frozen=True, slots=True)
class Watched:
    """A metric, as one statistic of it is asked for."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key for key, _ in self.dimensions)


def document(value: Json) -> dict[str, Json]:
    assert isinstance(value, dict), value
    return value


def listed(value: Json) -> list[Json]:
    assert isinstance(value, list), value
    return value


def template(part: str) -> dict[str, Json]:
    """A template as it stands, its short forms written out."""
    found, problems = decode(str(TEMPLATES / f"{part}.yaml"))
    assert not problems
    return document(parse(json.dumps(found)))


def load(part: str, known: Mapping[str, str] = GIVEN) -> dict[str, Json]:
    """A template with its parameters put in; conditions stand as they are."""
    whole = template(part)
    given: dict[str, Json] = {**known}
    for name, parameter in document(whole["Parameters"]).items():
        if "Default" in (said := document(parameter)):
            given.setdefault(name, said["Default"])
    return document(_put_in(whole, given))


def _put_in(value: Json, given: Mapping[str, Json]) -> Json:
    if isinstance(value, list):
        return [_put_in(each, given) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return given.get(str(value["Ref"]), str(value["Ref"]))
    if set(value) == {"Fn::Sub"} and isinstance(value["Fn::Sub"], str):
        text = value["Fn::Sub"]
        for name, said in given.items():
            text = text.replace(f"${{{name}}}", str(said))
        return text
    return {key: _put_in(each, given) for key, each in value.items()}


def resources(part: str, kind: str, known: Mapping[str, str] = GIVEN) -> dict[str, dict[str, Json]]:
    """The properties of all resources of a kind."""
    every = {
        name: document(each) for name, each in document(load(part, known)["Resources"]).items()
    }
    return {
        name: document(each["Properties"]) for name, each in every.items() if each["Type"] == kind
    }


def queries(metrics: Json) -> Iterator[tuple[str, Watched]]:
    """What a list of MetricDataQuery asks for, by its ids."""
    for each in map(document, listed(metrics)):
        if "MetricStat" in each:
            asked = document(each["MetricStat"])
            yield str(each["Id"]), _of(document(asked["Metric"]), str(asked["Stat"]))


def of_alarm(alarm: Document) -> dict[str, Watched]:
    """What an alarm watches, by the ids of its expression; one without has the id ''."""
    if "Metrics" in alarm:
        return dict(queries(alarm["Metrics"]))
    return {"": _of(alarm, str(alarm["Statistic"]))}


def of_dashboard(body: str) -> list[Watched]:
    """What a dashboard shows."""
    found = []
    for widget in listed(document(parse(body))["widgets"]):
        for line in listed(document(document(widget)["properties"])["metrics"]):
            *where, options = listed(line)
            namespace, name, *rest = map(str, where)
            pairs = tuple(zip(rest[::2], rest[1::2], strict=True))
            found.append(Watched(namespace, name, pairs, str(document(options)["stat"])))
    return found


def _of(metric: Document, statistic: str) -> Watched:
    dimensions = map(document, listed(metric["Dimensions"]))
    pairs = tuple((str(each["Name"]), str(each["Value"])) for each in dimensions)
    return Watched(str(metric["Namespace"]), str(metric["MetricName"]), pairs, statistic)
