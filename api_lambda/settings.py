"""The API's settings."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from ftq.aws import ApiClient
from ftq.settings import (
    HandlersPath,
    Queues,
    QueueUrl,
    ServiceName,
    Settings,
    TableName,
)

_ORIGIN: Final = re.compile(
    r"https?://([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])"
    r"(:[1-9][0-9]{0,4})?"
)


MOST_PORT: Final = 65_535


def _origins(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = value.replace(",", " ").split()
    for each in found:
        # As browsers write it, since it is compared whole; `*` would be for everybody.
        if not _ORIGIN.fullmatch(each):
            raise ValueError(f"{each!r} is no origin such as https://app.example.com")
        port = re.search(r":(\d+)$", each)
        if port and int(port[1]) > MOST_PORT:
            raise ValueError(f"{each!r} has a port beyond {MOST_PORT}")
        if re.fullmatch(r"http:.*:80|https:.*:443", each):
            raise ValueError(f"{each!r} names the default port, which browsers leave out")
    return tuple(found)


ConsoleMode = Literal["read", "write", "off"]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]


class ApiSettings(Settings):
    """What the API reads from its environment, each as ``FTQ_`` and the name in capitals.

    Attributes:
        queue_url: Where the messages of accepted tasks go.
        queues: More queues, by the names that submissions and handlers say.
        dlq_url: Where their dead letters go, for the statistics; None leaves it out there.
        table: Where their records are kept.
        retention_days: How long a final record is kept.
        sweep_grace_seconds: How overdue an open task must be before the sweeper looks at it.
        sweep_seconds: How often the scheduled sweep runs, for a service that scales to zero.
        handlers: ``module:registry`` to check types and payloads against; None accepts any
            well-formed type.
        cors_origins: Web origins whose pages may ask, besides the API's own; none if left out.
        service: The service's name in metrics, as the daemon has it.
        emf: Whether metrics are said in the log.
        console: Whether `GET /console` shows a page, and whether it offers to cancel and redrive.
            Whoever may call the API's routes may do both without it.
        api_client: Who makes the calls to AWS: `direct` where it can, or always `botocore`.
    """

    queue_url: QueueUrl
    queues: Queues = ()
    dlq_url: QueueUrl | None = None
    table: TableName
    retention_days: int = Field(30, ge=1, le=3650)
    sweep_grace_seconds: int = Field(900, ge=1, le=86_400)
    sweep_seconds: int = Field(60, ge=1, le=3600)
    handlers: HandlersPath | None = None
    cors_origins: Origins = ()
    service: ServiceName = "ftq"
    emf: Literal["on", "off"] = "on"
    console: ConsoleMode = "read"
    api_client: ApiClient = "direct"
