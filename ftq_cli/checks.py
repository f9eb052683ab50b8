"""What `ftq doctor` holds against what it found: the rules, as pure functions over values.

Each check says in one line what is right, or what is wrong and how to mend it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ftq.text import Document, NotJson, parse
from ftq.wire.create import PROJECTED
from ftq.wire.table import INDEX

DAY: Final = 86_400
# Signatures, leases and delays bear this much; AWS itself refuses calls at five minutes.
SKEW_SECONDS: Final = 10.0
# As long as a daemon's sweep may be late: by then somebody has looked at what is overdue.
OVERDUE_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        name: What was looked at.
        ok: Whether it is right; None if nobody can tell from here.
        detail: What was found, and what to do about it.
    """

    name: str
    ok: bool | None
    detail: str

    def to_json(self) -> Document:
        """The finding for scripts."""
        return {"name": self.name, "ok": self.ok, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings say.

    Attributes:
        queue_url: The queue.
        dlq_url: The dead-letter queue, or ''.
        table: The table.
        retention_days: How long a final record is kept.
        visibility_seconds: The daemon's visibility timeout.
        more: Further queues, by name.
    """

    queue_url: str
    dlq_url: str
    table: str
    retention_days: int
    visibility_seconds: int
    more: Mapping[str, str] = field(default_factory=dict)


def skew(there: datetime | None, here: datetime) -> Finding:
    """Whether this machine's clock and the API's agree; the Date header has whole seconds."""
    name = "clock"
    if there is None:
        return Finding(name, None, "the API sends no Date header")
    ahead = (here - there).total_seconds()
    if abs(ahead) <= SKEW_SECONDS:
        return Finding(name, True, f"within {SKEW_SECONDS:.0f} s of the API's")
    side = "ahead of" if ahead > 0 else "behind"
    return Finding(name, False, f"{abs(ahead):.0f} s {side} the API's: synchronize it (NTP)")


def queues(
    wanted: Wanted, queue: Mapping[str, str], dlq: Mapping[str, str] | None
) -> list[Finding]:
    """What is to be said of two queues that are there, by their attributes."""
    found = [_differ(wanted), _dead_lettering(queue, dlq), _visibility(wanted, queue)]
    if dlq is not None:
        found.append(_retention(wanted, queue, dlq))
    return found


def _differ(wanted: Wanted) -> Finding:
    name = "queues differ"
    if not wanted.dlq_url:
        return Finding(name, None, "FTQ_DLQ_URL is not set here")
    if wanted.queue_url == wanted.dlq_url:
        return Finding(
            name, False, "FTQ_DLQ_URL is FTQ_QUEUE_URL: each dead letter would run again"
        )
    return Finding(name, True, "the dead-letter queue is another one")


def _dead_lettering(queue: Mapping[str, str], dlq: Mapping[str, str] | None) -> Finding:
    name = "redrive policy"
    try:
        policy = parse(queue.get("RedrivePolicy", "{}"))
    except NotJson:
        policy = None
    target = policy.get("deadLetterTargetArn") if isinstance(policy, dict) else None
    if not target:
        remedy = "the queue has none: set its RedrivePolicy, the net for what cannot be claimed"
        return Finding(name, False, remedy)
    if dlq is not None and target != dlq.get("QueueArn"):
        return Finding(name, False, f"it leads to {target}, which is not FTQ_DLQ_URL's queue")
    return Finding(name, True, f"leads to {target}")


def _visibility(wanted: Wanted, queue: Mapping[str, str]) -> Finding:
    # The daemon asks for its own with each receive; the queue's is what anyone else gets.
    name, has = "visibility timeout", _number(queue, "VisibilityTimeout")
    asks = wanted.visibility_seconds
    if asks < 8:
        return Finding(name, False, f"FTQ_VISIBILITY_SECONDS={asks}: at least 8 (3 beats and 5 s)")
    if has > asks * 10:
        detail = f"the queue's is {has} s, FTQ_VISIBILITY_SECONDS {asks}: daemons use theirs"
        return Finding(name, None, detail)
    return Finding(name, True, f"daemons ask for {asks} s; the queue's own is {has} s")


def _retention(wanted: Wanted, queue: Mapping[str, str], dlq: Mapping[str, str]) -> Finding:
    name = "retention"
    keeps = _number(queue, "MessageRetentionPeriod") + _number(dlq, "MessageRetentionPeriod")
    needs = keeps / DAY
    if wanted.retention_days * DAY > keeps:
        detail = f"records {wanted.retention_days} days, messages at most {needs:g}"
        return Finding(name, True, detail)
    return Finding(
        name,
        False,
        f"FTQ_RETENTION_DAYS={wanted.retention_days}: must be more than both queues keep a "
        f"message together, {needs:g} days (PROTOCOL R1); else a late copy finds no record",
    )


def _number(attributes: Mapping[str, str], name: str) -> int:
    value = attributes.get(name, "")
    return int(value) if value.isdecimal() else 0


def ttl(description: Mapping[str, object]) -> Finding:
    """Whether final records are removed."""
    found = description.get("TimeToLiveDescription")
    said = found if isinstance(found, Mapping) else {}
    status, attribute = said.get("TimeToLiveStatus"), said.get("AttributeName")
    if status in ("ENABLED", "ENABLING") and attribute == "expires_at":
        return Finding("time to live", True, "on, by expires_at")
    if status in ("ENABLED", "ENABLING"):
        return Finding("time to live", False, f"by {attribute}: it must be expires_at")
    return Finding("time to live", False, "off: switch it on for expires_at, or records stay")


def index(description: Mapping[str, object]) -> Finding:
    """Whether the table has its index, with all that lists and sweeps read from it."""
    table = description.get("Table")
    indexes = table.get("GlobalSecondaryIndexes") if isinstance(table, Mapping) else None
    for each in indexes if isinstance(indexes, list) else ():
        if each.get("IndexName") != INDEX:
            continue
        projection = each.get("Projection") or {}
        missing = set(PROJECTED) - set(projection.get("NonKeyAttributes") or ())
        if projection.get("ProjectionType") != "ALL" and missing:
            lacks = ", ".join(sorted(missing))
            return Finding("index", False, f"{INDEX} does not project {lacks}: make it anew")
        keys = [key.get("AttributeName") for key in each.get("KeySchema") or ()]
        if keys != ["bucket", "due_at"]:
            return Finding("index", False, f"{INDEX} must have the keys bucket and due_at")
        return Finding("index", True, f"{INDEX}, with what it has to project")
    return Finding("index", False, f"the table has no index {INDEX}: add it")


def sweeps(daemons: int | None, overdue: int | None) -> Finding:
    """Whether somebody sends again what the queue lost, and what is due (PROTOCOL R15).

    Args:
        daemons: Daemons that reported a short while ago; None if the API could not say.
        overdue: Open tasks that nobody has looked at for too long; None if nobody counted.
    """
    name = "somebody sweeps"
    if daemons:
        return Finding(name, True, f"{daemons} live daemon{'s' if daemons > 1 else ''}")
    remedy = "run a daemon, or invoke api_lambda.sweeper.handler on a schedule"
    if overdue:
        return Finding(name, False, f"{overdue} overdue tasks that nobody looked at: {remedy}")
    if daemons is None:
        return Finding(name, None, "the API could not say")
    if overdue is None:
        return Finding(name, False, f"no daemon has reported: {remedy}")
    return Finding(
        name, None, f"no daemon has reported, and nothing is overdue; if none runs: {remedy}"
    )
