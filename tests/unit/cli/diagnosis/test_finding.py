"""A finding shows no secret, whatever is quoted in it."""

from __future__ import annotations

import pytest

from ftq.ports import Call
from ftq_cli.diagnosis.finding import Finding, command, right, unguarded, unknown, warning, wrong


@pytest.mark.parametrize(
    "finding",
    [
        right("a", "https://u:hunter2@h/q is there"),
        wrong("a", "refused: token=hunter2", "aws --password hunter2"),
        warning("a", "Bearer hunter2hunter2"),
        unknown("a", "cannot be asked: secret: hunter2"),
        unguarded("a", "pin=hunter2", "", on_aws=False),
        wrong("a", "b", command(Call("sqs", "TagQueue", {"Tags": {"apiKey": "hunter2"}}))),
    ],
)
def test_what_is_quoted_in_a_finding_is_redacted(finding: Finding) -> None:
    said = str(finding.to_json())
    assert "[redacted]" in said
    assert "hunter2" not in f"{said}{finding}"
