"""What the table has to be, by its descriptions: pure functions over values."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final, TypeAlias

from ftq.ports import Call
from ftq.wire import create
from ftq.wire.table import INDEX
from ftq_cli.diagnosis.finding import (
    Finding,
    command,
    right,
    unguarded,
    unknown,
    warning,
    wrong,
)

Described: TypeAlias = Mapping[str, object]

EXPIRES: Final = "expires_at"


def table(name: str, described: Described, *, on_aws: bool) -> list[Finding]:
    """What is to be said of a table that is there, by DescribeTable."""
    found = _mapping(described.get("Table"))
    guard = _guard(name, found, on_aws=on_aws)
    return [*_state(found), _keys(name, found), _index(name, found), _billing(name, found), guard]


def _state(table: Described) -> list[Finding]:
    """What is to be said of a table that is described, and cannot be used."""
    what, status = "table's state", str(table.get("TableStatus", "ACTIVE"))
    if status in ("ACTIVE", "UPDATING"):
        return []
    if status == "CREATING":
        return [warning(what, "it is being created: look again when it is there")]
    why = "its KMS key is disabled or gone" if status.startswith("INACCESSIBLE") else status
    return [wrong(what, f"no call will do: {why}")]


def _keys(name: str, table: Described) -> Finding:
    # Stand-ins may leave it out.
    keys, odd = _names(table.get("KeySchema")), _odd(table, "id")
    if keys in ([], ["id"]) and not odd:
        return right("key", "id")
    detail = (
        f"{odd or ', '.join(keys)}: it must be id; make another table, and let FTQ_TABLE name that"
    )
    return wrong("key", detail, command(create.table(f"{name}-ftq")))


def _odd(table: Described, *names: str) -> str:
    """Which of these attributes is of another type than ours, which every write would meet."""
    made, has = (_types(each) for each in (create.table("").request, table))
    odd = (name for name in names if has.get(name, made[name]) != made[name])
    return ", ".join(f"{name} is of type {has[name]}, not {made[name]}" for name in odd)


def _types(table: Described) -> dict[str, str]:
    rows = _rows(table.get("AttributeDefinitions"))
    return {str(each.get("AttributeName")): str(each.get("AttributeType")) for each in rows}


def _index(name: str, table: Described) -> Finding:
    there = [each for each in _rows(table.get("GlobalSecondaryIndexes")) if _is_ours(each)]
    if not there:
        return wrong("index", f"the table has no index {INDEX}", command(_added(name, table)))
    (index,) = there
    projection = _mapping(index.get("Projection"))
    projected = projection.get("NonKeyAttributes")
    missing = set(create.PROJECTED) - set(projected if isinstance(projected, list) else [])
    meanwhile = "made anew, lists and sweeps fail until it is there"
    if projection.get("ProjectionType") != "ALL" and missing:
        lacks = ", ".join(sorted(missing))
        detail = f"{INDEX} does not project {lacks}; {meanwhile}"
        return wrong("index", detail, _anew(name, table))
    if _names(index.get("KeySchema")) != ["bucket", "due_at"]:
        detail = f"{INDEX} must have the keys bucket and due_at; {meanwhile}"
        return wrong("index", detail, _anew(name, table))
    if odd := _odd(table, "bucket", "due_at"):
        return wrong("index", f"{odd}: every write is refused; {meanwhile}", _anew(name, table))
    if index.get("IndexStatus", "ACTIVE") not in ("ACTIVE", "UPDATING"):
        return warning("index", f"{INDEX} is {index.get('IndexStatus')}: look again when it is not")
    return right("index", f"{INDEX}, with what it has to project")


def _added(name: str, table: Described) -> Call:
    """Add the index to the table as it is."""
    made = create.table(name).request
    (index,) = _rows(made["GlobalSecondaryIndexes"])
    if _provisioned(table):
        units = _mapping(table.get("ProvisionedThroughput"))
        bought = {each: units.get(each) for each in ("ReadCapacityUnits", "WriteCapacityUnits")}
        index = {**index, "ProvisionedThroughput": bought}
    return Call(
        "dynamodb",
        "UpdateTable",
        {
            "TableName": name,
            "AttributeDefinitions": made["AttributeDefinitions"],
            "GlobalSecondaryIndexUpdates": [{"Create": index}],
        },
    )


def _anew(name: str, table: Described) -> str:
    """Commands that drop the index, wait until the table can be changed again, and add it."""
    gone: dict[str, object] = {
        "TableName": name,
        "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": INDEX}}],
    }
    ready = shlex.join(["aws", "dynamodb", "wait", "table-exists", "--table-name", name])
    drop, add = Call("dynamodb", "UpdateTable", gone), _added(name, table)
    return f"{command(drop)} && {ready} && {command(add)}"


def _billing(name: str, table: Described) -> Finding:
    if _provisioned(table):
        units = _mapping(table.get("ProvisionedThroughput"))
        reads, writes = units.get("ReadCapacityUnits"), units.get("WriteCapacityUnits")
        detail = f"{reads} reads and {writes} writes a second are provisioned: more are throttled"
        on_demand: dict[str, object] = {"TableName": name, "BillingMode": "PAY_PER_REQUEST"}
        mend = command(Call("dynamodb", "UpdateTable", on_demand))
        return warning("billing", detail, mend)
    if _mapping(table.get("BillingModeSummary")).get("BillingMode") == "PAY_PER_REQUEST":
        return right("billing", "on demand")
    return unknown("billing", "the table does not say")


def _guard(name: str, table: Described, *, on_aws: bool) -> Finding:
    what = "deletion protection"
    if table.get("DeletionProtectionEnabled") is True:
        return right(what, "on")
    if "DeletionProtectionEnabled" not in table:
        return unknown(what, "the table does not say")
    on: dict[str, object] = {"TableName": name, "DeletionProtectionEnabled": True}
    mend = command(Call("dynamodb", "UpdateTable", on))
    return unguarded(what, "off: one call deletes all records", mend, on_aws=on_aws)


def ttl(name: str, described: Described) -> Finding:
    """Whether final records are removed, by DescribeTimeToLive."""
    what, said = "time to live", _mapping(described.get("TimeToLiveDescription"))
    status, attribute = said.get("TimeToLiveStatus"), said.get("AttributeName")
    if status in ("ENABLED", "ENABLING"):
        if attribute == EXPIRES:
            return right(what, f"on, by {EXPIRES}")
        off = {"Enabled": False, "AttributeName": attribute}
        detail = f"by {attribute}, where it must be {EXPIRES}: off first; an hour later ask again"
        return wrong(what, detail, _live(name, off))
    if status == "DISABLING":
        return wrong(what, "it is being switched off: ask again in an hour")
    if status != "DISABLED":
        return unknown(what, "the table does not say")
    detail = "off: final records stay, and are paid for"
    return wrong(what, detail, command(create.ttl(name)))


def _live(name: str, specification: Mapping[str, object]) -> str:
    request: dict[str, object] = {"TableName": name, "TimeToLiveSpecification": specification}
    return command(Call("dynamodb", "UpdateTimeToLive", request))


def backups(name: str, described: Described, *, on_aws: bool) -> Finding:
    """Whether the table can be had as it was a while ago, by DescribeContinuousBackups."""
    what = "point-in-time recovery"
    said = _mapping(described.get("ContinuousBackupsDescription"))
    status = _mapping(said.get("PointInTimeRecoveryDescription")).get("PointInTimeRecoveryStatus")
    if status == "ENABLED":
        return right(what, "on")
    if status != "DISABLED":
        return unknown(what, "the table does not say")
    request: dict[str, object] = {
        "TableName": name,
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    }
    mend = command(Call("dynamodb", "UpdateContinuousBackups", request))
    return unguarded(what, "off: what was overwritten is lost", mend, on_aws=on_aws)


def arn(described: Described) -> str:
    """The table's ARN; '' where a stand-in does not say."""
    return str(_mapping(described.get("Table")).get("TableArn") or "")


def _provisioned(table: Described) -> bool:
    """Whether units were bought; AWS leaves the mode out for a table that always was so."""
    mode = _mapping(table.get("BillingModeSummary")).get("BillingMode")
    return mode == "PROVISIONED" or (
        mode is None and bool(_mapping(table.get("ProvisionedThroughput")).get("ReadCapacityUnits"))
    )


def _is_ours(index: Described) -> bool:
    return index.get("IndexName") == INDEX


def _names(schema: object) -> list[str]:
    # The hash key first, however they are listed.
    rows = sorted(_rows(schema), key=lambda each: str(each.get("KeyType")))
    return [str(each.get("AttributeName")) for each in rows]


def _rows(value: object) -> list[Described]:
    found = value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, Mapping)]


def _mapping(value: object) -> Described:
    return value if isinstance(value, Mapping) else {}
