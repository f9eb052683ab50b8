"""ftq's own daemon, as it is shipped."""

from __future__ import annotations

from typing import Final

from benchmarks.side import Side

_TOLD: Final = {
    "FTQ_HANDLERS": "benchmarks.handlers:registry",
    "FTQ_HEALTH_PORT": "0",
    "FTQ_HEALTH_HOST": "127.0.0.1",
}
SIDE: Final = Side(
    name="ftq",
    says="python -m ftq_daemon, its defaults",
    command=("-m", "ftq_daemon"),
    environment=_TOLD,
)
QUIET: Final = Side(
    name="ftq-quiet",
    says="the same with FTQ_LOG_LEVEL=WARNING",
    command=("-m", "ftq_daemon"),
    environment=_TOLD | {"FTQ_LOG_LEVEL": "WARNING"},
)
AIOBOTOCORE: Final = Side(
    name="ftq-aiobotocore",
    says="the same with FTQ_AWS_CLIENT=aiobotocore",
    command=("-m", "ftq_daemon"),
    environment=_TOLD | {"FTQ_AWS_CLIENT": "aiobotocore"},
)
