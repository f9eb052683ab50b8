"""The API's settings."""

from __future__ import annotations

from pydantic import Field

from api_lambda.connect import ApiClient
from ftq.settings import HandlersPath, LogLevel, Queues, QueueUrl, Settings, TableName


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
        log_level: The least level that is logged.
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
    log_level: LogLevel = "INFO"
    api_client: ApiClient = "direct"
