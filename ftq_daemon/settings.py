"""The daemon's settings: FTQ_* in the environment."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from ftq.limits import SQS_VISIBILITY_SECONDS, SQS_WAIT_SECONDS
from ftq.settings import (
    HandlersPath,
    Queues,
    QueueUrl,
    ServiceName,
    Settings,
    TableName,
)
from ftq_daemon.tracing.port import TRACES_SECONDS, Tracing

# What stopping takes beside the drain budget: handlers that are slow to end after they were
# cancelled, and the flush of the last writes.
# What a receive may take beyond its long poll, before it is given up.
RECEIVE_SECONDS: Final = 10
GRACE_SECONDS: Final = 5
FLUSH_SECONDS: Final = 10


def _cores() -> int:
    # What this process may use, where the system says; a container may have less than its host.
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class DaemonSettings(Settings):
    """What the daemon needs to know; each field is FTQ_ and its name in capitals.

    Attributes:
        queue_url: The queue that it works on.
        queues: More queues by name, with their weights: ``urgent=URL*8 default*4 bulk=URL``.
        queue_order: Whether queues share by weight, or an earlier one goes first.
        dlq_url: Where dead letters go.
        table: Where records are kept.
        handlers: ``module:registry``: what it runs.
        concurrency: How many handlers run at once, in each process.
        concurrency_min: Set: slots follow what handlers take, between this and the setting above.
        visibility_seconds: How long a claim holds unrenewed, and its message is hidden.
        wait_seconds: How long a receive waits.
        drain_seconds: How long a stop waits for handlers before it cancels them.
        stop_timeout_seconds: When whoever stops it kills it: all phases of a stop have to fit.
        health_host: Where its own HTTP listens.
        health_port: At which port; 0 takes any.
        retention_days: How long a final record is kept.
        sweep_seconds: How often it looks for what the queue lost, and for what is due.
        sweep_grace_seconds: How overdue an open task must be before the sweeper looks at it.
        crash_limit: How many crashes quarantine a task.
        processes: How many processes share the work; one per core of the container.
        pool_processes: Processes for handlers with ``run_in="process"``.
        suspect_processes: Processes for suspects, at once.
        aws_client: Who makes the few calls that each task needs; all else is aiobotocore's.
        service: The service's name in metrics and traces.
        log_payloads: Whether payloads are in the lines of their claims, redacted.
        emf: Whether metrics are said in the log, for CloudWatch.
        tracing: Whether attempts are traced, and to whom.
        trace_sample: The share of tasks that is traced where the request brought no decision along.
    """

    queue_url: QueueUrl
    queues: Queues = ()
    queue_order: Literal["weighted", "strict"] = "weighted"
    dlq_url: QueueUrl
    table: TableName
    handlers: HandlersPath
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 64
    # Set: slots follow what handlers take, between this and `concurrency`.
    concurrency_min: Annotated[int, Field(ge=1, le=1000)] | None = None
    # At least 3 beats of a second and 5 s of slack (PROTOCOL R13).
    visibility_seconds: Annotated[int, Field(ge=8, le=SQS_VISIBILITY_SECONDS)] = 60
    wait_seconds: Annotated[int, Field(ge=0, le=SQS_WAIT_SECONDS)] = SQS_WAIT_SECONDS
    drain_seconds: Annotated[int, Field(ge=0, le=3600)] = 30
    # ECS allows 120 s on Fargate (task definition reference, stopTimeout); EC2 allows more.
    stop_timeout_seconds: Annotated[int, Field(ge=2, le=7200)] = 120
    health_host: str = "0.0.0.0"  # noqa: S104  # a container is probed from outside it
    health_port: Annotated[int, Field(ge=0, le=65535)] = 8081
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 30
    sweep_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    sweep_grace_seconds: Annotated[int, Field(ge=1, le=86_400)] = 900
    crash_limit: Annotated[int, Field(ge=2, le=100)] = 3
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    # Processes for handlers with run_in="process".
    pool_processes: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=_cores)
    # Processes for suspects, at once: each needs its memory, so they are few; each waits mostly for
    # others, so they are more than the cores.
    suspect_processes: Annotated[int, Field(ge=1, le=256)] = 8
    # Who makes the few calls of each task: the hot lane, or aiobotocore, which makes all others.
    aws_client: Literal["hot", "aiobotocore"] = "hot"
    # The service's name in metrics: what tells two of them in one account apart.
    service: ServiceName = "ftq"
    # Payloads are in the lines of their claims, redacted; else nowhere.
    log_payloads: Literal["on", "off"] = "off"
    # Metrics as lines of the log, for CloudWatch.
    emf: Literal["on", "off"] = "on"
    tracing: Tracing = "off"
    # The share of tasks that are traced where the request brought no decision along.
    trace_sample: Annotated[float, Field(ge=0, le=1)] = 0.05

    @model_validator(mode="after")
    def _queues_differ(self) -> DaemonSettings:
        if self.queue_url == self.dlq_url:
            # Each dead letter would be taken for an operator's redrive, and run again.
            raise ValueError(
                f"FTQ_DLQ_URL={self.dlq_url!r}: must be another queue than FTQ_QUEUE_URL"
            )
        return self

    @model_validator(mode="after")
    def _named_queues_differ(self) -> DaemonSettings:
        for named in self.queues:
            if named.url in (self.queue_url, self.dlq_url):
                raise ValueError(
                    f"FTQ_QUEUES: {named.name}={named.url!r}: must be another queue than "
                    f"FTQ_QUEUE_URL and FTQ_DLQ_URL"
                )
        return self

    @model_validator(mode="after")
    def _bounds_in_order(self) -> DaemonSettings:
        if self.concurrency_min is not None and self.concurrency_min > self.concurrency:
            raise ValueError(
                f"FTQ_CONCURRENCY_MIN={self.concurrency_min}: must be at most "
                f"FTQ_CONCURRENCY={self.concurrency}"
            )
        return self

    @model_validator(mode="after")
    def _phases_fit(self) -> DaemonSettings:
        # The receive under way is awaited beside the drain, whichever takes longer.
        receive = self.wait_seconds + RECEIVE_SECONDS
        traces = TRACES_SECONDS if self.tracing == "otlp" else 0
        needed = max(self.drain_seconds, receive) + GRACE_SECONDS + FLUSH_SECONDS + traces
        if needed > self.stop_timeout_seconds:
            raise ValueError(
                f"FTQ_STOP_TIMEOUT_SECONDS={self.stop_timeout_seconds}: stopping may take "
                f"{needed} s (the longer of FTQ_DRAIN_SECONDS={self.drain_seconds} and "
                f"FTQ_WAIT_SECONDS={self.wait_seconds} + {RECEIVE_SECONDS}, "
                f"then {GRACE_SECONDS} + {FLUSH_SECONDS + traces}); "
                f"it must be at least that"
            )
        return self
