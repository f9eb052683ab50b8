"""Metrics of several processes as one: what was counted is added up, a state is the worst."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

# 0 closed, 1 half open, 2 open: of several breakers of one name the least closed is shown.
_WORST: Final = frozenset({"ftq_breaker_state"})
_COUNTED: Final = frozenset({"counter", "histogram", "summary"})

Labels: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Family:
    kind: str
    about: str
    values: dict[tuple[str, Labels], float] = field(default_factory=dict)


class Sums(Collector):
    """Metrics that were read and added up."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._families: dict[str, _Family] = {}

    def add(self, exposition: str, *, counted_only: bool = False) -> None:
        """Add what one process exposes.

        Args:
            exposition: In Prometheus' text format.
            counted_only: Leave out gauges: of a process that has ended, only what it counted stays.
        """
        for read in text_string_to_metric_families(exposition):
            # When a counter began says nothing once several are added.
            if read.name.endswith("_created") or (counted_only and read.type not in _COUNTED):
                continue
            family = self._families.setdefault(read.name, _Family(read.type, read.documentation))
            for sample in read.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                before = family.values.get(key, 0.0)
                worst = max(before, sample.value)
                family.values[key] = worst if read.name in _WORST else before + sample.value

    def collect(self) -> Iterable[Metric]:
        """What there is, for prometheus_client to render."""
        for name, family in self._families.items():
            metric = Metric(name, family.about, family.kind)
            metric.samples = [
                Sample(sample, dict(labels), value)
                for (sample, labels), value in family.values.items()
            ]
            yield metric

    def render(self) -> str:
        """In Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry).decode()
