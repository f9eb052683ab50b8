"""``make scan``: the policies of the templates as plain IAM documents, a file each.

    python deploy/scan/policies.py build/policies

Tools that know IAM know nothing of CloudFormation: references are replaced by names as AWS makes
them, in an account that is made up.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias, Union

import yaml

TEMPLATES: Final = Path(__file__).parents[1] / "ecs"
Node: TypeAlias = Union[str, Sequence["Node"], Mapping[str, "Node"]]  # noqa: UP007  # it is recursive

PLACE: Final = "eu-central-1:123456789012"
KNOWN: Final = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "DlqArn": f"arn:aws:sqs:{PLACE}:ftq-dlq",
    "Http": "abcdef1234",
    "Name": "ftq",
    "QueueArn": f"arn:aws:sqs:{PLACE}:ftq",
    "TableArn": f"arn:aws:dynamodb:{PLACE}:table/ftq",
}
"""What parameters are given, and what `Ref` of a resource says where a policy has one."""

ARNS: Final = {
    "AWS::Logs::LogGroup": f"arn:aws:logs:{PLACE}:log-group:ftq:*",
    "AWS::S3::Bucket": "arn:aws:s3:::ftq-artifacts",
    "AWS::SQS::Queue": f"arn:aws:sqs:{PLACE}:ftq",
}
"""`Arn` of each type of resource that a policy names."""


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, written out."""


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> Node:
    value: Node
    if isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.ScalarNode), name  # noqa: S101  # our own templates
        value = str(loader.construct_scalar(node))
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".")
    return {name if name == "Ref" else f"Fn::{name}": value}


Loader.add_multi_constructor("!", _function)


def policies(part: str) -> Iterator[tuple[str, Node]]:
    """All documents of one template that say who may do what, by a name."""
    whole = yaml.load((TEMPLATES / f"{part}.yaml").read_text(), Loader)  # noqa: S506  # a safe one
    types = {name: each["Type"] for name, each in whole["Resources"].items()}
    for name, each in whole["Resources"].items():
        for document in _documents(each):
            yield f"{part}-{name}-{len(str(document))}", _plain(document, types)


def _documents(node: Node) -> Iterator[Node]:
    if isinstance(node, Mapping):
        if "PolicyDocument" in node:
            yield node["PolicyDocument"]
        for each in node.values():
            yield from _documents(each)
    elif not isinstance(node, str) and isinstance(node, Sequence):
        for each in node:
            yield from _documents(each)


def _plain(node: Node, types: Mapping[str, str]) -> Node:
    """A node with its references replaced.

    Raises:
        KeyError: It refers to something that nobody has given a name here.
    """
    match node:
        case {"Ref": str(name)}:
            return KNOWN[name]
        case {"Fn::GetAtt": [str(name), "Arn"]}:
            return ARNS[types[name]]
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([\w:.]+)\}", lambda found: _named(found[1], types), text)
        case Mapping():
            return {key: _plain(each, types) for key, each in node.items()}
        case list():
            return [_plain(each, types) for each in node]
    return node


def _named(name: str, types: Mapping[str, str]) -> str:
    resource, _, attribute = name.partition(".")
    return ARNS[types[resource]] if attribute == "Arn" else KNOWN[name]


def main(directory: Path) -> None:
    """Write them all into a directory, which holds nothing else afterwards."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.json"):
        old.unlink()
    for path in sorted(TEMPLATES.glob("*.yaml")):
        for name, document in policies(path.stem):
            (directory / f"{name}.json").write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
