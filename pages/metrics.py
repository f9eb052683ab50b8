"""docs/reference/metrics.md, from the table of metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ftq.metrics import METRICS, MOST_TYPES, NAMESPACE, OTHER, UNKNOWN, Metric, Program

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"
_PROGRAMS: Final[dict[Program, str]] = {
    "daemon": "The daemon",
    "api": "The API",
    "sweeper": "The scheduled sweep",
}
_HEAD: Final = f"""\
# Metrics

<!-- Written by `python -m pages` from ftq/metrics.py; edit there. -->

In CloudWatch: namespace `{NAMESPACE}`, dimensions `service` (`FTQ_SERVICE`, `ftq` if not set) and,
where the table says so, `type`. They come as lines of embedded metric format in the logs, each
minute and once more when a daemon stops; `FTQ_EMF=off` leaves them out.

- What is said by type is said for the whole service too. Types without a handler are `{UNKNOWN}`,
  those beyond the first {MOST_TYPES} are `{OTHER}`: no message makes a name up.
- The `Sum` of a counter is what happened in a minute.
- A gauge is said once a minute by each daemon: its `Sum` is the fleet's, its `Maximum` the worst
  daemon's.
- A timing is a distribution: it has every percentile, mostly good to a tenth and always to a
  quarter; counts and sums are exact.

In Prometheus: the daemon's `/metrics`, from the same numbers. With `FTQ_PROCESSES` its processes
are added up there; in CloudWatch each says its own. Why logs and not calls, why a minute, why these
dimensions: [ADR 0027](../adr/0027-emf.md). What to do when an alarm goes:
[alarms](../how-to/alarms.md).
"""
_PROMETHEUS_ONLY: Final = """\
## Only in Prometheus

| metric | meaning |
|---|---|
| `ftq_dead_total{type,cause}` | Tasks given up, by cause; by error class: `GET /dead-letters` |
| `ftq_concurrency_limit` | The adaptive limit, with `FTQ_CONCURRENCY_MIN` |
"""


def page() -> str:
    """The page as it should be."""
    parts = [_HEAD]
    for program, title in _PROGRAMS.items():
        rows = [_row(metric) for metric in METRICS if metric.said_by[0] == program]
        also = [f"`{m.name}`" for m in METRICS if program in m.said_by[1:]]
        tail = f"\nIt also says {', '.join(also)}.\n" if also else ""
        head = (
            "| metric | unit | by | Prometheus | meaning | matters |\n|---|---|---|---|---|---|\n"
        )
        parts.append(f"## {title}\n\n{head}{''.join(rows)}{tail}")
    return "\n".join([*parts, _PROMETHEUS_ONLY])


def _row(metric: Metric) -> str:
    by = "service; service, type" if metric.by_type else "service"
    prometheus = f"`{metric.prometheus}`" if metric.prometheus else "–"
    kind = metric.unit if metric.kind == "counter" else f"{metric.unit}, {metric.kind}"
    matters = metric.matters or "–"
    return f"| `{metric.name}` | {kind} | {by} | {prometheus} | {metric.meaning} | {matters} |\n"
