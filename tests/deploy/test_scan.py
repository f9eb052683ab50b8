"""What scanners are shown, and how their findings are judged. They run by `make scan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.scan.__main__ import judged
from deploy.scan.policies import main, policies
from deploy.scan.skips import SKIPS, Finding
from tests.deploy.watched import TEMPLATES, document, resources

REVIEWED = {Finding(rule, where) for rule, skip in SKIPS.items() for where in skip.where}


def test_what_is_reviewed_and_found_is_right() -> None:
    assert judged(REVIEWED) == []


def test_what_is_found_and_not_reviewed_is_wrong() -> None:
    assert judged({*REVIEWED, Finding("R1", "data.Table")}) == ["R1 at data.Table: not reviewed"]


def test_what_is_reviewed_and_no_longer_found_is_wrong() -> None:
    gone = Finding("CKV_AWS_119", "data.Table")

    assert judged(REVIEWED - {gone}) == ["CKV_AWS_119 at data.Table: no longer found"]


@pytest.mark.parametrize("rule", SKIPS)
def test_each_skip_names_resources_that_exist_and_a_reason(rule: str) -> None:
    where, why = SKIPS[rule]

    assert len(why.split()) >= 8
    for each in where:
        part, _, name = each.partition(".")
        assert f"  {name}:\n" in (TEMPLATES / f"{part}.yaml").read_text()


def test_each_policy_of_the_templates_is_shown_with_nothing_left_to_fill_in(
    tmp_path: Path,
) -> None:
    main(tmp_path)

    shown = [path.read_text() for path in tmp_path.glob("*.json")]
    roles = sum(len(resources(part, "AWS::IAM::Role")) for part in ("api", "daemon"))
    # And the traces' own policy, and those of the queues and of the bucket.
    assert len(shown) == roles + 4
    for text in shown:
        statements = document(json.loads(text))["Statement"]
        assert statements
        assert "Fn::" not in text
        assert '"Ref"' not in text
        assert "${" not in text


def test_a_policy_is_shown_as_aws_would_have_it() -> None:
    shown = {name.rpartition("-")[0]: text for name, text in policies("api")}

    assert "arn:aws:dynamodb:eu-central-1:123456789012:table/ftq/index/by_bucket" in str(
        shown["api-SweeperRole"]
    )
