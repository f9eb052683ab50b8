"""What `GET /dead-letters` says, as values (docs/reference/http.md)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import AwareDatetime, Field

from ftq.client.answers import Answer


class Hour(Answer):
    """How many died in an hour of the clock."""

    at: AwareDatetime
    count: int


class Trend(Answer):
    """Whether they become more.

    Attributes:
        last_hour: Deaths in the last 60 minutes.
        per_hour_before: The mean an hour in the window before those.
        ratio: The one by the other; None if there were none before.
    """

    last_hour: int = 0
    per_hour_before: float = 0
    ratio: float | None = None


class Group(Answer):
    """Deaths of one type, error class and fingerprint.

    Attributes:
        type: The task type.
        class_name: The error's class; ``class`` in JSON.
        fingerprint: What `Client.redrive_all` takes as ``error``.
        kind: What sort of end it was.
        message: That of the latest.
        causes: How many for each cause.
        count: How many in all.
        share: Of all deaths in the window.
        first_seen: When the first one died.
        last_seen: When the last one did.
        samples: Up to five ids, the latest first.
        hours: By hour; those without any are left out.
        trend: Whether they become more.
    """

    type: str
    class_name: str = Field("", alias="class")
    fingerprint: str = ""
    kind: str = ""
    message: str = ""
    causes: Mapping[str, int] = {}
    count: int
    share: float = 0
    first_seen: AwareDatetime | None = None
    last_seen: AwareDatetime | None = None
    samples: tuple[str, ...] = ()
    hours: tuple[Hour, ...] = ()
    trend: Trend = Trend()


class DeadLetters(Answer):
    """What died in a window of time.

    Attributes:
        since: Where the window begins.
        until: Where it ends.
        total: Deaths in it that were read.
        truncated: Whether there are more; all numbers are then about `covered_since` and later.
        covered_since: Since when all deaths were read.
        hours: By hour; those without any are left out.
        trend: Whether they become more.
        groups: The largest groups.
        more_groups: How many groups were left out.
    """

    since: AwareDatetime
    until: AwareDatetime
    total: int
    truncated: bool = False
    covered_since: AwareDatetime | None = None
    hours: tuple[Hour, ...] = ()
    trend: Trend = Trend()
    groups: tuple[Group, ...] = ()
    more_groups: int = 0
