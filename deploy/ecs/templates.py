"""The templates, and which values their parameters get.

Nothing here asks AWS. So what is wrong with a value is said before the first stack is touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from deploy.ecs import together
from deploy.ecs.errors import UsageError
from deploy.ecs.reading import Node, mapping, whole

HERE: Final = Path(__file__).parent

ORDER: Final = ("data", "api", "endpoints", "daemon", "scaling", "alarms", "dashboard")
"""Each in a stack of its own, made in this order."""

OPTIONAL: Final = ("endpoints",)
"""Made only when asked for, and changed with the others from then on."""

FLAGS: Final = {
    "Image": "--image",
    "Handlers": "--handlers",
    "VpcId": "--vpc",
    "SubnetIds": "--subnets",
}
"""Parameters that every deployment needs have a flag of their own."""

FRACTIONS: Final = (
    "AcceptableSeconds", "HandlerSeconds", "LogSample", "MostDead", "OldestSeconds",
    "RequestsPerSecond", "TraceSample",
)  # fmt: skip
"""Numbers that need not be whole; CloudFormation itself knows only numbers."""

IDS: Final = {
    "AWS::EC2::VPC::Id": "vpc-[0-9a-z]+",
    "List<AWS::EC2::Subnet::Id>": "subnet-[0-9a-z]+(, ?subnet-[0-9a-z]+)*",
}
"""What such values look like: CloudFormation looks for them when their stack's turn comes."""

Values: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, with its bounds as CloudFormation checks them.

    Attributes:
        template: Whose it is.
        name: What it is called.
        default: Its value if nothing is said; None if something has to be.
        number: Whether its value is a number.
        allowed: All its values, if they are listed.
        pattern: What the whole value has to match; '' if anything will do.
        least: Its least value, as it is written; '' for none.
        most: Its greatest.
    """

    template: str
    name: str
    default: str | None = None
    number: bool = False
    allowed: tuple[str, ...] = ()
    pattern: str = ""
    least: str = ""
    most: str = ""

    @classmethod
    def read(cls, template: str, name: str, node: Node) -> Parameter:
        """Read one as a template has it."""
        said = mapping(node)
        kind = str(said.get("Type", ""))
        allowed = said.get("AllowedValues", ())
        return cls(
            template,
            name,
            str(said["Default"]) if "Default" in said else None,
            kind == "Number",
            tuple(map(str, allowed)),
            str(said.get("AllowedPattern", IDS.get(kind, ""))),
            str(said.get("MinValue", "")),
            str(said.get("MaxValue", "")),
        )

    def check(self, value: str) -> None:
        """Hold a value against the bounds.

        Raises:
            UsageError: It is outside; key, value and limit are in it.
        """
        if limit := self._broken(value):
            raise UsageError(f"{self.name}={value}: {self.template}.yaml takes {limit}")

    def _broken(self, value: str) -> str:
        """The limit that a value breaks; '' if none."""
        if self.allowed and value not in self.allowed:
            return f"one of {', '.join(self.allowed)}"
        if self.pattern and not re.fullmatch(self.pattern, value):
            return f"what matches {self.pattern}"
        if self.number:
            if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
                return "a number"
            if "." in value and self.name not in FRACTIONS:
                return "a whole number"
            if self.least and float(value) < float(self.least):
                return f"at least {self.least}"
            if self.most and float(value) > float(self.most):
                return f"at most {self.most}"
        return ""


@dataclass(frozen=True, slots=True)
class Template:
    """One template: its text, all that is in it, its parameters, and the names of its outputs."""

    text: str
    whole: Mapping[str, Node]
    parameters: Mapping[str, Parameter]
    outputs: Set[str]

    @classmethod
    def read(cls, path: Path) -> Template:
        """Read one from its file."""
        all_of_it = whole(path)
        parameters = mapping(all_of_it.get("Parameters", {}))
        return cls(
            path.read_text(),
            all_of_it,
            {name: Parameter.read(path.stem, name, each) for name, each in parameters.items()},
            frozenset(mapping(all_of_it.get("Outputs", {}))),
        )

    @property
    def defaults(self) -> Values:
        """The values of the parameters that nobody gives one."""
        every = self.parameters.values()
        return {each.name: each.default for each in every if each.default is not None}


def read(directory: Path = HERE) -> Mapping[str, Template]:
    """All templates, by name."""
    return {path.stem: Template.read(path) for path in sorted(directory.glob("*.yaml"))}


@dataclass(frozen=True, slots=True)
class Given:
    """What the parameters of one template get.

    Attributes:
        values: By name; what is left out has the template's default.
        kept: Those of `values` that the stack has already, and nobody said anew.
    """

    values: Values
    kept: Set[str] = frozenset()

    @property
    def request(self) -> list[dict[str, str | bool]]:
        """As CreateStack and UpdateStack take them."""
        return [
            {"ParameterKey": name, "UsePreviousValue": True}
            if name in self.kept
            else {"ParameterKey": name, "ParameterValue": value}
            for name, value in self.values.items()
        ]


@dataclass(slots=True)
class Known:
    """All that is known of values, by who said it.

    Attributes:
        said: By the user, or read from the zip.
        outputs: By stacks.
        standing: Of each template's stack, what it was made or changed with.
        unset: What is to have the template's default again.
    """

    said: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    standing: dict[str, Values] = field(default_factory=dict)
    unset: Set[str] = frozenset()

    def given(self, part: str, template: Template) -> Given:
        """Choose the value of each parameter.

        What was said, else what stacks put out, else what the stack has already, else what another
        one has under that name (the same thing has one name in all templates).
        """
        own = self.standing.get(part, {})
        others = [self.standing[each] for each in ORDER if each in self.standing]
        values: dict[str, str] = {}
        kept = set()
        for name in template.parameters:
            if name in self.said or name in self.outputs:
                values[name] = self.said.get(name, self.outputs.get(name, ""))
            elif name in self.unset:
                continue
            elif name in own:
                values[name] = own[name]
                kept.add(name)
            elif found := [each[name] for each in others if name in each]:
                values[name] = found[0]
        return Given(values, frozenset(kept))


def check(known: Known, parts: Iterable[str], templates: Mapping[str, Template]) -> None:
    """Hold what was said against the templates that will be used, before any of them is.

    Raises:
        UsageError: A parameter is unknown, outside its bounds or missing, or wrong beside others.
    """
    used = {part: templates[part] for part in parts}
    every = {name for each in templates.values() for name in each.parameters}
    for name in (*known.said, *known.unset):
        if name not in every:
            raise UsageError(f"{_named(name, known)}: no template has a parameter {name}")
    coming: set[str] = set()
    for part, template in used.items():
        given = known.given(part, template).values
        missing = [
            name
            for name, parameter in template.parameters.items()
            if parameter.default is None and name not in given and name not in coming
        ]
        if missing:
            wanted = ", ".join(FLAGS.get(name, f"--set {name}=...") for name in missing)
            raise UsageError(f"{part}.yaml needs more than it was given: {wanted}")
        for name in known.said.keys() & template.parameters.keys():
            template.parameters[name].check(known.said[name])
        together.check(part, template.whole, {**template.defaults, **given})
        coming |= template.outputs


def _named(name: str, known: Known) -> str:
    return f"{name}={known.said[name]}" if name in known.said else name
