"""CloudWatch's embedded metric format: metrics as lines of a log.

As https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
says, and for distributions as AWS's own exporter writes them (docs/adr/0027-emf.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ftq.metrics import BY_NAME, NAMESPACE
from ftq.text import Json, dump

# The specification's limits.
MOST_METRICS: Final = 100
MOST_VALUES: Final = 100
# CloudWatch Logs takes far longer lines. But several processes share one standard output, and a
# write to a pipe is whole only up to PIPE_BUF, 4,096 on Linux (pipe(7)).
MOST_BYTES: Final = 4_000
_HEAD_BYTES: Final = 900


@dataclass(frozen=True, slots=True)
class Distribution:
    """Many observations as few values, each with its count.

    Attributes:
        values: At most `MOST_VALUES`.
        counts: How often each occurred.
        low: The least observation.
        high: The greatest.
    """

    values: Sequence[float]
    counts: Sequence[int]
    low: float
    high: float


Value: TypeAlias = int | float | Distribution


def documents(
    service: str, at: int, values: Mapping[str, Value], type_: str = ""
) -> list[dict[str, Json]]:
    """The documents that say these values: each is one line, short enough for a pipe.

    Args:
        service: The service's name.
        at: The moment that they are of, in milliseconds.
        values: By the names of metrics.
        type_: The type of task that they are of; '' for metrics of the whole service.

    Raises:
        KeyError: There is no metric of that name.
    """
    lines: list[dict[str, Json]] = []
    part: dict[str, Json] = {}
    size = 0
    for name, value in values.items():
        written = _target(value)
        length = len(dump(written)) + 2 * len(name) + 40
        if part and (size + length > MOST_BYTES - _HEAD_BYTES or len(part) == MOST_METRICS):
            lines.append(_document(service, at, part, type_))
            part, size = {}, 0
        part[name] = written
        size += length
    if part:
        lines.append(_document(service, at, part, type_))
    return lines


def _document(service: str, at: int, values: Mapping[str, Json], type_: str) -> dict[str, Json]:
    dimensions: list[Json] = [["service"], ["service", "type"]] if type_ else [["service"]]
    metrics: list[Json] = [{"Name": name, "Unit": BY_NAME[name].unit} for name in values]
    directive: dict[str, Json] = {
        "Namespace": NAMESPACE,
        "Dimensions": dimensions,
        "Metrics": metrics,
    }
    about: dict[str, Json] = {"Timestamp": at, "CloudWatchMetrics": [directive]}
    of_type: dict[str, Json] = {"type": type_} if type_ else {}
    return {"_aws": about, "service": service, **of_type, **values}


def _target(value: Value) -> Json:
    if not isinstance(value, Distribution):
        return value
    sum_ = sum(value * count for value, count in zip(value.values, value.counts, strict=True))
    return {
        "Values": [*value.values],
        "Counts": [*value.counts],
        "Min": value.low,
        "Max": value.high,
        "Count": sum(value.counts),
        "Sum": round(sum_, 6),
    }
