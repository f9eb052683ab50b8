"""What stand-ins leave out: listed, true, and looked for elsewhere. The embedded AWS's share of the
list is held against it where its stacks are: test_stacks.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import partial

import botocore.session
import jmespath  # type: ignore[import-untyped]  # it carries no types
import pytest
from moto import mock_aws

from deploy.ecs.stacks import Stacks
from deploy.ecs.templates import ORDER, read
from tests.deploy.page import PAGE
from tests.deploy.skipped import GAPS, LOOKS, REFUSED, UNKNOWN_TO_MOTO
from tests.deploy.watched import template


@pytest.fixture(scope="module")
def on_moto() -> Iterator[tuple[Stacks, set[str]]]:
    """The stacks that moto takes, and the types of resources that it said it skips."""
    with mock_aws(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        client = partial(botocore.session.get_session().create_client, region_name="us-east-1")
        stacks = Stacks("ftq", client, read(), print)
        network = {
            "subnets": stacks.call("describe_subnets", {}, "ec2"),
            "tables": stacks.call("describe_route_tables", {}, "ec2"),
        }
        stacks.known.said |= {
            "Image": "ftq-daemon", "Handlers": "a:b", "ZipKey": "a.zip", "Release": "1",
            "VpcId": jmespath.search("subnets.Subnets[0].VpcId", network),
            "SubnetIds": jmespath.search("subnets.Subnets[0].SubnetId", network),
            "RouteTableIds": jmespath.search("tables.RouteTables[0].RouteTableId", network),
        }  # fmt: skip
        # What those that it refuses would put out.
        for part in REFUSED["moto"]:
            stacks.known.outputs |= dict.fromkeys(stacks.templates[part].outputs, "x")
        for part in ORDER:
            if part not in REFUSED["moto"]:
                stacks.up(part)
        skipped = set(
            re.findall(r"Tried to parse (\S+) but", "\n".join(str(each.message) for each in said))
        )
        yield stacks, skipped


def test_moto_takes_the_other_templates_and_says_what_it_skips(
    on_moto: tuple[Stacks, set[str]],
) -> None:
    stacks, skipped = on_moto

    assert set(stacks.learn()) == {*ORDER} - REFUSED["moto"].keys()
    assert skipped == UNKNOWN_TO_MOTO


def test_moto_makes_what_they_ask_for_but_what_is_listed(
    on_moto: tuple[Stacks, set[str]],
) -> None:
    stacks, _ = on_moto
    looks = {name: look for name, look in LOOKS.items() if look.part not in REFUSED["moto"]}

    left_out = {name for name, look in looks.items() if not look.made(stacks)}

    assert left_out == {name for name, gap in GAPS.items() if "moto" in gap.by}


@pytest.mark.filterwarnings("ignore:Tried to parse AWS:UserWarning")
@pytest.mark.parametrize("part", REFUSED["moto"])
def test_moto_still_refuses_the_rest(on_moto: tuple[Stacks, set[str]], part: str) -> None:
    stacks, _ = on_moto

    # In this process its own faults are errors of Python's.
    with pytest.raises((AttributeError, TypeError), match=REFUSED["moto"][part]):
        stacks.up(part)


@pytest.mark.parametrize("name", GAPS)
def test_what_a_stand_in_leaves_out_is_written_in_the_template(name: str) -> None:
    assert jmespath.search(GAPS[name].written, template(LOOKS[name].part)) is True


def test_each_template_is_taken_by_one_of_them() -> None:
    assert not REFUSED["ministack"].keys() & REFUSED["moto"].keys()


def test_the_page_lists_the_same() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    listed = {what: {*by.split(", ")} for what, by in rows}

    for name, gap in GAPS.items():
        assert listed[name] == gap.by, name
    for by, parts in REFUSED.items():
        for part in parts:
            assert listed[f"`{part}.yaml`"] == {by}
