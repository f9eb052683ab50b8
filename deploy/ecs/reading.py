"""YAML as CloudFormation writes it: scalars as they stand, short forms of functions written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, Union

import yaml

Node: TypeAlias = Union[str, Sequence["Node"], Mapping[str, "Node"]]  # noqa: UP007  # it is recursive


class Loader(yaml.BaseLoader):
    """Makes nothing but text, sequences and mappings."""


def _function(loader: yaml.BaseLoader, name: str, node: yaml.Node) -> Node:
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


def whole(path: Path) -> Mapping[str, Node]:
    """A template from its file."""
    return mapping(yaml.load(path.read_text(), Loader))  # noqa: S506  # it makes nothing but text


def mapping(node: Node) -> Mapping[str, Node]:
    """A node that is a mapping."""
    assert isinstance(node, Mapping), node  # noqa: S101  # our own templates
    return node


def sequence(node: Node) -> Sequence[Node]:
    """A node that is a sequence."""
    assert isinstance(node, Sequence), node  # noqa: S101  # as above
    assert not isinstance(node, str), node  # noqa: S101  # as above
    return node
