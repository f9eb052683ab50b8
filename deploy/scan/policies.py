"""``make scan``: the policies of the templates as plain IAM documents, a file each.

    python -m deploy.scan.policies build/policies

Tools that know IAM know nothing of CloudFormation: references are replaced by names as AWS makes
them, in an account that is made up.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.ecs.reading import Node, mapping, whole

TEMPLATES: Final = Path(__file__).parents[1] / "ecs"

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


def policies(part: str) -> Iterator[tuple[str, Node]]:
    """All documents of one template that say who may do what, by a name."""
    resources = mapping(whole(TEMPLATES / f"{part}.yaml")["Resources"])
    types = {name: str(mapping(each)["Type"]) for name, each in resources.items()}
    for name, each in resources.items():
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
