"""Values that are wrong only beside others: said before the first stack is touched.

A template's `Rules` are CloudFormation's way to say so, and are computed here as it does. What the
programs would refuse when they start, their own settings refuse here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from api_lambda.settings import ApiSettings
from deploy.ecs.errors import UsageError
from deploy.ecs.reading import Node, mapping, sequence
from ftq.errors import SettingsError
from ftq.settings import Settings, read
from ftq_daemon.settings import DaemonSettings

Values: TypeAlias = Mapping[str, str]

PROGRAMS: Final[Mapping[tuple[str, str], type[Settings]]] = {
    ("daemon", "Task"): DaemonSettings,
    ("api", "Function"): ApiSettings,
    ("api", "Sweeper"): ApiSettings,
}
"""Which resource of which template starts what."""

COMING: Final = {
    "QueueUrl": "https://sqs/1/queue",
    "DlqUrl": "https://sqs/1/dead-letters",
    "TableName": "table",
}
"""Stand for what stacks will put out that are not made yet."""


def check(part: str, template: Mapping[str, Node], values: Values) -> None:
    """Hold the values of one template against each other.

    Args:
        part: Its name.
        template: All of it.
        values: By parameter, defaults included.

    Raises:
        UsageError: Some do not go together; keys, values and limit are in it.
    """
    for rule in map(mapping, mapping(template.get("Rules", {})).values()):
        if _holds(rule.get("RuleCondition", "true"), values):
            for each in map(mapping, sequence(rule["Assertions"])):
                if not _holds(each["Assert"], values):
                    named = dict.fromkeys(_references(rule))
                    told = ", ".join(f"{name}={values[name]}" for name in named)
                    raise UsageError(f"{told}: {part}.yaml: {each['AssertDescription']}")
    # The only one that is about order, which rules cannot say.
    least, most = values.get("LeastDaemons"), values.get("MostDaemons")
    if least and most and float(least) > float(most):
        raise UsageError(f"LeastDaemons={least}: must be at most MostDaemons={most}")
    for (owner, resource), settings in PROGRAMS.items():
        if owner == part:
            _start(
                part, dict(_environment(mapping(template["Resources"]), resource)), settings, values
            )


def _start(part: str, given: Mapping[str, Node], settings: type[Settings], values: Values) -> None:
    """Read settings as the program does that gets them."""
    parameters = {key: str(node["Ref"]) for key, node in given.items() if isinstance(node, Mapping)}
    known = {**COMING, **values}
    environ = {key: str(node) for key, node in given.items() if isinstance(node, str)}
    environ |= {key: known[name] for key, name in parameters.items()}
    try:
        read(settings, environ)
    except SettingsError as error:
        told = re.sub(r"FTQ_[A-Z_]+", lambda key: parameters.get(key[0], key[0]), str(error))
        raise UsageError(f"{part}.yaml: {told}") from None


def _environment(resources: Mapping[str, Node], name: str) -> Iterator[tuple[str, Node]]:
    """The variables that a function, or the first container of a task, is started with."""
    properties = mapping(mapping(resources[name])["Properties"])
    if "Environment" in properties:
        yield from mapping(mapping(properties["Environment"])["Variables"]).items()
        return
    container = mapping(sequence(properties["ContainerDefinitions"])[0])
    for each in map(mapping, sequence(container["Environment"])):
        yield str(each["Name"]), each["Value"]


def _holds(node: Node, values: Values) -> bool:
    """Whether a condition is true ("Rule-specific intrinsic functions")."""
    match node:
        case {"Fn::Equals": [one, other]}:
            return _value(one, values) == _value(other, values)
        case {"Fn::Not": [one]}:
            return not _holds(one, values)
        case {"Fn::And": [*several]}:
            return all(_holds(each, values) for each in several)
        case {"Fn::Contains": [among, one]}:
            found = _value(among, values)
            return _value(one, values) in (found.split(",") if isinstance(found, str) else found)
        case "true":
            return True
    raise AssertionError(node)  # our own templates


def _value(node: Node, values: Values) -> Node:
    return values[str(node["Ref"])] if isinstance(node, Mapping) else node


def _references(node: Node) -> Iterator[str]:
    """The parameters that a rule is about."""
    match node:
        case {"Ref": str(name)}:
            yield name
        case Mapping():
            for each in node.values():
                yield from _references(each)
        case [*several]:
            for each in several:
                yield from _references(each)
