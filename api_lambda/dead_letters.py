"""GET /dead-letters: what has died, by type and error. For dead tasks the table is the truth."""

from __future__ import annotations

from itertools import islice
from typing import Final

from typing_extensions import TypedDict

from api_lambda.http import Moment, Request, Response, moment
from api_lambda.listing import Filters, merged
from api_lambda.params import read_query, shown
from api_lambda.problems import invalid
from api_lambda.records import read_records
from api_lambda.service import Service
from ftq.deaths import (
    LIMITS,
    WINDOW,
    Death,
    Group,
    Trend,
    death_of,
    group,
    hours_of,
    read_window,
    trend_of,
)
from ftq.lifecycle import State
from ftq.wire.table import KEYS_PER_READ

# Deaths that are read in one request, the latest first.
READ: Final = 2_000
GROUPS: Final = 100
MARGIN_SECONDS: Final = 4.0
# What a shard is asked for at once, as if for a page of this size.
_PAGE: Final = 400


class Hour(TypedDict):
    """Deaths in one hour of the clock (UTC).

    Attributes:
        at: When it began.
        count: How many died.
    """

    at: Moment | None
    count: int


class DeathTrend(TypedDict):
    """Whether deaths become more.

    Attributes:
        last_hour: Deaths in the last 60 minutes.
        per_hour_before: The mean an hour in the window before those.
        ratio: The one by the other; null if there were none before.
    """

    last_hour: int
    per_hour_before: float
    ratio: float | None


_Classed = TypedDict("_Classed", {"class": str})


class DeathGroup(_Classed):
    """Deaths of one type with one error.

    Attributes:
        type: The type of the tasks.
        class: The error's class, or ''.
        fingerprint: Equal for equal causes; POST /redrives takes it as `error`.
        kind: What sort of end the last attempt of the latest had.
        message: The error's message of the latest.
        causes: Why they were given up, and how often.
        count: How many.
        share: Of all deaths, from 0 to 1.
        first_seen: When the first of them died, within the window.
        last_seen: When the last of them died.
        samples: Up to five tasks, the latest first.
        hours: Hours without any are left out.
        trend: Whether they become more.
    """

    type: str
    fingerprint: str
    kind: str
    message: str
    causes: dict[str, int]
    count: int
    share: float
    first_seen: Moment | None
    last_seen: Moment | None
    samples: list[str]
    hours: list[Hour]
    trend: DeathTrend


class DeadLetters(TypedDict):
    """What died within a window.

    Attributes:
        window_seconds: The window's length.
        since: When it begins.
        until: When it ends: now.
        total: Deaths in it that were read.
        truncated: Whether there are more: then all is about the time since `covered_since`.
        covered_since: Since when all deaths were read.
        trend: Whether they become more.
        hours: Hours without any are left out.
        groups: The largest groups.
        more_groups: How many groups were left out.
    """

    window_seconds: int
    since: Moment | None
    until: Moment | None
    total: int
    truncated: bool
    covered_since: Moment | None
    trend: DeathTrend
    hours: list[Hour]
    groups: list[DeathGroup]
    more_groups: int


def dead_letters(service: Service, request: Request) -> Response:
    """The deaths of a window, grouped."""
    params, now = read_query(request, "window"), service.now()
    text = params.get("window")
    window = WINDOW if text is None else read_window(text)
    if window is None:
        raise invalid(("window", f"is {shown(text or '')}: must be {LIMITS}"))
    deaths, covered = _read(service, now - window)
    since = now - window if covered is None else covered
    groups = group(deaths, since, now)
    hours = hours_of(deaths)
    told: DeadLetters = {
        "window_seconds": window // 1000,
        "since": moment(now - window),
        "until": moment(now),
        "total": len(deaths),
        "truncated": covered is not None,
        "covered_since": moment(since),
        "trend": _trend(trend_of(deaths, since, now)),
        "hours": _hours(hours),
        "groups": [_view(each) for each in groups[:GROUPS]],
        "more_groups": max(0, len(groups) - GROUPS),
    }
    return Response(200, told)


def _read(service: Service, since: int) -> tuple[list[Death], int | None]:
    """The deaths since then, the latest first; and since when, if that is not all of them."""
    deaths: dict[str, Death] = {}
    looked, last = 0, since
    line = merged(service, Filters(State.DEAD.value, "", ""), _PAGE, None)
    while rows := [row for _, row in islice(line, KEYS_PER_READ)]:
        recent = list(dict.fromkeys(row.id for row in rows if row.due_at >= since))
        records = read_records(service, recent) if recent else {}
        for each in recent:
            # One that was redriven meanwhile is not dead any more.
            if each in records and records[each].state is State.DEAD:
                deaths[each] = death_of(records[each])
        if rows[-1].due_at < since:
            break
        looked, last = looked + len(rows), rows[-1].due_at
        if looked >= READ or service.seconds_left < MARGIN_SECONDS:
            return _latest_first(deaths), last
    return _latest_first(deaths), None


def _latest_first(deaths: dict[str, Death]) -> list[Death]:
    return sorted(deaths.values(), key=lambda death: (-death.at, death.task_id))


def _view(each: Group) -> DeathGroup:
    return {
        "type": each.latest.type,
        "class": each.latest.class_name,
        "fingerprint": each.latest.fingerprint,
        "kind": each.latest.kind,
        "message": each.latest.message,
        "causes": each.causes,
        "count": each.count,
        "share": round(each.share, 6),
        "first_seen": moment(each.first_seen),
        "last_seen": moment(each.latest.at),
        "samples": [*each.samples],
        "hours": _hours(each.hours),
        "trend": _trend(each.trend),
    }


def _hours(hours: dict[int, int]) -> list[Hour]:
    return [{"at": moment(at), "count": count} for at, count in hours.items()]


def _trend(trend: Trend) -> DeathTrend:
    return {
        "last_hour": trend.last_hour,
        "per_hour_before": round(trend.per_hour_before, 6),
        "ratio": round(trend.ratio, 6) if trend.ratio is not None else None,
    }
