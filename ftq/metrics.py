"""All metrics: what each counts, in which unit, by what, and when it matters.

This table is the rule. The programs say nothing that is not in it, docs/reference/metrics.md is
generated from it, and alarms and dashboard are held against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

NAMESPACE: Final = "ftq"
# Two of CloudWatch's units (MetricDatum) are all that is needed.
Unit: TypeAlias = Literal["Count", "Seconds"]
Program: TypeAlias = Literal["daemon", "api", "sweeper"]
# Counters add up; gauges are said at whole intervals, once by each; timings are distributions.
Kind: TypeAlias = Literal["counter", "gauge", "timing"]

UNKNOWN: Final = "unknown"
"""Stands for all types that the program has no handler of: no message makes a name up."""
OTHER: Final = "other"
"""Stands for all types beyond the first `MOST_TYPES`."""
# Each type costs about ten custom metrics, and CloudWatch bills by them.
MOST_TYPES: Final = 100


def labels(types: Iterable[str]) -> dict[str, str]:
    """Under which name each of these types is counted: its own, or that of all the others."""
    names = sorted(types)
    return {name: name if n < MOST_TYPES else OTHER for n, name in enumerate(names)}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: In CloudWatch, in the namespace `ftq`.
        unit: Its unit.
        kind: How values of it go together.
        said_by: The programs that say it.
        by_type: Whether it is said by type too; always for the whole service.
        prometheus: Its name and labels on the daemon's `/metrics`; '' if it is not there.
        meaning: What it counts.
        matters: When somebody should look at it.
    """

    name: str
    unit: Unit
    kind: Kind
    said_by: tuple[Program, ...]
    by_type: bool
    prometheus: str
    meaning: str
    matters: str

    @property
    def dimensions(self) -> tuple[tuple[str, ...], ...]:
        """The sets of dimensions under which CloudWatch has it."""
        return (("service",), ("service", "type")) if self.by_type else (("service",),)


def _typed(name: str, prometheus: str, meaning: str, matters: str) -> Metric:
    return Metric(name, "Count", "counter", ("daemon",), True, prometheus, meaning, matters)


def _timing(name: str, prometheus: str, meaning: str, matters: str, *, by_type: bool) -> Metric:
    return Metric(name, "Seconds", "timing", ("daemon",), by_type, prometheus, meaning, matters)


def _counter(name: str, prometheus: str, meaning: str, matters: str) -> Metric:
    return Metric(name, "Count", "counter", ("daemon",), False, prometheus, meaning, matters)


def _gauge(name: str, prometheus: str, meaning: str, matters: str) -> Metric:
    return Metric(name, "Count", "gauge", ("daemon",), False, prometheus, meaning, matters)


def _submitted(name: str, meaning: str, matters: str) -> Metric:
    return Metric(name, "Count", "counter", ("api",), True, "", meaning, matters)


def _backlog(name: str, meaning: str, matters: str) -> Metric:
    return Metric(name, "Count", "gauge", ("sweeper",), False, "", meaning, matters)


METRICS: Final[tuple[Metric, ...]] = (
    _typed(
        "TasksClaimed",
        "ftq_claims_total{type}",
        "Claims that were granted: attempts begun",
        "Over `TasksSucceeded` + `TasksDead` it is the attempts that a task takes",
    ),
    _typed(
        "TasksSucceeded",
        "ftq_tasks_total{type,outcome=succeeded}",
        "Tasks that succeeded",
        "None while messages wait is an outage",
    ),
    _typed(
        "TasksRetrying",
        "ftq_tasks_total{type,outcome=retrying}",
        "Attempts that failed and are tried again",
        "Rises before tasks die",
    ),
    _typed(
        "TasksDead",
        "ftq_tasks_total{type,outcome=dead}",
        "Tasks that were given up",
        "Each is work that somebody has to decide on",
    ),
    _typed(
        "TasksReleased",
        "ftq_tasks_total{type,outcome=released}",
        "Claims given back, uncounted: deploys, open breakers",
        "High outside of deploys: claims are made for nothing",
    ),
    _typed(
        "TasksCancelled",
        "ftq_tasks_total{type,outcome=cancelled}",
        "Tasks that were cancelled while they ran",
        "",
    ),
    _typed(
        "TasksCrashed",
        "ftq_crashes_total{type}",
        "Claims whose daemon died, or whose process did",
        "Several in a row: a task or the memory limit kills daemons",
    ),
    _typed(
        "LoopBlocked",
        "ftq_loop_blocked_total{type}",
        "Times that the event loop did not turn for a second",
        "Any: that handler belongs in a thread or process",
    ),
    _timing(
        "HandlerSeconds",
        "ftq_task_seconds{type}",
        "Time in the handler, however the attempt ended",
        "Near the handler's timeout; scaling follows it too",
        by_type=True,
    ),
    _timing(
        "QueueWaitSeconds",
        "ftq_queue_wait_seconds",
        "From when a task could run to its claim",
        "Beyond the latency that was promised: more daemons are due",
        by_type=True,
    ),
    _timing(
        "EndToEndSeconds",
        "ftq_end_to_end_seconds{type}",
        "From a task's submission to its success, delays and retries included",
        "It is what the submitter waits for",
        by_type=True,
    ),
    _counter(
        "ClaimsLost",
        "ftq_claims_lost_total",
        "Claims that went to others while they ran",
        "More than a few: beats come late, or the table is slow",
    ),
    _counter(
        "MessagesRefused",
        "ftq_messages_refused_total{what}",
        "Messages that were not run: second copies, early ones, those of open breakers",
        "Many without an open breaker: visibility timeout too short",
    ),
    Metric(
        "MessagesSwept",
        "Count",
        "counter",
        ("daemon", "sweeper"),
        False,
        "ftq_swept_total",
        "Messages sent again: what was scheduled, and what the queue had lost",
        "Many without schedules: sends fail, or the queue was purged",
    ),
    _counter(
        "BreakerOpenings",
        "ftq_breaker_openings_total{breaker}",
        "Times that a breaker opened",
        "Often: a dependency flaps",
    ),
    _counter(
        "HandlersAbandoned",
        "ftq_handlers_abandoned_total",
        "Handlers that did not end when they were told to",
        "Each holds a thread; past 32 the container is replaced",
    ),
    _counter(
        "Faults",
        "ftq_faults_total{what}",
        "What did not work and was told: receives, writes, sends, reports, listeners",
        "It is the daemon's own error rate",
    ),
    _counter(
        "AwsCalls",
        "ftq_aws_calls_total{service,operation,outcome}",
        "Calls to AWS",
        "Half a call a task when busy; more costs money",
    ),
    _counter(
        "AwsThrottles",
        "ftq_aws_calls_total{outcome=throttled}",
        "Calls that AWS throttled; they are repeated",
        "Steady: the table or the account is at its limit",
    ),
    _counter(
        "AwsErrors",
        "ftq_aws_calls_total{outcome=unavailable,refused}",
        "Calls that failed otherwise",
        "Steady: permissions, network, or AWS",
    ),
    _counter(
        "LogLinesLost",
        "ftq_log_lines_lost_total",
        "Lines of the log that were given up, as standard output did not take them",
        "Any: whoever reads the log is too slow, or gone; audit lines may be among them",
    ),
    _timing(
        "LoopLagSeconds",
        "ftq_loop_lag_seconds",
        "How late the event loop was, measured four times a second",
        "Above 0.1 s: too much Python for one core, or a handler that blocks",
        by_type=False,
    ),
    _gauge("InFlight", "ftq_inflight", "Messages in hand", "At `Slots` all the time: saturated"),
    _gauge("Slots", "ftq_slots", "Messages that may be in hand", ""),
    _gauge(
        "BreakersOpen",
        "ftq_breaker_state{breaker}",
        "Breakers that are not closed; in Prometheus each: 0 closed, 1 half open, 2 open",
        "Longer than a dependency's usual hiccup",
    ),
    _gauge("Daemons", "", "1, by each daemon: the sum says how many run", "Fewer than desired"),
    _submitted("TasksAccepted", "Submissions that were answered 202", "None: submitters are down"),
    _submitted(
        "TasksRefused",
        "Submissions that were refused as they are: 409, 413, 422",
        "A deployment that submits what the handlers do not take",
    ),
    _submitted(
        "TasksNotStored",
        "Submissions that were answered 503: the table did not take them",
        "Any: submitters have to repeat",
    ),
    _backlog("BacklogVisible", "Messages that could be received now, over all queues", ""),
    _backlog(
        "DaemonsReporting",
        "Daemons whose report in the table is fresh and that are not stopping",
        "0 while messages wait",
    ),
    _backlog(
        "BacklogPerDaemon",
        "`BacklogVisible` over `DaemonsReporting`; over 1 if there is none",
        "Above acceptable latency × slots ÷ `HandlerSeconds`: too few; for scaling of one's own",
    ),
)
BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}
