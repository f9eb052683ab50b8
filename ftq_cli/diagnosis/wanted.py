"""What the settings say of queues and table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from ftq.settings import Queues, Settings, read

_AWS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


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
        on_aws: Whether they are AWS's own, and not a stand-in's.
    """

    queue_url: str
    dlq_url: str
    table: str
    retention_days: int
    visibility_seconds: int
    more: Mapping[str, str] = field(default_factory=dict)
    on_aws: bool = True


class _Named(Settings):
    queue_url: str = ""
    dlq_url: str = ""
    table: str = ""
    queues: Queues = ()
    retention_days: int = 30
    visibility_seconds: int = 60


def wanted_of(environ: Mapping[str, str]) -> Wanted | None:
    """What the settings name; None unless that is a queue and a table.

    Raises:
        SettingsError: One of them cannot be read.
    """
    named = read(_Named, environ)
    if not (named.queue_url and named.table):
        return None
    return Wanted(
        named.queue_url,
        named.dlq_url,
        named.table,
        named.retention_days,
        named.visibility_seconds,
        {each.name: each.url for each in named.queues if each.url},
        on_aws=(urlsplit(named.queue_url).hostname or "").endswith(_AWS),
    )
