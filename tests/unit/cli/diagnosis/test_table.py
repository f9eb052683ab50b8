"""The table as it should be, and as people make it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ftq.wire import create
from ftq_cli.diagnosis import table
from ftq_cli.diagnosis.finding import Finding, Level
from tests.unit.cli.diagnosis.awscli import calls

UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 7}


def described(index: Mapping[str, object] | None = None, **changed: object) -> dict[str, object]:
    """DescribeTable of the table that we make, but for this."""
    request = create.table("tasks").request
    indexes = request["GlobalSecondaryIndexes"]
    assert isinstance(indexes, list)
    about = {
        "KeySchema": request["KeySchema"],
        "GlobalSecondaryIndexes": [{**indexes[0], **(index or {})}],
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "DeletionProtectionEnabled": True,
    }
    return {"Table": {**about, **changed}}


def types(**changed: str) -> dict[str, object]:
    """The same, but for the types of some attributes."""
    made = create.table("tasks").request["AttributeDefinitions"]
    assert isinstance(made, list)
    given = [
        {**each, "AttributeType": changed.get(each["AttributeName"], each["AttributeType"])}
        for each in made
    ]
    return described(AttributeDefinitions=given)


def faults(found: dict[str, object], *, on_aws: bool = True) -> list[Finding]:
    findings = table.table("tasks", found, on_aws=on_aws)
    return [each for each in findings if each.level is not Level.RIGHT]


def test_the_table_that_we_create_is_right() -> None:
    assert faults(described()) == []
    assert faults(described({"Projection": {"ProjectionType": "ALL"}})) == []
    assert faults(types()) == faults(described(TableStatus="UPDATING")) == []


@pytest.mark.parametrize(
    ("found", "name", "level", "says", "operations"),
    [
        (
            described({"IndexName": "other"}),
            "index",
            "wrong",
            "no index by_bucket",
            ["UpdateTable"],
        ),
        (
            described({"Projection": {"ProjectionType": "KEYS_ONLY"}}),
            "index",
            "wrong",
            "does not project created_at, queue",
            ["UpdateTable", "UpdateTable"],
        ),
        (
            described({"KeySchema": [{"AttributeName": "bucket", "KeyType": "HASH"}]}),
            "index",
            "wrong",
            "must have the keys",
            ["UpdateTable", "UpdateTable"],
        ),
        (described({"IndexStatus": "CREATING"}), "index", "warning", "is CREATING", []),
        (
            described(KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}]),
            "key",
            "wrong",
            "it must be id",
            ["CreateTable"],
        ),
        (
            described(BillingModeSummary=None, ProvisionedThroughput=UNITS),
            "billing",
            "warning",
            "5 reads and 7 writes",
            ["UpdateTable"],
        ),
        (
            described(DeletionProtectionEnabled=False),
            "deletion protection",
            "wrong",
            "off",
            ["UpdateTable"],
        ),
        (described(BillingModeSummary=None), "billing", "unknown", "does not say", []),
        (types(id="B"), "key", "wrong", "id is of type B, not S", ["CreateTable"]),
        (
            types(due_at="S"),
            "index",
            "wrong",
            "due_at is of type S, not N",
            ["UpdateTable", "UpdateTable"],
        ),
        (described(TableStatus="CREATING"), "table's state", "warning", "being created", []),
        (described(TableStatus="DELETING"), "table's state", "wrong", "DELETING", []),
        (
            described(TableStatus="INACCESSIBLE_ENCRYPTION_CREDENTIALS"),
            "table's state",
            "wrong",
            "KMS key",
            [],
        ),
    ],
)
def test_a_fault_of_the_table_is_found_with_commands_that_aws_takes(
    found: dict[str, object], name: str, level: str, says: str, operations: list[str]
) -> None:
    (finding,) = faults(found)
    assert (finding.name, finding.level) == (name, level)
    assert says in finding.detail
    made = calls(finding.mend) if finding.mend else []
    assert [each.operation for each in made] == operations


def test_an_index_added_to_a_table_of_bought_units_has_as_many() -> None:
    provisioned = {"BillingMode": "PROVISIONED"}
    found = described(
        {"IndexName": "x"}, BillingModeSummary=provisioned, ProvisionedThroughput=UNITS
    )
    finding = next(each for each in faults(found) if each.name == "index")
    assert '"ProvisionedThroughput":{"ReadCapacityUnits":5,"WriteCapacityUnits":7}' in finding.mend


def test_deletion_protection_is_no_fault_of_a_stand_in_nor_is_its_silence() -> None:
    (off,) = faults(described(DeletionProtectionEnabled=False), on_aws=False)
    assert off.level is Level.WARNING
    silent = described()
    about = silent["Table"]
    assert isinstance(about, dict)
    del about["DeletionProtectionEnabled"]
    (untold,) = faults(silent)
    assert untold.level is Level.UNKNOWN


@pytest.mark.parametrize(
    ("status", "attribute", "level", "mended"),
    [
        ("ENABLED", "expires_at", "right", None),
        ("ENABLING", "expires_at", "right", None),
        ("ENABLED", "ttl", "wrong", False),
        ("DISABLED", None, "wrong", True),
        ("DISABLING", "expires_at", "wrong", None),
        (None, None, "unknown", None),
    ],
)
def test_the_time_to_live_is_told_and_switched_on_for_the_right_attribute(
    status: str | None, attribute: str | None, level: str, mended: bool | None
) -> None:
    said = {"TimeToLiveStatus": status, "AttributeName": attribute}
    finding = table.ttl("tasks", {"TimeToLiveDescription": said})
    assert finding.level == level
    for call in calls(finding.mend) if finding.mend else []:
        to = {"Enabled": mended, "AttributeName": attribute or "expires_at"}
        assert call.request["TimeToLiveSpecification"] == to


@pytest.mark.parametrize(
    ("status", "on_aws", "level"),
    [
        ("ENABLED", True, "right"),
        ("DISABLED", True, "wrong"),
        ("DISABLED", False, "warning"),
        ("", True, "unknown"),
    ],
)
def test_point_in_time_recovery_is_told(status: str, on_aws: bool, level: str) -> None:
    about = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": status}}
    said = {"ContinuousBackupsDescription": about}
    finding = table.backups("tasks", said, on_aws=on_aws)
    assert finding.level == level
    if level == "wrong":
        (mend,) = calls(finding.mend)
        assert mend.operation == "UpdateContinuousBackups"
